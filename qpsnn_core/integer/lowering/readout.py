"""A readout in integers: one unit for all classes, and how far a logit can be off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.elementary import sum_of_powers
from qpsnn_core.common.errors import LoweringError, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.bounds import INT32_MAX, Interval, integrated, scaled
from qpsnn_core.integer.lowering.fixed_point import COARSE, ROOM, leak
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.margin import HALF_ULP
from qpsnn_core.integer.lowering.report import ReadoutReport
from qpsnn_core.integer.lowering.shares import Share, Shares, only_reader, spread
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import Readout

FLOAT32 = 2.0**-22
"""What a step of the readout rounds in float32, as a share of its terms."""


class LoweredReadout(NamedTuple):
    """unit: in which `U` is logits. gains: of each synapse of its current, none of spikes; bias: int64 [K]."""

    unit: float
    gains: dict[str, Longs]
    bias: Longs
    report: ReadoutReport


def leak_of(node: Readout) -> tuple[int, int]:
    """`(multiplier, shift)`; (0, 0) without a leak."""
    return leak(node.leak) if node.leak else (0, 0)


def lowered_readout(
    network: Network, node: Readout, currents: Mapping[str, Affine], found: Mapping[str, Shares], most: int
) -> LoweredReadout:
    """Gains and biases with at most `most` fraction bits; spikes are counted as they are.

    currents: of synapses; found: `shares`. Raises LoweringError where not even membranes without fraction bits fit
    int32, or where a current meets means of itself.
    """
    steps, value = network.steps, network.values[node.source]
    if value.kind != "current":
        rounding = FLOAT32 * value.scale * (value.max_count or 1)
        zeros = np.zeros(value.shape[2], np.int64)
        return LoweredReadout(value.scale, {}, zeros, ReadoutReport(node.name, 0, rounding))
    parts = [spread(one, currents[one.synapse]) for one in found[node.source]]
    _check_areas(network, found[node.source])
    multiplier, shift = leak_of(node)
    largest = max(float(one.scale.max()) for one in parts)
    shifts: Doubles = np.sum([one.shift for one in parts], axis=0)
    for bits in range(most if largest else COARSE, COARSE - 1, -1):
        need = max(float(np.abs(shifts).max()) / 2.0**ROOM, largest) or 1.0
        unit = need if bits == COARSE else largest / 2.0**bits
        bias, *gains = (
            np.rint(np.clip(x / unit, -(2.0**32), 2.0**32)).astype(np.int64)
            for x in (shifts, *(one.scale for one in parts))
        )
        reach = np.abs(bias) + sum(gain * one.reach.largest for gain, one in zip(gains, parts, strict=True))
        if multiplier and reach.max() <= INT32_MAX:
            ends = [scaled(one.reach, gain) for gain, one in zip(gains, parts, strict=True)]
            drive = Interval(*(np.sum([end[side] for end in ends], axis=0) for side in (0, 1)))
            reach = integrated(drive, bias, multiplier, shift, steps).largest
        if reach.max() <= INT32_MAX:
            break
    else:
        got = f"up to {reach.max()} (class {reach.argmax()})"
        raise LoweringError(expected(node.name, f"sums of at most {INT32_MAX}", got))
    off = unit * np.abs(bias - shifts / unit) + FLOAT32 * np.abs(shifts)
    for gain, one in zip(gains, parts, strict=True):
        off = off + (unit * np.abs(gain - one.scale / unit) + FLOAT32 * one.scale) * one.reach.largest + one.off
    if multiplier:
        off = _integrated(node, off, unit * reach.astype(np.float64), unit, steps)
    placed: dict[str, Longs] = {}
    for gain, share in zip(gains, found[node.source], strict=True):
        own = placed.setdefault(share.synapse, np.zeros(network.shape(share.synapse)[2], np.int64))
        here = share.channels >= 0
        own[share.channels[here]] = gain[here]
    return LoweredReadout(unit, placed, bias, ReadoutReport(node.name, bits, float(off.max())))


def _check_areas(network: Network, every: Shares) -> None:
    """LoweringError where a current meets means of itself, which need another gain."""
    areas: dict[str, Share] = {}
    for one in every:
        other = areas.setdefault(one.synapse, one)
        if other.area != one.area:
            raise LoweringError(only_reader(network, one, other))


def _integrated(node: Readout, each: Doubles, membrane: Doubles, unit: float, steps: int) -> Doubles:
    """What the errors of each step are together: `G*(drive + decay + float32) + floors`, as of a neuron (margin.py)."""
    multiplier, shift = leak_of(node)
    beta, kept = float(np.float32(node.leak)), multiplier / 2**shift
    growth = sum_of_powers(max(beta, kept) * (1 + 8 * HALF_ULP), steps)
    each = each + (abs(beta - kept) + FLOAT32) * membrane
    floors = unit if multiplier == 1 else growth * unit
    total: Doubles = growth * each + (floors if shift else 0.0)
    return total
