"""The thresholds of gates: what a predictor's sums must reach for its real current to be on the open side of 0."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

import numpy as np

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.types import Longs
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.shares import Shares, spread
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network


def check_priors(network: Network) -> None:
    """LoweringError for a Membrane whose neurons store real numbers: units differ from channel to channel then."""
    for node in network.of(Membrane):
        if network.values[node.source].levels is None:
            want = (
                f"membranes of few levels in {node.source}, such as membrane = {{ low = -3, high = 1 }} (or gates that "
                'predict places from pooled spikes, prior = "spikes")'
            )
            raise LoweringError(expected(f"{node.name} (from {node.source})", want, Unquoted("whole membranes")))


def gate_thresholds(network: Network, currents: Mapping[str, Affine], found: Mapping[str, Shares]) -> dict[str, Longs]:
    """The least sum that opens, int64 [K], of each gate by its name: exact, as `X = scale*acc + shift` has no rounding.

    Of a channel gate the least `acc` with X > 0, of a spatial gate with X >= 0; above the largest sum where none opens.
    currents: of synapses; found: `shares`. Raises LoweringError for a current that another node reads, too, or that is
    of several synapses.
    """
    made = {}
    every: tuple[ChannelGate | SpatialGate, ...] = network.of(ChannelGate) + network.of(SpatialGate)
    for gate in every:
        readers = [node.name for node in network.consumers(gate.source) if node is not gate]
        if readers:
            want = f"to be read by {gate.name} alone, whose unit is the sum itself"
            raise LoweringError(expected(f"{gate.source}: current", want, Unquoted(f"also by {', '.join(readers)}")))
        given = found[gate.source]
        if len(given) > 1:
            names = ", ".join(one.synapse for one in given)
            want = f"the current of one synapse, whose sum is the unit of {gate.name}"
            raise LoweringError(expected(gate.source, want, Unquoted(names)))
        current = spread(given[0], currents[given[0].synapse])
        least = [
            _least(Fraction(scale), Fraction(shift), isinstance(gate, ChannelGate))
            for scale, shift in zip(current.scale.tolist(), current.shift.tolist(), strict=True)
        ]
        low, high = current.reach.low.tolist(), current.reach.high.tolist()
        bounded = [min(max(one, a), b + 1) for one, a, b in zip(least, low, high, strict=True)]
        made[gate.name] = np.array(bounded, np.int64)
    return made


def _least(scale: Fraction, shift: Fraction, strict: bool) -> int:
    """The least integer n with `scale*n + shift > 0`, or >= 0 if not strict; far away where every, or no, n has it."""
    if scale == 0:
        return -(2**40) if shift > 0 or (shift == 0 and not strict) else 2**40
    crossing = -shift / scale
    return floor(crossing) + 1 if strict else ceil(crossing)
