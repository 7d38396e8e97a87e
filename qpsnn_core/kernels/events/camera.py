"""What the pixels of an event camera report while a picture moves before them: integers throughout."""

from __future__ import annotations

from typing import NamedTuple

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.threads import kernel

FINE_BITS = 10
FINE = 1 << FINE_BITS
"""Positions are in parts of a pixel, so many to one."""

LEVELS = 255 * 256 + 1
"""Grey levels between pixels are in 256ths."""


class Picture(NamedTuple):
    """A padded picture before a camera of height x width pixels.

    numbers: int64 grey levels, flat, rows of `pitch`. All that pixel (y, x) looks at lies in the square of `side`
    pixels from `y*pitch + x` on.
    """

    numbers: Array
    pitch: int
    side: int
    height: int
    width: int


class Looks(NamedTuple):
    """When and where the camera looks, int64 `[samples]`.

    At sample k, of time `times[k]` in microseconds, pixel (y, x) looks between the four pixels from `places[k] +
    y*pitch + x` on, at `downs[k]` and `acrosses[k]`, of FINE.
    """

    places: Array
    downs: Array
    acrosses: Array
    times: Array


@kernel
def level(image, at, pitch, down, across):
    """The picture between the four pixels from `at` on, in 256ths of a grey level; down, across: 0..FINE-1.

    image: int64, flat, rows of `pitch`.
    """
    upper = (FINE - across) * image[at] + across * image[at + 1]
    lower = (FINE - across) * image[at + pitch] + across * image[at + pitch + 1]
    return ((FINE - down) * upper + down * lower) >> (2 * FINE_BITS - 8)


@kernel
def even(image, at, pitch, side):
    """Whether the picture is the same all over the square of that side from `at` on; image, pitch as for `level`."""
    for row in range(at, at + side * pitch, pitch):
        for place in range(row, row + side):
            if image[place] != image[at]:
                return False
    return True


@kernel
def watch(picture, looks, table, threshold, events):
    """The events of all pixels, one pixel after the other; how many there are, also beyond what the arrays hold.

    A pixel compares its log intensity with a level of its own, at first the intensity at the first sample. Whenever
    they are more than `threshold` apart, it reports an event, and the level moves by as much. Between samples the log
    intensity is a straight line, and an event has the time at which that line crosses, rounded down.
    picture: Picture. looks: Looks. table: int64 `[LEVELS]`, log intensity by level, in the threshold's unit.
    events: EventColumns, written.
    """
    image, pitch, side, height, width = picture
    places, downs, acrosses, times = looks
    xs, ys, ts, ps = events
    count = 0
    for y in range(height):
        for x in range(width):
            at = y * pitch + x
            if even(image, at, pitch, side):
                continue
            before = table[level(image, places[0] + at, pitch, downs[0], acrosses[0])]
            own = before
            for k in range(1, times.shape[0]):
                now = table[level(image, places[k] + at, pitch, downs[k], acrosses[k])]
                while abs(now - own) > threshold:
                    brighter = now > own
                    own += threshold if brighter else -threshold
                    if count < ts.shape[0]:
                        xs[count], ys[count], ps[count] = x, y, brighter
                        ts[count] = times[k - 1] + (times[k] - times[k - 1]) * (own - before) // (now - before)
                    count += 1
                before = now
    return count
