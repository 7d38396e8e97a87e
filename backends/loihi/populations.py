"""An integer network as a chip sees it: populations of neurons, and the projections that end on them.

Only neurons take part: LIF, max-pools (a neuron that fires when any of its window did) and the readout's accumulators,
besides the input. Sum-pools and sums of spikes are folded into the synapses that read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)

Bools = npt.NDArray[np.bool_]
Longs = npt.NDArray[np.int64]
Kind = Literal["input", "neurons", "pool", "readout"]


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from a population: output (y, x, c) reads source (i, j, k) where rows[i, y], cols[j, x], channels[k, c].

    synapse: the node whose weights these are. weights: of each synapse or of the kernel, integers as the state sees
    them (codes times gain). shared: weights of one kernel, 0 where each synapse has its own. regular: whether every
    neuron of a core reads each axon, so that targets need no index.
    """

    synapse: str
    source: str
    rows: Bools
    cols: Bools
    channels: Bools
    weights: Longs
    shared: int
    regular: bool

    @property
    def synapses(self) -> int:
        """How many, unrolled, padding not counted."""
        return int(self.rows.sum()) * int(self.cols.sum()) * int(self.channels.sum())

    @property
    def fanout(self) -> Longs:
        """Synapses of each source neuron, [H, W, C] of the source."""
        return _outer(self.rows.sum(1), self.cols.sum(1), self.channels.sum(1))


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons (H, W, C) of one node, and what they read; `node` is an IntInput, IntLIF, IntMaxPool or IntReadout."""

    node: Any
    kind: Kind
    shape: tuple[int, int, int]
    projections: tuple[Projection, ...]

    @property
    def name(self) -> str:
        """That of the node."""
        return str(self.node.name)

    @property
    def neurons(self) -> int:
        """How many."""
        return int(np.prod(self.shape))


class _Origin(NamedTuple):
    """A population that counts come from: rows[i, y] says that row y of the counts holds row i of the population."""

    name: str
    rows: Bools
    cols: Bools


def populations(network: IntegerNetwork) -> tuple[Population, ...]:
    """All populations, in order; the first is the input."""
    found: list[Population] = []
    for node in network:
        if isinstance(node, IntInput):
            found.append(Population(node, "input", network.shape(node.name), ()))
        elif isinstance(node, IntLIF):
            read = tuple(p for source in node.sources for p in _synapse(network, network[source]))
            found.append(Population(node, "neurons", network.shape(node.name), read))
        elif isinstance(node, IntMaxPool):
            found.append(Population(node, "pool", network.shape(node.name), tuple(_max_pool(network, node))))
        elif isinstance(node, IntReadout):
            read = tuple(_synapse(network, network[node.source]))
            found.append(Population(node, "readout", network.shape(node.name), read))
    return tuple(found)


def windows(size: int, out: int, kernel: int, stride: int, padding: int) -> Bools:
    """[size, out]: whether window `out`, from `out*stride - padding`, holds the position."""
    offset = np.arange(size)[:, None] + padding - stride * np.arange(out)
    return (offset >= 0) & (offset < kernel)


def _outer(rows: Any, cols: Any, channels: Any) -> Longs:
    product: Longs = np.asarray(np.einsum("i,j,k->ijk", rows, cols, channels), np.int64)
    return product


def _origins(network: IntegerNetwork, name: str) -> list[_Origin]:
    node = network[name]
    if isinstance(node, IntSum):
        return [origin for source in node.sources for origin in _origins(network, source)]
    height, width, _ = network.shape(name)
    if isinstance(node, IntSumPool):
        before = network.shape(node.source)
        rows, cols = (
            windows(size, out, node.size, node.size, 0) for size, out in zip(before[:2], (height, width), strict=True)
        )
        return [_Origin(o.name, o.rows @ rows, o.cols @ cols) for o in _origins(network, node.source)]
    return [_Origin(name, np.eye(height, dtype=bool), np.eye(width, dtype=bool))]


def _synapse(network: IntegerNetwork, node: Any) -> list[Projection]:
    """The projections of a Conv, Linear or Shortcut, one for each population that it reads."""
    height, width, channels = network.shape(node.source)
    out = network.shape(node.name)
    arrays = network.arrays[node.name]
    gain = arrays["gain"].astype(np.int64)
    shared, regular, dense = 0, False, np.ones((channels, out[2]), bool)
    if isinstance(node, IntConv):
        rows, cols = (
            windows(size, to, node.kernel, node.stride, node.padding)
            for size, to in zip((height, width), out[:2], strict=True)
        )
        weights, shared = arrays["codes"].astype(np.int64) * gain, node.kernel**2
    elif isinstance(node, IntShortcut):
        rows, cols = (windows(size, to, 1, node.stride, 0) for size, to in zip((height, width), out[:2], strict=True))
        dense = np.arange(channels)[:, None] == np.array(node.channel_map)
        weights = gain[dense.any(0)]
    else:
        assert isinstance(node, IntLinear)  # noqa: S101 - the network's own check: only synapses give currents
        rows, cols = np.ones((height, 1), bool), np.ones((width, 1), bool)
        weights, regular = arrays["codes"].astype(np.int64) * gain, True
    return [
        Projection(node.name, o.name, o.rows @ rows, o.cols @ cols, dense, weights, shared, regular)
        for o in _origins(network, node.source)
    ]


def _max_pool(network: IntegerNetwork, node: IntMaxPool) -> list[Projection]:
    height, width, channels = network.shape(node.source)
    out = network.shape(node.name)
    rows, cols = (
        windows(size, to, node.size, node.stride, node.padding)
        for size, to in zip((height, width), out[:2], strict=True)
    )
    one = np.ones(1, np.int64)
    return [
        Projection(node.name, o.name, o.rows @ rows, o.cols @ cols, np.eye(channels, dtype=bool), one, 0, False)
        for o in _origins(network, node.source)
    ]
