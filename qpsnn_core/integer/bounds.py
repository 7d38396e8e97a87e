"""Static bounds: how large every accumulator, current and membrane can become, whatever the images.

All figures are int64, per channel. A bound holds for every partial sum too, in any order of summation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Longs

INT32_MAX = 2**31 - 1
FAR = 2**40
UNBOUNDED = 2**17
"""So many steps stand for any number of them."""


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


def accumulator(codes: Array, max_count: int) -> Interval:
    """`sum codes*S` for counts S in 0..max_count: the negative codes alone, and the positive ones. codes: [..., C]."""
    rows = codes.reshape(-1, codes.shape[-1])
    return Interval(
        np.minimum(rows, 0).sum(0, dtype=np.int64) * max_count,
        np.maximum(rows, 0).sum(0, dtype=np.int64) * max_count,
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
    currents: tuple[Interval, ...],
    bias: Array,
    threshold: Array,
    multiplier: int,
    shift: int,
    reset: str,
    steps: int,
) -> Membrane:
    """Follow the two ends of U for `steps` steps of `U~ = ((U*multiplier) >> shift) + bias + sum_k X_k` and its reset.

    The leak grows with U, so the ends stay ends. After the step U is U~ below the threshold, or what the reset leaves:
    0, or with "subtract" `U~ - threshold`, from 0 up to the high end less the threshold. So the low end is that of
    either reset, and the high end at least threshold - 1 (as far as U~ gets) and, with "subtract", U~'s high end less
    the threshold: without a leak it grows by `drive - threshold` at every step, with one it stays. `U~ - threshold` is
    below U~ and not negative: what fits U~ fits it.
    An end that is beyond any int32 by far stays there: the caller refuses it anyway. UNBOUNDED steps begin at ends that
    U never leaves; where there is a leak they are at most `1 / (1 - leak)` wider than what it reaches.
    """
    offset, limit = bias.astype(np.int64), threshold.astype(np.int64)
    drive_low = offset + sum((x.low for x in currents), start=np.zeros_like(offset))
    drive_high = offset + sum((x.high for x in currents), start=np.zeros_like(offset))
    magnitudes = np.abs(offset) + sum((x.largest for x in currents), start=np.zeros_like(offset))
    low, high = np.zeros_like(offset), np.zeros_like(offset)
    ends = for_ever(Interval(drive_low, drive_high), limit, multiplier, shift, reset) if steps >= UNBOUNDED else None
    if ends is not None:
        low, high = ends
    before_low, before_high = drive_low, drive_high
    left_low, left_high = low, high
    for _ in range(steps):
        left_low, left_high = leak(low, multiplier, shift), leak(high, multiplier, shift)
        before_low = np.minimum(before_low, left_low + drive_low)
        before_high = np.maximum(before_high, left_high + drive_high)
        after_low = np.maximum(np.minimum(low, np.where(before_low < limit, before_low, 0)), -FAR)
        after_high = np.minimum(np.maximum(high, _highest(before_high, limit, reset)), FAR)
        settled = np.array_equal(after_low, low) and np.array_equal(after_high, high)
        low, high = after_low, after_high
        if settled:
            break
    largest = magnitudes + np.maximum(np.abs(left_low), np.abs(left_high))
    return Membrane(Interval(before_low, before_high), Interval(low, high), largest)


def _highest(before: Longs, limit: Longs, reset: str) -> Longs:
    """The largest U of any U~ up to `before`."""
    below = np.minimum(before, limit - 1)
    return np.maximum(below, before - limit) if reset == "subtract" else below


def for_ever(drive: Interval, limit: Longs, multiplier: int, shift: int, reset: str) -> Interval | None:
    """Ends that U keeps to once it is between them, 0 among it, for any number of steps; None where there are none.

    drive: what each step adds. limit: the threshold. For integers `f(U) = U - leak(U)` never falls, since of two
    neighbours' leaks one is at most 1 larger. Low, of either reset: `f(low) <= drive.low`, `drive.low / (1 - leak)`.
    High: `_rest(drive.high) =: E` has `f(E) >= drive.high`, so that U~ of `U <= E` is at most E. A reset to zero has
    `high = min(E, limit - 1)`: U below the threshold is at most either. By subtraction, with `R := _rest(drive.high -
    limit)`, `high = max(min(E, limit - 1), R)`. What fired is at most `leak(high) + drive.high - limit <= high`, as
    `high >= R`. What did not is at most limit - 1; where that is above high, high is at least E, and U~ at most high.
    Without a leak U falls by any negative drive, and by subtraction grows by any drive above the threshold.
    """
    whole, part = 2**shift, 2**shift - multiplier
    if not part:
        grows = reset == "subtract" and (drive.high > limit).any()
        return None if grows or (drive.low < 0).any() else Interval(np.zeros_like(limit), limit - 1)
    low = np.where(drive.low < 0, (drive.low - 1) * whole // part, 0)
    high = np.minimum(_rest(drive.high, whole, part), limit - 1)
    if reset == "subtract":
        high = np.maximum(high, _rest(drive.high - limit, whole, part))
    return Interval(low, high)


def _rest(drive: Longs, whole: int, part: int) -> Longs:
    """`drive * whole / part`, rounded up and at least 0: a U with `U - leak(U) >= drive`."""
    least: Longs = -(-(np.maximum(drive, 0) * whole) // part)
    return least
