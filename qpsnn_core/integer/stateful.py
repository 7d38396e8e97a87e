"""Runs an integer network piece after piece; membranes are kept from one piece to the next, or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Array
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.bounds import UNBOUNDED
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLevels,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.integer.simulate import simulate_from


class StatefulSimulator:
    """A network and the membranes that its last run left; of few levels, in small integers.

    steps: of each piece. keep: whether the next piece goes on from where the last one ended; else each begins at 0.
    What is given is, bit for bit, what the exact simulator gives: with `keep`, for all pieces as one run.
    Raises ConfigError (steps); where membranes are kept UnsupportedError (a neuron without a leak, a readout with a
    membrane), NumericsError (a
    membrane that could leave int32 some day).
    """

    def __init__(self, network: IntegerNetwork, steps: int, *, keep: bool = False) -> None:
        if type(steps) is not int or steps < 1:
            raise ConfigError(expected("steps", "a whole number of at least 1", steps))
        if keep:
            check_unbounded(network)
        self.network = IntegerNetwork(network.nodes, network.arrays, steps)
        self.keep = keep
        self.membranes: dict[str, Array] = {}

    def run(self, frames: Array) -> Run:
        """One piece: frames [steps, B, H, W, C], integers 0..peak, B the same every time; spikes and membranes of all.

        Raises ShapeError, DataError, NumericsError (frames).
        """
        begun = {name: array * self._steps_of(name) for name, array in self.membranes.items()}
        done = simulate_from(self.network, frames, begun, record="all", count=False)
        if self.keep:
            self.membranes = {name: self._stored(name, array[-1]) for name, array in done.membranes.items()}
        return done

    def _steps_of(self, name: str) -> Array:
        """What one unit of a stored membrane is, int32 [C]: the step of levels, 1 of a whole membrane."""
        levels, threshold = self._levels(name), self.network.arrays[name]["threshold"]
        return np.ones_like(threshold) if levels is None else threshold // np.int32(levels.parts)

    def _stored(self, name: str, membrane: Array) -> Array:
        """A level in its smallest type, int8 mostly; a whole membrane as it is."""
        levels = self._levels(name)
        if levels is None:
            return membrane
        low, high = levels.ends
        return (membrane // self._steps_of(name)).astype(np.int8 if low >= -128 and high < 128 else np.int16)

    def _levels(self, name: str) -> IntLevels | None:
        node = self.network[name]
        return node.membrane if isinstance(node, IntLIF) else None

    def reset(self) -> None:
        """The next piece begins at 0."""
        self.membranes = {}


def check_unbounded(network: IntegerNetwork) -> None:
    """UnsupportedError or NumericsError where a membrane that is never reset from outside can leave int32."""
    for node in network:
        KEPT[node](node)
    IntegerNetwork(network.nodes, network.arrays, UNBOUNDED)


def _nothing(node: IntNode) -> None:
    """Every step is computed alone."""


def _membranes(node: IntLIF) -> None:
    if node.multiplier == 2**node.shift and node.membrane is None:
        want = "less than 2**shift: a leak, as a membrane that is kept could otherwise grow for ever"
        raise UnsupportedError(expected(f"{node.name}.multiplier", want, Unquoted(f"{node.multiplier}")))


def _sums(node: IntReadout) -> None:
    if node.mode != "mean" or node.multiplier:
        want = "a readout that sums currents or spikes, as the membrane of a readout is not kept"
        raise UnsupportedError(expected(node.name, want, Unquoted(f"mode {node.mode!r}, multiplier {node.multiplier}")))


KEPT: KindTable[Callable[[Any], None]] = KindTable(
    "the stateful simulator",
    {
        IntInput: _nothing,
        IntConv: _nothing,
        IntLinear: _nothing,
        IntShortcut: _nothing,
        IntLIF: _membranes,
        IntMaxPool: _nothing,
        IntSumPool: _nothing,
        IntSum: _nothing,
        IntConcat: _nothing,
        IntUpsample: _nothing,
        IntGate: _nothing,
        IntAttention: _nothing,
        IntMembrane: _nothing,
        IntReadout: _sums,
        IntCurrentReadout: _nothing,
    },
    UnsupportedError,
)
"""From node kind to the check that what it keeps from step to step may be kept for ever."""
