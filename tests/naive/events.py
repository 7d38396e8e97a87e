"""Loops-only twins of what is done with events: one event, one pixel, one sample at a time, in Python integers."""

from __future__ import annotations

import numpy as np


def frames(x, y, p, ranges, sensor, most):
    """[len(ranges), H, W, 2]: events begin..end-1 of each range counted by pixel and polarity, at most `most`."""
    out = np.zeros((len(ranges), *sensor, 2), np.int64)
    for f, (begin, end) in enumerate(ranges):
        for i in range(begin, end):
            out[f, int(y[i]), int(x[i]), int(p[i])] += 1
    return np.minimum(out, most)


def supported(x, y, t, within, diagonal):
    """Whether, of all events before event i in the stream, one was beside it and less than `within` ago."""
    keep = []
    for i in range(len(t)):
        found = False
        for j in range(i):
            down, across = abs(int(y[i]) - int(y[j])), abs(int(x[i]) - int(x[j]))
            beside = max(down, across) == 1 and (diagonal or down + across == 1)
            found |= beside and int(t[i]) - int(t[j]) < within
        keep.append(found)
    return np.array(keep, bool)


def rested(x, y, t, period):
    """Whether no event of the pixel was kept less than `period` ago."""
    keep = []
    for i in range(len(t)):
        same = [j for j in range(i) if keep[j] and (x[i], y[i]) == (x[j], y[j])]
        keep.append(all(int(t[i]) - int(t[j]) >= period for j in same))
    return np.array(keep, bool)


def log_intensity(image, across, down, table, fine):
    """The table's entry for the picture at (down, across), in parts of a pixel, `fine` to one; outside it is 0."""
    column, right = divmod(across, fine)
    row, below = divmod(down, fine)
    total = 0
    for y, weight_y in ((row, fine - below), (row + 1, below)):
        for x, weight_x in ((column, fine - right), (column + 1, right)):
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                total += int(image[y, x]) * weight_y * weight_x
    return int(table[total * 256 // (fine * fine)])


def pixel_events(levels, times, threshold):
    """[(t, brighter)] of a pixel whose log intensity is `levels[k]` at `times[k]`, a straight line between."""
    own, found = levels[0], []
    for before, now, begin, end in zip(levels, levels[1:], times, times[1:], strict=False):
        step = 1 if now > before else -1
        while step * (now - own) > threshold:
            own += step * threshold
            found.append((begin + (end - begin) * abs(own - before) // abs(now - before), step > 0))
    return found


def saccade(image, moves, times, table, threshold, margin, fine):
    """[(t, y, x, brighter)] in the order of time, then of pixels; moves: (across, down) of the picture at each time."""
    found = []
    for y in range(image.shape[0] + 2 * margin):
        for x in range(image.shape[1] + 2 * margin):
            levels = [
                log_intensity(image, (x - margin) * fine - across, (y - margin) * fine - down, table, fine)
                for across, down in moves
            ]
            found += [(t, y, x, brighter) for t, brighter in pixel_events(levels, times, threshold)]
    return sorted(found, key=lambda event: event[:3])
