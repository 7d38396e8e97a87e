"""The CurrentReadout in integers: what each channel and class is multiplied with, and how far a logit can be off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.types import Array, Doubles, Longs, NamedArrays
from qpsnn_core.integer.bounds import INT32_MAX
from qpsnn_core.integer.lowering.fixed_point import OfChannels
from qpsnn_core.integer.lowering.fold import Affine, array_of, codes_of
from qpsnn_core.integer.lowering.report import ReadoutReport, SynapseReport
from qpsnn_core.integer.node_checks import SUM_SHIFT_MAX
from qpsnn_core.kernels.linalg.sums import sum_down
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.model import Model

STEP_BITS = 45
"""Bits of what a step adds to the sums, at most: 64 bits then hold more steps than a network runs in one go."""

SINGLE = 2.0**-24
"""One rounding to float32, relatively."""

REAL_BITS = 8
"""Bits of the codes that weights trained in floating point become."""


class LoweredHead(NamedTuple):
    """Arrays, shifts and scale of an IntCurrentReadout; and what rounding changed."""

    arrays: NamedArrays
    shift: int
    bias_shift: int
    scale: float
    report: ReadoutReport
    weights: SynapseReport


def as_neuron(
    name: str, sources: tuple[str, ...], beside: Sequence[OfChannels], currents: Mapping[str, Affine]
) -> OfChannels:
    """What `choose` takes for the sum of the currents: a neuron without a leak, whose membrane is that sum.

    beside: the neurons that share currents with it: with the threshold of the first it asks for nothing that they do
    not. Without any, its threshold is the largest sum.
    """
    if beside:
        threshold = np.asarray(beside[0].threshold, np.float64) + 0.0 * currents[sources[0]].scale
    else:
        largest = np.sum([currents[one].scale * currents[one].reach.largest for one in sources], axis=0)
        threshold = np.where(largest > 0, largest, 1.0)
    return OfChannels(name, sources, threshold, 0.0, "zero", None)


class _Terms(NamedTuple):
    """Of each channel: its unit, and the largest sum of currents, in units and as a real number; of each class codes.

    steps: of the quantizer, [K]. bias: with the shifts of all currents, [K].
    """

    unit: Doubles
    largest: Doubles
    real: Doubles
    codes: Array
    steps: Doubles
    bias: Doubles


class _Chosen(NamedTuple):
    """factor: of each channel, gain: of each class, in so many bits; shift: of sums. one: what 1 of U is of a logit."""

    factor: Longs
    gain: Longs
    bits: int
    shift: int
    one: float


def lowered_head(
    model: Model, node: CurrentReadout, sources: Sequence[Affine], gains: Sequence[Longs], unit: Doubles, most: int
) -> LoweredHead:
    """Codes as they were trained, a factor for each channel with at most `most` bits, and shifts that keep STEP_BITS.

    sources: the currents that it adds up, each [C]; gains: their integers', in a `unit` of each channel. Raises
    LoweringError where not even factors without bits fit.
    """
    value = model.network.inputs_of(node)[0]
    weight = array_of(model.params, node.name, "weight", node.weight_shape(value))
    codes, step, _ = codes_of(model, node, weight.astype(np.float32))
    used = codes * step
    shift = np.sum([one.shift for one in sources], axis=0)
    bias = sum_down(np.concatenate((used * shift[:, None], _bias(model, node)[None])))
    largest = np.sum([gain * one.reach.largest for gain, one in zip(gains, sources, strict=True)], axis=0)
    real = np.sum([one.scale * one.reach.largest + np.abs(one.shift) for one in sources], axis=0)
    terms = _Terms(unit, largest.astype(np.float64), real, codes, step, bias)
    area = node.area(value)
    chosen = _choose(node, terms, area, most)
    whole = np.abs(bias / chosen.one).max() / INT32_MAX
    bias_shift = max(0, int(np.ceil(np.log2(max(whole, 1.0)))))
    offset = np.rint(bias / chosen.one / 2.0**bias_shift).astype(np.int64)
    arrays = {
        "codes": codes,
        "factor": chosen.factor.astype(np.int32),
        "gain": chosen.gain.astype(np.int32),
        "bias": np.clip(offset, -INT32_MAX, INT32_MAX).astype(np.int32),
    }
    each = [abs(g * unit - one.scale) * one.reach.largest + one.off for g, one in zip(gains, sources, strict=True)]
    off = _rounding(terms, chosen, area, np.sum(each, axis=0))
    off += np.abs(np.ldexp(offset * chosen.one, bias_shift) - bias)
    off += SINGLE * (len(codes) + 3 * len(sources) + 10) * (sum_down(np.abs(used) * real[:, None]) + np.abs(bias))
    if node.quantizer is None:
        off += sum_down(np.abs(weight - used) * real[:, None])
    bits = REAL_BITS if node.quantizer is None else node.quantizer.bits
    report = ReadoutReport(node.name, chosen.bits, float(off.max()))
    told = SynapseReport(node.name, bits, 0, node.quantizer is None)
    return LoweredHead(arrays, chosen.shift, bias_shift, chosen.one, report, told)


def _bias(model: Model, node: CurrentReadout) -> Doubles:
    if not node.bias:
        return np.zeros(node.channels)
    return array_of(model.params, node.name, "bias", (node.channels,)).astype(np.float64)


def _choose(node: CurrentReadout, terms: _Terms, area: int, most: int) -> _Chosen:
    """Of the factors with up to `most` bits, each with the smallest shift that fits, those with the least rounding."""
    found = [chosen for bits in range(most, -1, -1) if (chosen := _fitting(terms, area, bits)) is not None]
    if not found:
        want = f"sums of a step of at most {STEP_BITS} bits, shifted by at most {SUM_SHIFT_MAX}"
        largest = float(terms.largest.max()) * area
        raise LoweringError(expected(node.name, want, Unquoted(f"sums of currents up to {largest:.3g}")))
    none = np.zeros_like(terms.unit)
    return min(found, key=lambda chosen: float(_rounding(terms, chosen, area, none).max()))


def _fitting(terms: _Terms, area: int, bits: int) -> _Chosen | None:
    """Factors of so many bits, and the smallest shift with which a step's sums fit; None where there is none."""
    unit = np.where((terms.largest > 0) & terms.codes.any(1), terms.unit, 0.0)
    widest, step = float(unit.max()) or 1.0, float(terms.steps.max())
    same = bool((terms.steps == terms.steps[0]).all())
    factor = np.rint(unit / widest * 2.0**bits)
    gain = np.ones_like(terms.steps) if same else np.rint(terms.steps / step * 2.0**bits)
    one = widest / 2.0**bits * step / (1.0 if same else 2.0**bits) / area
    sizes = np.abs(terms.codes.astype(np.float64))
    for shift in range(SUM_SHIFT_MAX + 1):
        read = factor * (area * terms.largest / 2.0**shift + 2)
        total = sum_down(sizes * read[:, None]) * np.maximum(gain, 1) + np.abs(terms.bias) / np.ldexp(one, shift)
        if total.max() < 2.0**STEP_BITS:
            return _Chosen(factor.astype(np.int64), gain.astype(np.int64), bits, shift, float(np.ldexp(one, shift)))
    return None


def _rounding(terms: _Terms, chosen: _Chosen, area: int, off: Doubles) -> Doubles:
    """What rounding factors, gains and sums changes of a logit at most, and what `off`, of each channel, does, [K]."""
    sizes = np.abs(terms.codes.astype(np.float64))
    exact = terms.unit[:, None] * terms.steps
    used = chosen.factor[:, None] * chosen.gain * (chosen.one * area / 2.0**chosen.shift)
    halves = 2.0**chosen.shift / 2 / area if chosen.shift else 0.0
    each = np.abs(used - exact) * terms.largest[:, None] + used * halves + terms.steps * off[:, None]
    total: Doubles = sum_down(sizes * each)
    return total
