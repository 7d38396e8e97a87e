"""Static bounds: how large every accumulator, current and membrane can become, whatever the images.

All figures are int64, per channel. A bound holds for every partial sum too, in any order of summation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Longs
from qpsnn_core.integer.nodes import IntLevels

INT32_MAX = 2**31 - 1
FAR = 2**40
UNBOUNDED = 2**17
"""So many steps stand for any number of them."""

WALKED = 256
"""Steps of a membrane with a leak that are followed one by one."""


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


def accumulator(codes: Array, max_count: int, low: int = 0) -> Interval:
    """`sum codes*S` for S in low..max_count, low at most 0. codes: [..., C].

    Of counts (low 0), the negative codes alone, and the positive ones.
    """
    rows = codes.reshape(-1, codes.shape[-1])
    negative, positive = (part(rows, 0).sum(0, dtype=np.int64) for part in (np.minimum, np.maximum))
    return Interval(negative * max_count + positive * low, positive * max_count + negative * low)


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
    levels: IntLevels | None = None,
) -> Membrane:
    """The two ends of U within `steps` steps of `U~ = ((U*multiplier) >> shift) + bias + sum_k X_k` and its reset.

    The leak grows with U, so the ends stay ends. After the step U is U~ below the threshold, or what the reset leaves:
    0, or with "subtract" `U~ - threshold`, from 0 up to the high end less the threshold. So the low end is that of
    either reset, and the high end at least threshold - 1 (as far as U~ gets) and, with "subtract", U~'s high end less
    the threshold: without a leak it grows by `drive - threshold` at every step, with one it stays. `U~ - threshold` is
    below U~ and not negative: what fits U~ fits it.
    The time that this takes does not grow with `steps`: see `_ends`. An end that is beyond any int32 by far stays
    there: the caller refuses it anyway. UNBOUNDED steps begin at ends that U never leaves; where there is a leak they
    are at most `1 / (1 - leak)` wider than what it reaches. With `levels` the ends go to theirs at every step, until
    they stay: they hold for any number of steps.
    """
    offset, limit = bias.astype(np.int64), threshold.astype(np.int64)
    drive_low = offset + sum((x.low for x in currents), start=np.zeros_like(offset))
    drive_high = offset + sum((x.high for x in currents), start=np.zeros_like(offset))
    magnitudes = np.abs(offset) + sum((x.largest for x in currents), start=np.zeros_like(offset))
    drive = Interval(drive_low, drive_high)
    ends: Interval | None
    if levels is not None:
        ends = _level_ends(drive, limit, multiplier, shift, reset, steps - 1, levels)
    else:
        ends = for_ever(drive, limit, multiplier, shift, reset) if steps >= UNBOUNDED else None
    low, high = _ends(drive, limit, multiplier, shift, reset, steps - 1) if ends is None else ends
    left_low, left_high = leak(low, multiplier, shift), leak(high, multiplier, shift)
    before = Interval(np.minimum(drive_low, left_low + drive_low), np.maximum(drive_high, left_high + drive_high))
    largest = magnitudes + np.maximum(np.abs(left_low), np.abs(left_high))
    after = _after(Interval(low, high), before, limit, reset)
    if levels is None:
        return Membrane(before, after, largest)
    largest = np.maximum(largest, max(-levels.low, levels.high) * limit)  # each level is an int32, reached or not
    return Membrane(before, _to_levels(after, limit, levels), largest)


def nearest_level(potential: Longs, threshold: Longs, levels: IntLevels) -> Longs:
    """The level j of a membrane after its reset: the nearest, of two the lower one. The threshold: of its channel."""
    step = threshold // levels.parts
    found: Longs = np.clip((2 * potential + step - 1) // (2 * step), *levels.ends)
    return found


def _to_levels(ends: Interval, limit: Longs, levels: IntLevels) -> Interval:
    step = limit // levels.parts
    low, high = (step * nearest_level(end, limit, levels) for end in ends)
    return Interval(low, high)


def _level_ends(
    drive: Interval, limit: Longs, multiplier: int, shift: int, reset: str, steps: int, levels: IntLevels
) -> Interval:
    """Ends of U after any of the first `steps` steps: those so far are levels, and only grow, one at least a step."""
    ends = Interval(np.zeros_like(limit), np.zeros_like(limit))
    for _ in range(steps):
        left = Interval(leak(ends.low, multiplier, shift), leak(ends.high, multiplier, shift))
        before = Interval(left.low + drive.low, left.high + drive.high)
        last, ends = ends, _to_levels(_after(ends, before, limit, reset), limit, levels)
        if np.array_equal(last.low, ends.low) and np.array_equal(last.high, ends.high):
            break
    return ends


def integrated(current: Interval, bias: Array, multiplier: int, shift: int, steps: int) -> Interval:
    """The two ends of `U = ((U*multiplier) >> shift) + bias + X` within `steps` steps: a membrane that never fires."""
    never = np.full(bias.shape, FAR)
    reach = membrane((current,), bias, never, multiplier, shift, "zero", steps)
    return reach.before


def _ends(drive: Interval, limit: Longs, multiplier: int, shift: int, reset: str, steps: int) -> Interval:
    """Ends of U after any of the first `steps` steps, U = 0 among them.

    Without a leak they are known: `_sums`. With one, WALKED steps are followed one by one, or until nothing changes;
    `_beyond` bounds what comes later.
    """
    zero = np.zeros_like(limit)
    if multiplier == 2**shift:
        return _sums(drive, limit, reset, steps)
    ends = Interval(zero, zero)
    for _ in range(min(steps, WALKED)):
        left = Interval(leak(ends.low, multiplier, shift), leak(ends.high, multiplier, shift))
        last, ends = ends, _after(ends, Interval(left.low + drive.low, left.high + drive.high), limit, reset)
        if np.array_equal(last.low, ends.low) and np.array_equal(last.high, ends.high):
            return ends
    later = _beyond(ends, drive, limit, multiplier / 2**shift, reset, max(steps - WALKED, 0))
    ever = for_ever(drive, limit, multiplier, shift, reset)
    if ever is None:
        return later
    return Interval(np.maximum(later.low, ever.low), np.minimum(later.high, ever.high))


def _after(ends: Interval, before: Interval, limit: Longs, reset: str) -> Interval:
    """Ends of U, those so far among them, after a step whose U~ is from `before.low` to `before.high`."""
    low = np.minimum(ends.low, np.where(before.low < limit, before.low, 0))
    high = np.minimum(before.high, limit - 1)
    if reset == "subtract":
        high = np.maximum(high, before.high - limit)
    return Interval(np.maximum(low, -FAR), np.minimum(np.maximum(ends.high, high), FAR))


def _sums(drive: Interval, limit: Longs, reset: str, steps: int) -> Interval:
    """`_ends` without a leak, exactly.

    Low falls by any negative drive at every step. High rises by a positive drive to threshold - 1; by subtraction, if
    the drive is larger than the threshold, by `drive - threshold` at every step, the first from 0.
    """
    low = times(np.minimum(drive.low, 0), steps)
    high = np.minimum(times(np.maximum(drive.high, 0), steps), limit - 1)
    if reset == "subtract" and steps:
        first = np.maximum(np.minimum(drive.high, limit - 1), drive.high - limit)
        grown = np.minimum(first + times(drive.high - limit, steps - 1), FAR)
        high = np.where(drive.high > limit, grown, high)
    return Interval(low, high)


def times(step: Longs, steps: int) -> Longs:
    """`steps * step`, cut at FAR, for any number of steps."""
    size = np.maximum(np.abs(step), 1)
    taken = np.minimum(FAR // size, min(steps, FAR))
    total: Longs = np.where(taken < min(steps, FAR), np.sign(step) * FAR, step * taken)
    return total


def _beyond(ends: Interval, drive: Interval, limit: Longs, rate: float, reset: str, steps: int) -> Interval:
    """Ends of U for `steps` more steps with a leak of `rate` below 1.

    A floor takes less than 1: after n steps low is at least `rate**n*low + (drive.low - 1)*G`, `G = (1 - rate**n) / (1
    - rate)`, and high at most `rate**n*high + drive.high*G`, or what was reached before. It also is at most threshold -
    1 or, by subtraction, the same with `drive.high - threshold` from at least threshold - 1.
    """
    if not steps:
        return ends
    kept = rate**steps
    total = (1 - kept) / (1 - rate)

    def reached(start: Longs, step: Longs) -> Longs:
        figure = kept * start + total * step
        whole: Longs = np.rint(np.clip(figure + np.copysign(1 + 2.0**-40 * np.abs(figure), figure), -FAR, FAR)).astype(
            np.int64
        )
        return whole

    low = np.where(drive.low < 0, np.minimum(ends.low, reached(ends.low, drive.low - 1)), ends.low)
    high = np.minimum(np.maximum(ends.high, reached(ends.high, drive.high)), np.maximum(limit - 1, ends.high))
    if reset == "subtract":
        start = np.maximum(ends.high, high)
        high = np.where(drive.high > limit, np.maximum(start, reached(start, drive.high - limit)), start)
    return Interval(low, high)


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
