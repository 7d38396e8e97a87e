"""The readout in integers: one unit for all classes, and how far a logit can be off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.elementary import sum_of_powers
from qpsnn_core.common.errors import LoweringError, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.bounds import INT32_MAX, integrated, scaled
from qpsnn_core.integer.lowering.fixed_point import COARSE, ROOM, leak
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.margin import HALF_ULP
from qpsnn_core.integer.lowering.report import ReadoutReport
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import Readout

FLOAT32 = 2.0**-22
"""What a step of the readout rounds in float32, as a share of its terms."""


class LoweredReadout(NamedTuple):
    """unit: in which `U` is logits. gain: of the current, None of spikes; bias: int64 [K]."""

    unit: float
    gain: Longs | None
    bias: Longs
    report: ReadoutReport


def leak_of(node: Readout) -> tuple[int, int]:
    """`(multiplier, shift)`; (0, 0) without a leak."""
    return leak(node.leak) if node.leak else (0, 0)


def lowered_readout(network: Network, node: Readout, current: Affine | None, most: int) -> LoweredReadout:
    """Gains and biases with at most `most` fraction bits; spikes (current None) are counted as they are.

    Raises LoweringError where not even membranes without fraction bits fit int32.
    """
    steps = network.steps
    if current is None:
        value = network.values[node.source]
        rounding = FLOAT32 * value.scale * (value.max_count or 1)
        zeros = np.zeros(value.shape[2], np.int64)
        return LoweredReadout(value.scale, None, zeros, ReadoutReport(node.name, 0, rounding))
    multiplier, shift = leak_of(node)
    largest = float(current.scale.max())
    for bits in range(most if largest else COARSE, COARSE - 1, -1):
        need = max(float(np.abs(current.shift).max()) / 2.0**ROOM, largest) or 1.0
        unit = need if bits == COARSE else largest / 2.0**bits
        gain, bias = (
            np.rint(np.clip(x / unit, -(2.0**32), 2.0**32)).astype(np.int64) for x in (current.scale, current.shift)
        )
        reach = gain * current.reach.largest + np.abs(bias)
        if multiplier and reach.max() <= INT32_MAX:
            reach = integrated(scaled(current.reach, gain), bias, multiplier, shift, steps).largest
        if reach.max() <= INT32_MAX:
            break
    else:
        got = f"up to {reach.max()} (class {reach.argmax()})"
        raise LoweringError(expected(node.name, f"sums of at most {INT32_MAX}", got))
    off = unit * (np.abs(gain - current.scale / unit) * current.reach.largest + np.abs(bias - current.shift / unit))
    off = off + current.off + FLOAT32 * (current.scale * current.reach.largest + np.abs(current.shift))
    if multiplier:
        off = _integrated(node, off, unit * reach.astype(np.float64), unit, steps)
    return LoweredReadout(unit, gain, bias, ReadoutReport(node.name, bits, float(off.max())))


def _integrated(node: Readout, each: Doubles, membrane: Doubles, unit: float, steps: int) -> Doubles:
    """What the errors of each step are together: `G*(drive + decay + float32) + floors`, as of a neuron (margin.py)."""
    multiplier, shift = leak_of(node)
    beta, kept = float(np.float32(node.leak)), multiplier / 2**shift
    growth = sum_of_powers(max(beta, kept) * (1 + 8 * HALF_ULP), steps)
    each = each + (abs(beta - kept) + FLOAT32) * membrane
    floors = unit if multiplier == 1 else growth * unit
    total: Doubles = growth * each + (floors if shift else 0.0)
    return total
