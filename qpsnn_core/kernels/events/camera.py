"""What the pixels of an event camera report while a picture moves before them: integers throughout."""

from __future__ import annotations

from qpsnn_core.kernels.threads import kernel

FINE_BITS = 10
FINE = 1 << FINE_BITS
"""Positions are in parts of a pixel, so many to one."""

LEVELS = 255 * 256 + 1
"""Grey levels between pixels are in 256ths."""


@kernel
def level(image, at, pitch, down, across):
    """The picture between the four pixels from `at` on, in 256ths of a grey level; down, across: 0..FINE-1."""
    upper = (FINE - across) * image[at] + across * image[at + 1]
    lower = (FINE - across) * image[at + pitch] + across * image[at + pitch + 1]
    return ((FINE - down) * upper + down * lower) >> (2 * FINE_BITS - 8)


@kernel
def even(image, at, pitch, side):
    """Whether the picture is the same all over the square of that side from `at` on."""
    for row in range(at, at + side * pitch, pitch):
        for place in range(row, row + side):
            if image[place] != image[at]:
                return False
    return True


@kernel
def watch(image, pitch, side, height, width, places, downs, acrosses, times, table, threshold, xs, ys, ts, ps):
    """The events of all pixels, one pixel after the other; how many there are, also beyond what the arrays hold.

    A pixel compares its log intensity with a level of its own, at first the intensity at the first sample. Whenever
    they are more than `threshold` apart, it reports an event, and the level moves by as much. Between samples the log
    intensity is a straight line, and an event has the time at which that line crosses, rounded down.
    image: int64, flat, rows of `pitch`. At sample k, of time `times[k]`, pixel (y, x) looks between the four pixels
    from `places[k] + y*pitch + x` on, all of them in the square of `side` pixels from `y*pitch + x` on.
    table: int64 `[LEVELS]`, log intensity by level, in the threshold's unit.
    """
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
