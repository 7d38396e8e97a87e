"""Choosing the unit of integer membranes: per channel, as fine as was asked for and as int32 provably holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.elementary import ceil_log2, floor_log2
from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.bounds import FAR, INT32_MAX, Interval, Membrane, membrane
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.ratios import Fractions, common, fractions
from qpsnn_core.integer.node_checks import SHIFT_MAX
from qpsnn_core.integer.nodes import IntLevels
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.nodes import LIF

ROOM = 28
"""Bits of a threshold and bias in a channel whose weights count for next to nothing beside them."""

SLACK = 2.0**-40
"""A threshold this near to an integer, relatively, is that integer: it is the noise of the float64 arithmetic here."""

FINE = 2.0**16
"""Scales and biases are multiples of a part of a threshold where such a part is worth at least so many units."""

FEW = 2
"""And where it is worth less, they may be so many thresholds: off by a unit, as the rounded threshold may be."""

MOST_BITS = 24
"""The most fraction bits that there can be."""

COARSE = -1

FEW_BITS = 4
"""A leak of so many bits, or fewer, is kept from rounding the levels of membranes."""

FAR_OFF = 2.0**32
"""What is so many units is no int32, by far."""


class OfChannels(NamedTuple):
    """Some channels of a LIF, whose thresholds may be learned, float64 [C]; the rest is that of the node.

    sources: the currents that each sums, one of them more than once where it comes to it several ways.
    """

    name: str
    sources: tuple[str, ...]
    threshold: float | Doubles
    beta: float
    reset: str
    membrane: MembraneQuantizer | None


class Neuron(NamedTuple):
    """A LIF in integers: int64 arrays [C], its leak `multiplier / 2**shift`, and what its membrane can reach."""

    threshold: Longs
    bias: Longs
    multiplier: int
    shift: int
    reach: Membrane
    levels: IntLevels | None = None


class Rounded(NamedTuple):
    """Currents and the LIFs that they meet, in one unit per channel: `U_real = U_int * unit`.

    bits: fraction bits per channel, COARSE (-1) where the unit comes from threshold and bias. gains: of each current.
    """

    unit: Doubles
    bits: Longs
    gains: dict[str, Longs]
    neurons: dict[str, Neuron]


def in_float32(threshold: float | Doubles) -> Doubles:
    """As training has it: float32."""
    return np.asarray(threshold, np.float32).astype(np.float64)


def leak(beta: float) -> tuple[int, int]:
    """The nearest `multiplier / 2**shift` with at most SHIFT_MAX bits, reduced: 1/2 is (1, 1)."""
    multiplier, shift = round(beta * 2**SHIFT_MAX), SHIFT_MAX
    while shift and multiplier % 2 == 0:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift


def levels_of(lif: LIF | OfChannels) -> IntLevels | None:
    """What the integer neuron may store; the surrogate is for training alone."""
    how = lif.membrane
    return None if how is None else IntLevels(how.low, how.high, how.parts)


def grain(lif: LIF | OfChannels) -> int:
    """What an integer threshold is a multiple of: levels are parts of it, and a leak of a few bits rounds none."""
    if lif.membrane is None:
        return 1
    multiplier, shift = leak(lif.beta)
    return lif.membrane.parts << (shift if multiplier == 1 and shift <= FEW_BITS else 0)


def choose(lifs: tuple[LIF | OfChannels, ...], currents: dict[str, Affine], steps: int, fraction_bits: int) -> Rounded:
    """One unit per channel for LIFs that share currents: `n / (L * 2**e)`, the finest that provably fits int32.

    n is the scale of the current with the largest reach, L the least whole number that makes gains and biases whole
    which are whole multiples of `n/L` (1 where none but n's is), and its gain `L * 2**e` the first of at least 2**f. f
    begins at `fraction_bits`; where several currents meet, at as many more as keep the rounding of the others' gains as
    small as that of the bias. A channel whose weights are so weak beside its threshold or bias that no f >= 0 fits gets
    its unit from those. Where membranes have levels, thresholds are multiples of `grain`. Raises LoweringError where
    not even that fits.
    """
    figures = _figures(lifs, currents)
    exact, others = _normaliser(list(currents.values()))
    most = np.minimum(fraction_bits + ceil_log2(np.maximum(others, 1)), max(MOST_BITS, fraction_bits))
    bits = np.full(exact.shape, COARSE, np.int64)
    unit = np.maximum(exact, 1.0)
    gain = np.zeros(exact.shape, np.int64)
    for f in range(int(most.max()), -1, -1):
        open_ = (bits == COARSE) & (exact > 0) & (f <= most)
        whole, _ = common(figures.of_scale, figures.needed, np.full(exact.shape, 2.0**f))
        first = whole * 2 ** (f - floor_log2(whole))
        trial, gains = np.where(open_, exact / first, unit), np.where(open_, first, gain)
        held = open_ & _holds(_rounded(lifs, currents, steps, figures, Unit(trial, gains, bits)))
        unit[held], gain[held], bits[held] = trial[held], first[held], f
    weak = np.max([lif.threshold + np.abs(_shift(lif, currents)) for lif in lifs], axis=0)
    open_ = bits == COARSE
    unit[open_] = exact[open_]
    gain[open_] = 0
    for room in range(ROOM, -1, -2):
        given = open_ & (weak > exact * 2.0**ROOM)
        unit[given] = weak[given] / 2.0**room
        rounded = _rounded(lifs, currents, steps, figures, Unit(unit, gain, bits))
        open_ = ~_holds(rounded)
        if not open_.any():
            return rounded
    channel = int(np.flatnonzero(open_)[0])
    got = max(int(neuron.reach.largest[channel]) for neuron in rounded.neurons.values())
    place = " and ".join(lif.name for lif in lifs)
    raise LoweringError(
        expected(place, f"membranes of at most {INT32_MAX}", Unquoted(f"up to {got} (channel {channel})"))
    )


class Figures(NamedTuple):
    """What becomes integers in one unit, [rows, C]: each current's scale, each LIF's bias, each LIF's threshold.

    A threshold stands there by its `grain`: that part of it is to be whole. values: as trained. of_scale, of_threshold:
    ratios to the scale whose gain is given, and to the first threshold, of magnitudes that no float32 has rounded.
    used: where a row is not 0 and has an effect. needed: those of them that are to be exact, a threshold only where a
    reset by subtraction takes it off.
    """

    values: Doubles
    of_scale: Fractions
    of_threshold: Fractions
    used: npt.NDArray[np.bool_]
    needed: npt.NDArray[np.bool_]


class Unit(NamedTuple):
    """unit, gain: of the current with the largest reach, 0 where the unit does not come from it; bits: [C]."""

    unit: Doubles
    gain: Longs
    bits: Longs


def _figures(lifs: tuple[LIF | OfChannels, ...], currents: dict[str, Affine]) -> Figures:
    every = list(currents.values())
    exact, _ = _normaliser(every, plain=True)
    like = np.ones_like(exact)
    shifts = [np.sum([currents[name].plain_shift for name in lif.sources], axis=0) for lif in lifs]
    grains = [lif.threshold / grain(lif) for lif in lifs]
    plain = np.array([*(x.plain_scale for x in every), *shifts, *(one * like for one in grains)])
    values = np.array(
        [
            *(x.scale for x in every),
            *(_shift(lif, currents) for lif in lifs),
            *(in_float32(lif.threshold) / grain(lif) * like for lif in lifs),
        ]
    )
    reached = [x.reach.largest > 0 for x in every]
    used = np.array([*reached, *(like > 0 for _ in lifs), *(like > 0 for _ in lifs)]) & (values != 0)
    needed = used.copy()
    for row, lif in enumerate(lifs, len(plain) - len(lifs)):
        needed[row] &= lif.reset == "subtract" or lif.membrane is not None
    sizes = np.abs(plain)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_scale = fractions(np.where(exact > 0, sizes / exact, 0))
    return Figures(values, of_scale, fractions(sizes / grains[0]), used, needed)


def _normaliser(currents: list[Affine], plain: bool = False) -> tuple[Doubles, Longs]:
    """Of the current with the largest reach, among those of a scale above 0: its scale; and the reach of the next."""
    scales = np.array([current.plain_scale if plain else current.scale for current in currents])
    reaches = np.array([np.where(current.scale > 0, current.reach.largest, -1) for current in currents])
    order = reaches.argsort(0, kind="stable")
    exact: Doubles = np.take_along_axis(scales, order[-1:], 0)[0]
    others: Longs = np.take_along_axis(reaches, order[-2:-1], 0)[0] if len(currents) > 1 else np.zeros_like(reaches[0])
    return exact, others


def _rounded(
    lifs: tuple[LIF | OfChannels, ...], currents: dict[str, Affine], steps: int, figures: Figures, given: Unit
) -> Rounded:
    whole = _whole(figures, given, len(lifs))
    gains = dict(zip(currents, whole, strict=False))
    neurons = {}
    for row, lif in enumerate(lifs, len(currents)):
        reaches = tuple(_scaled(currents[name].reach, gains[name]) for name in lif.sources)
        bias, threshold = whole[row], whole[row + len(lifs)] * grain(lif)
        multiplier, shift = leak(lif.beta)
        levels = levels_of(lif)
        reach = membrane(reaches, bias, threshold, multiplier, shift, lif.reset, steps, levels)
        neurons[lif.name] = Neuron(threshold, bias, multiplier, shift, reach, levels)
    return Rounded(given.unit, given.bits, gains, neurons)


def _whole(figures: Figures, given: Unit, lifs: int) -> Longs:
    """All figures in units, int64 [rows, C]: gains and biases rounded to nearest, thresholds upwards; but for ties:

    What is a whole number of units by its ratio to the scale with the given gain is that number. Where the first
    threshold is not, and scales or biases are multiples of `threshold/D`, it is the nearest `D*k` units, k a whole
    number, and they are as many k: sums of them that tie with it in real numbers do so in integers.
    """
    unit, gain, _ = given
    values, thresholds = figures.values, slice(len(figures.values) - lifs, None)
    found = _integers(values / unit)
    found[thresholds] = np.maximum(_integers(np.ceil(values[thresholds] / unit * (1 - SLACK))), 1)
    known = (figures.of_scale.d > 0) & (gain > 0) & (np.abs(values) / unit < FAR_OFF)
    n, d = np.where(known, figures.of_scale, 1)
    places = n * gain
    exact = known & (places % d == 0)
    found = np.where(exact, np.sign(values).astype(np.int64) * (places // d), found)
    found[thresholds] = np.where(known, -(-places // d), found)[thresholds]

    first = values[thresholds][0] / unit
    apart = figures.used & ~exact & (first < FAR_OFF) & ~exact[thresholds][0]
    apart[thresholds][0] = False
    n, d = figures.of_threshold
    apart &= (first >= FINE) | ((d == 1) & (n <= FEW) & (first >= 1))
    parts, members = common(figures.of_threshold, apart, np.maximum(first / FINE, 1))
    part = np.maximum(_integers(first / parts), 1)
    members &= np.abs(values) / unit < FAR_OFF
    members[thresholds] &= members[: len(members) - lifs].any(0)
    n, d = np.where(members, figures.of_threshold, 1)
    tied = np.sign(values).astype(np.int64) * (n * (parts // d)) * part
    found = np.where(members, tied, found)
    found[thresholds][0] = np.where(members.any(0), parts * part, found[thresholds][0])
    return found


def _scaled(reach: Interval, gain: Longs) -> Interval:
    """What a current can be; cut at FAR, which no int32 holds, lest int64 wraps."""
    low, high = (np.clip(gain * end.astype(np.float64), -FAR, FAR).astype(np.int64) for end in reach)
    return Interval(low, high)


def _holds(rounded: Rounded) -> npt.NDArray[np.bool_]:
    """Where gains, thresholds and membranes (with them currents and biases) are int32."""
    figures = [*rounded.gains.values()]
    for neuron in rounded.neurons.values():
        figures += [neuron.threshold, neuron.reach.largest]
    held: npt.NDArray[np.bool_] = np.max(figures, axis=0) <= INT32_MAX
    return held


def _shift(lif: LIF | OfChannels, currents: dict[str, Affine]) -> Doubles:
    total: Doubles = np.sum([currents[name].shift for name in lif.sources], axis=0)
    return total


def _integers(values: Doubles) -> Longs:
    """Rounded, half to even; beyond 2**31 cut at 2**32, which no int32 holds."""
    return np.rint(np.clip(values, -(2.0**32), 2.0**32)).astype(np.int64)
