"""The thresholds of gates: what a predictor's sums must reach for its real current to be on the open side of 0."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

import numpy as np

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.types import Longs
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.network.gates import ChannelGate, SpatialGate
from qpsnn_core.network.graph import Network


def gate_thresholds(network: Network, currents: Mapping[str, Affine]) -> dict[str, Longs]:
    """The least sum that opens, int64 [K], of each gate by its name: exact, as `X = scale*acc + shift` has no rounding.

    Of a channel gate the least `acc` with X > 0, of a spatial gate with X >= 0; above the largest sum where none opens.
    Raises LoweringError for a current that another node reads, too.
    """
    found = {}
    every: tuple[ChannelGate | SpatialGate, ...] = network.of(ChannelGate) + network.of(SpatialGate)
    for gate in every:
        readers = [node.name for node in network.consumers(gate.source) if node is not gate]
        if readers:
            want = f"to be read by {gate.name} alone, whose unit is the sum itself"
            raise LoweringError(expected(f"{gate.source}: current", want, Unquoted(f"also by {', '.join(readers)}")))
        current = currents[gate.source]
        least = [
            _least(Fraction(scale), Fraction(shift), isinstance(gate, ChannelGate))
            for scale, shift in zip(current.scale.tolist(), current.shift.tolist(), strict=True)
        ]
        low, high = current.reach.low.tolist(), current.reach.high.tolist()
        bounded = [min(max(one, a), b + 1) for one, a, b in zip(least, low, high, strict=True)]
        found[gate.name] = np.array(bounded, np.int64)
    return found


def _least(scale: Fraction, shift: Fraction, strict: bool) -> int:
    """The least integer n with `scale*n + shift > 0`, or >= 0 if not strict; far away where every, or no, n has it."""
    if scale == 0:
        return -(2**40) if shift > 0 or (shift == 0 and not strict) else 2**40
    crossing = -shift / scale
    return floor(crossing) + 1 if strict else ceil(crossing)
