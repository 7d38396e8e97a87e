"""Static bounds: how large every accumulator, current and membrane can become, whatever the images.

All figures are int64, per channel. A bound holds for every partial sum too, in any order of summation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

INT32_MAX = 2**31 - 1
FAR = 2**40
FOR_EVER = 2**17
"""So many steps stand for any number of them."""

Array = npt.NDArray[Any]
Longs = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """From `low` to `high`, both int64 [C], both included."""

    low: Longs
    high: Longs

    @property
    def largest(self) -> Longs:
        """The largest magnitude, [C]."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


class Membrane(NamedTuple):
    """What a LIF's channels can reach within T steps.

    before: U~, before the reset; after: U; largest: the largest magnitude of any partial sum on the way to U~, [C].
    """

    before: Interval
    after: Interval
    largest: Longs


def accumulator(codes: Array, peak: int) -> Interval:
    """`sum codes*S` for counts S in 0..peak: the negative codes alone, and the positive ones. codes: [..., C]."""
    rows = codes.reshape(-1, codes.shape[-1])
    return Interval(
        np.minimum(rows, 0).sum(0, dtype=np.int64) * peak,
        np.maximum(rows, 0).sum(0, dtype=np.int64) * peak,
    )


def scaled(interval: Interval, gain: Array) -> Interval:
    """`gain * x` for x in the interval, per channel."""
    factor = gain.astype(np.int64)
    ends = factor * interval.low, factor * interval.high
    return Interval(np.minimum(*ends), np.maximum(*ends))


def leak(potential: Longs, multiplier: int, shift: int) -> Longs:
    """`(U * multiplier) >> shift`, the product in 64 bits, the shift arithmetic."""
    return (potential * multiplier) >> shift


def membrane(
    currents: tuple[Interval, ...], bias: Array, threshold: Array, multiplier: int, shift: int, steps: int
) -> Membrane:
    """Follow the two ends of U for `steps` steps of `U~ = ((U*multiplier) >> shift) + bias + sum_k X_k`.

    The leak grows with U, so the ends stay ends; after the reset U is below the threshold, and 0 where it can fire.
    An end that is beyond any int32 by far stays there: the caller refuses it anyway. FOR_EVER steps begin at ends that
    U never leaves; where there is a leak they are at most `1 / (1 - leak)` wider than what it reaches.
    """
    offset, limit = bias.astype(np.int64), threshold.astype(np.int64)
    drive_low = offset + sum((x.low for x in currents), start=np.zeros_like(offset))
    drive_high = offset + sum((x.high for x in currents), start=np.zeros_like(offset))
    magnitudes = np.abs(offset) + sum((x.largest for x in currents), start=np.zeros_like(offset))
    low, high = np.zeros_like(offset), np.zeros_like(offset)
    if steps >= FOR_EVER and multiplier < 2**shift:
        low, high = _never_left(drive_low, drive_high, multiplier, shift)
        high = np.minimum(high, limit - 1)
    before_low, before_high = drive_low, drive_high
    left_low, left_high = low, high
    for _ in range(steps):
        left_low, left_high = leak(low, multiplier, shift), leak(high, multiplier, shift)
        before_low = np.minimum(before_low, left_low + drive_low)
        before_high = np.maximum(before_high, left_high + drive_high)
        after_low = np.maximum(np.minimum(low, np.where(before_low < limit, before_low, 0)), -FAR)
        after_high = np.maximum(high, np.minimum(before_high, limit - 1))
        settled = np.array_equal(after_low, low) and np.array_equal(after_high, high)
        low, high = after_low, after_high
        if settled:
            break
    largest = magnitudes + np.maximum(np.abs(left_low), np.abs(left_high))
    return Membrane(Interval(before_low, before_high), Interval(low, high), largest)


def _never_left(drive_low: Longs, drive_high: Longs, multiplier: int, shift: int) -> tuple[Longs, Longs]:
    """`drive / (1 - leak)`, around 0: ends of `leak(low) + drive_low >= low` and `leak(high) + drive_high <= high`."""
    rest = 2**shift - multiplier
    below, above = np.minimum(drive_low - 1, 0) * 2**shift, np.maximum(drive_high, 0) * 2**shift
    return below // rest, -(-above // rest)
