"""How far trained and integer membranes can be apart, and where they fire alike for certain."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.elementary import floor_log2, sum_of_powers
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.lowering.fixed_point import Neuron, OfChannels, Rounded, in_float32
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.network.nodes import LIF

HALF_ULP = 2.0**-24 * (1 + 2.0**-10)
"""One rounding to float32, relatively; the second factor covers roundings of roundings."""

TINY = 2.0**-149
"""What a rounding below float32's normal numbers can take, absolutely."""

DIGITS = 24
"""Of a float32: whole numbers up to 2**24 of any power of two are exact."""

LOWEST = -126
"""The least exponent of a normal float32."""

NO_EXPONENT = 2**30
"""Of a number that is 0: above that of any other."""

MANY_STEPS = 2**20
"""More leaks than any float32 or int32 has digits to lose."""

NOISE = 1 + 2.0**-40
"""Covers the float64 arithmetic here."""


class Margin(NamedTuple):
    """distance: of trained and integer U~, at most; exact: where they fire alike for certain; [C].

    As shares of the threshold, [C]: gain, bias, threshold: each rounding; float32: that of training, in distance.
    """

    distance: Doubles
    exact: npt.NDArray[np.bool_]
    gain: Doubles
    bias: Doubles
    threshold: Doubles
    float32: Doubles


def margin(lif: LIF | OfChannels, currents: dict[str, Affine], rounded: Rounded, steps: int) -> Margin:
    """How far `U~*unit` of the integer network can be from the trained one's U~, float32's own rounding included.

    Where both had the same inputs and the same spikes so far. They fire differently only where the trained U~ is this
    near to the threshold: `distance = G*(drive + decay + single) + floors + ceiling`, `G = sum_{t<T} rate**t`, with
    drive the rounding of gains and bias (and of weights that were trained in floating point), decay that of beta,
    single that of float32 in a step, and ceiling that of the threshold. Floors of one shift commute: with multiplier 1
    they sum to less than 1 in all, and none rounds a membrane with enough zeros at its end. A reset by subtraction
    takes the rounded threshold off at every spike, and what that was off by leaks as the rest does: `G*ceiling`. rate
    is beta and a little more, as each of float32's roundings is a share of the membrane, which itself is off.
    Membranes of few levels begin every step anew: where both stored the same ones so far, `distance` is of one step,
    and both store the same level again unless U is this near to where two levels meet.
    """
    neuron, unit = rounded.neurons[lif.name], rounded.unit
    sources = [currents[name] for name in lif.sources]
    gains = [rounded.gains[name] for name in lif.sources]
    beta, kept = float(np.float32(lif.beta)), neuron.multiplier / 2**neuron.shift
    growth = 1.0 if neuron.levels else sum_of_powers(max(beta, kept) * (1 + 8 * HALF_ULP), steps)
    gain = unit * sum(abs(g - x.scale / unit) * x.reach.largest for g, x in zip(gains, sources, strict=True))
    off = sum((x.off for x in sources), start=np.zeros_like(unit))
    bias = unit * abs(neuron.bias - sum(x.shift for x in sources) / unit)
    decay = unit * abs(beta - kept) * neuron.reach.after.largest
    threshold = unit * abs(neuron.threshold - in_float32(lif.threshold) / unit)
    floors = _floors(lif, neuron, gains, steps) * unit
    single = _single(sources, neuron, unit)
    each = gain + off + bias + decay + single
    total = growth * each + (floors if neuron.multiplier == 1 else growth * floors)
    total = total + {"zero": 1, "subtract": growth}[lif.reset] * threshold
    if neuron.levels:  # they are off with the threshold, as stored, and where two meet
        total = total + max(-neuron.levels.low, neuron.levels.high) * (1 + max(beta, kept)) * threshold
        total = total + 2 * HALF_ULP * neuron.reach.after.largest * unit
    exact = _exact(lif, sources, gains, neuron, unit, steps)
    shares = (part / lif.threshold for part in (gain, bias, threshold, growth * single * ~exact))
    return Margin(np.where(exact, 0, total * NOISE), exact, *shares)


def _single(sources: list[Affine], neuron: Neuron, unit: Doubles) -> Doubles:
    """What float32 can round in a step of `U~ = beta*U + ((scale*acc + shift) + ...)` and of the reset.

    The accumulator where float32 does not hold it, the product, the sum with the shift, the sum with other currents;
    the leak, U~, and U~ less the threshold.
    """
    products = [x.scale * x.reach.largest for x in sources]
    large = sum(np.where(x.reach.largest > 2**DIGITS, p, 0) for x, p in zip(sources, products, strict=True))
    drives = sum(p + abs(x.shift) for x, p in zip(sources, products, strict=True))
    left = neuron.reach.after.largest * unit
    each = large + sum(products) + (1 + len(sources)) * drives + left + 2 * (left + drives)
    total: Doubles = HALF_ULP * each + (4 * len(sources) + 4) * TINY
    return total


def _floors(lif: LIF | OfChannels, neuron: Neuron, gains: list[Longs], steps: int) -> Doubles:
    """1 where a leak may round the membrane down, [C]: where there are fewer zeros at its end than leaks take away."""
    bits = neuron.shift * min(steps - 1, 1 if neuron.levels else MANY_STEPS)
    if neuron.levels:
        return np.where((neuron.threshold // neuron.levels.parts) % 2**bits > 0, 1.0, 0.0)
    every = neuron.bias.copy()
    for whole in (*gains, *([neuron.threshold] if lif.reset == "subtract" else [])):
        every = every | whole
    lost = bits > 0 and ((every & ((1 << min(bits, 62)) - 1)) != 0)
    return np.where(lost, 1.0, 0.0) + np.zeros(every.shape)


def _exact(
    lif: LIF | OfChannels, sources: list[Affine], gains: list[Longs], neuron: Neuron, unit: Doubles, steps: int
) -> npt.NDArray[np.bool_]:
    """Where no float32 of the forward pass rounds, and integers are the real numbers in a unit, [C].

    No float32 rounds where all are whole multiples of one power of two, at most 2**24 of it. Then, gains and biases
    being exact, U is the real membrane where no leak rounds it, and fires with it at the threshold rounded up; and
    where the leak is a mere shift U is the real one rounded down, and fires with it at an exact threshold.
    """
    left = neuron.reach.after.largest * unit
    most = left + unit + sum(x.scale * x.reach.largest + abs(x.shift) for x in sources)
    taken = [np.where(x.reach.largest > 0, x.scale, 0) for x in sources] + [x.shift for x in sources]
    theta = np.broadcast_to(in_float32(lif.threshold), unit.shape)
    if lif.reset == "subtract" or neuron.levels:
        taken.append(theta / (2 * neuron.levels.parts if neuron.levels else 1))
    leaks = neuron.shift * min(steps - 1, 1 if neuron.levels else MANY_STEPS)
    last = np.min([_last_bit(figure) for figure in taken], axis=0) - leaks - bool(neuron.levels)
    kept = Fraction(neuron.multiplier, 2**neuron.shift)
    fits = most <= np.ldexp(1.0, np.clip(last + DIGITS, -200, 127))
    held: npt.NDArray[np.bool_] = (last >= NO_EXPONENT // 2) | ((last >= LOWEST) & fits)
    held &= ~np.any([x.rounded for x in sources]) & (Fraction(float(np.float32(lif.beta))) == kept)
    whole = _floors(lif, neuron, gains, steps) == 0
    for c in np.flatnonzero(held):
        reached = [
            (Fraction(float(x.scale[c])), int(g[c])) for x, g in zip(sources, gains, strict=True) if x.reach.largest[c]
        ]
        bias = sum((Fraction(float(x.shift[c])) for x in sources), start=Fraction(0))
        level = int(neuron.threshold[c])
        pairs = [*reached, (bias, int(neuron.bias[c]))]
        one = next((real / count for real, count in pairs if count), None)
        if one is None:  # nothing ever comes
            held[c] = all(real == 0 for real, _ in pairs)
            continue
        limit = Fraction(float(theta[c]))
        same, up = limit == level * one, (level - 1) * one < limit <= level * one
        fires = same or (up and lif.reset == "zero" and bool(whole[c]) and not neuron.levels)
        plain = neuron.multiplier <= 1 and not neuron.levels
        held[c] = fires and all(real == count * one for real, count in pairs) and (plain or whole[c])
    return held


def _last_bit(values: Doubles) -> Longs:
    """The exponent of the last 1 of each number's binary digits; of 0 NO_EXPONENT."""
    mantissa, exponent = np.frexp(values)
    whole = (mantissa * 2.0**53).astype(np.int64)
    zeros = floor_log2(np.maximum(whole & -whole, 1))
    found: Longs = np.where(values == 0, NO_EXPONENT, exponent + zeros - 53)
    return found
