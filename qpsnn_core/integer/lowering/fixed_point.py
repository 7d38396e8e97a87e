"""Choosing the unit of integer membranes: per channel, as fine as was asked for and as int32 provably holds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.bounds import FAR, INT32_MAX, Interval, Membrane, membrane
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.node_checks import SHIFT_MAX
from qpsnn_core.network.nodes import LIF

ROOM = 28
"""Bits of a threshold and bias in a channel whose weights count for next to nothing beside them."""

SLACK = 2.0**-40
"""A threshold this near to an integer, relatively, is that integer: it is the noise of the float64 arithmetic here."""

MOST_BITS = 24
"""The most fraction bits that there can be."""

COARSE = -1


class Neuron(NamedTuple):
    """A LIF in integers: int64 arrays [C], its leak `multiplier / 2**shift`, and what its membrane can reach."""

    threshold: Longs
    bias: Longs
    multiplier: int
    shift: int
    reach: Membrane


class Rounded(NamedTuple):
    """Currents and the LIFs that they meet, in one unit per channel: `U_real = U_int * unit`.

    bits: fraction bits per channel, COARSE (-1) where the unit comes from threshold and bias. gains: of each current.
    """

    unit: Doubles
    bits: Longs
    gains: dict[str, Longs]
    neurons: dict[str, Neuron]


def leak(beta: float) -> tuple[int, int]:
    """The nearest `multiplier / 2**shift` with at most SHIFT_MAX bits, reduced: 1/2 is (1, 1)."""
    multiplier, shift = round(beta * 2**SHIFT_MAX), SHIFT_MAX
    while shift and multiplier % 2 == 0:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift


def choose(lifs: tuple[LIF, ...], currents: dict[str, Affine], steps: int, fraction_bits: int) -> Rounded:
    """One unit per channel for LIFs that share currents: `n / 2**f`, with the largest f that provably fits int32.

    n is the scale of the current with the largest reach, whose gain is then exactly 2**f. f begins at `fraction_bits`;
    where several currents meet, at as many more as keep the rounding of the others' gains as small as that of the bias.
    A channel whose weights are so weak beside its threshold or bias that no f >= 0 fits gets its unit from those.
    Raises LoweringError where not even that fits.
    """
    exact, others = _normaliser(list(currents.values()))
    most = np.minimum(fraction_bits + np.ceil(np.log2(np.maximum(others, 1))), max(MOST_BITS, fraction_bits))
    bits = np.full(exact.shape, COARSE, np.int64)
    unit = np.maximum(exact, 1.0)
    for f in range(int(most.max()), -1, -1):
        open_ = (bits == COARSE) & (exact > 0) & (f <= most)
        trial = np.where(open_, exact / 2.0**f, unit)
        held = open_ & _holds(_rounded(lifs, currents, steps, trial, bits))
        unit[held], bits[held] = trial[held], f
    weak = np.max([lif.threshold + np.abs(_shift(lif, currents)) for lif in lifs], axis=0)
    open_ = bits == COARSE
    unit[open_] = exact[open_]
    for room in range(ROOM, -1, -2):
        given = open_ & (weak > exact * 2.0**ROOM)
        unit[given] = weak[given] / 2.0**room
        rounded = _rounded(lifs, currents, steps, unit, bits)
        open_ = ~_holds(rounded)
        if not open_.any():
            return rounded
    channel = int(np.flatnonzero(open_)[0])
    got = max(int(neuron.reach.largest[channel]) for neuron in rounded.neurons.values())
    place = " and ".join(lif.name for lif in lifs)
    raise LoweringError(
        expected(place, f"membranes of at most {INT32_MAX}", Unquoted(f"up to {got} (channel {channel})"))
    )


def _normaliser(currents: list[Affine]) -> tuple[Doubles, Longs]:
    """Of the current with the largest reach, among those of a scale above 0: its scale; and the reach of the next."""
    scales = np.array([current.scale for current in currents])
    reaches = np.array([np.where(current.scale > 0, current.reach.largest, -1) for current in currents])
    order = reaches.argsort(0, kind="stable")
    exact: Doubles = np.take_along_axis(scales, order[-1:], 0)[0]
    others: Longs = np.take_along_axis(reaches, order[-2:-1], 0)[0] if len(currents) > 1 else np.zeros_like(reaches[0])
    return exact, others


def margin(lif: LIF, currents: dict[str, Affine], rounded: Rounded, steps: int) -> tuple[Doubles, dict[str, Doubles]]:
    """How far U~ of the integer network, times unit, can be from the real one, [C]; and the parts of it.

    Where both had the same inputs and the same spikes so far, they fire differently only where the real U~ is this
    near to the threshold: `margin = unit * (G*(drive + decay + floors) + ceiling)`, `G = sum_{t<T} beta**t`, with drive
    the rounding of gains and bias, decay that of beta, and ceiling that of the threshold. Floors of one shift commute:
    with multiplier 1 they sum to less than 1 in all. A reset by subtraction takes the rounded threshold off at every
    spike, and what that was off by leaks as the rest does: `G*ceiling`.
    """
    neuron, unit = rounded.neurons[lif.name], rounded.unit
    growth = math.fsum(lif.beta**t for t in range(steps))
    gain = sum(
        np.abs(rounded.gains[name] - currents[name].scale / unit) * currents[name].reach.largest for name in lif.sources
    )
    bias = np.abs(neuron.bias - _shift(lif, currents) / unit)
    decay = abs(lif.beta - neuron.multiplier / 2**neuron.shift) * neuron.reach.after.largest
    floors = 0 if neuron.shift == 0 else 1
    floors_in_all = floors if neuron.multiplier == 1 else growth * floors
    ceiling = np.abs(neuron.threshold - lif.threshold / unit)
    ceilings = {"zero": ceiling, "subtract": growth * ceiling}[lif.reset]
    total = unit * (growth * (gain + bias + decay) + floors_in_all + ceilings)
    parts = {"gain": gain, "bias": bias, "threshold": ceiling}
    return total, {name: part * unit / lif.threshold for name, part in parts.items()}


def _rounded(lifs: tuple[LIF, ...], currents: dict[str, Affine], steps: int, unit: Doubles, bits: Longs) -> Rounded:
    gains = {name: _integers(current.scale / unit) for name, current in currents.items()}
    neurons = {}
    for lif in lifs:
        reaches = tuple(_scaled(currents[name].reach, gains[name]) for name in lif.sources)
        threshold = np.maximum(_integers(np.ceil(lif.threshold / unit * (1 - SLACK))), 1)
        bias = _integers(_shift(lif, currents) / unit)
        multiplier, shift = leak(lif.beta)
        reach = membrane(reaches, bias, threshold, multiplier, shift, lif.reset, steps)
        neurons[lif.name] = Neuron(threshold, bias, multiplier, shift, reach)
    return Rounded(unit, bits, gains, neurons)


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


def _shift(lif: LIF, currents: dict[str, Affine]) -> Doubles:
    total: Doubles = np.sum([currents[name].shift for name in lif.sources], axis=0)
    return total


def _integers(values: Doubles) -> Longs:
    """Rounded, half to even; beyond 2**31 cut at 2**32, which no int32 holds."""
    return np.rint(np.clip(values, -(2.0**32), 2.0**32)).astype(np.int64)
