"""Loops-only twins of the pools over counts `[M, H, W, C]`."""

from __future__ import annotations

import numpy as np


def window(y, x, size, stride, padding, height, width):
    """The pixels of the window at (y, x) that lie on the map, row by row."""
    for row in range(y * stride - padding, y * stride - padding + size):
        for column in range(x * stride - padding, x * stride - padding + size):
            if 0 <= row < height and 0 <= column < width:
                yield row, column


def out_shape(shape, size, stride, padding):
    """[M, H', W', C] of the pooled map."""
    images, height, width, channels = shape
    edges = (len(range(0, edge + 2 * padding - size + 1, stride)) for edge in (height, width))
    return (images, *edges, channels)


def largest(counts, size, stride, padding):
    """The largest count of each window."""
    out = np.zeros(out_shape(counts.shape, size, stride, padding), counts.dtype)
    for m, y, x, c in np.ndindex(out.shape):
        out[m, y, x, c] = max(counts[m, r, k, c] for r, k in window(y, x, size, stride, padding, *counts.shape[1:3]))
    return out


def largest_back(counts, gradient, size, stride, padding):
    """Each window's gradient added where its first largest count is, float64."""
    out = np.zeros(counts.shape)
    for m, y, x, c in np.ndindex(gradient.shape):
        best = None
        for row, column in window(y, x, size, stride, padding, *counts.shape[1:3]):
            if best is None or counts[m, row, column, c] > counts[m, best[0], best[1], c]:
                best = (row, column)
        out[m, best[0], best[1], c] += gradient[m, y, x, c]
    return out


def total(counts, size, stride):
    """The sum of each size x size window, every `stride`, in Python integers."""
    out = np.zeros(out_shape(counts.shape, size, stride, 0), np.int64)
    for m, y, x, c in np.ndindex(out.shape):
        out[m, y, x, c] = sum(counts[m, r, k, c].item() for r, k in window(y, x, size, stride, 0, *counts.shape[1:3]))
    return out


def total_back(shape, gradient, size, stride):
    """Every pixel of a window gets the window's gradient, added in the order of the windows."""
    out = np.zeros(shape, gradient.dtype)
    for m, y, x, c in np.ndindex(gradient.shape):
        for row, column in window(y, x, size, stride, 0, *shape[1:3]):
            out[m, row, column, c] += gradient[m, y, x, c]
    return out


def extreme_places(shape, out, window):
    """(m, y, x, c) of each pooled number, and the pixels of its window that lie on the map."""
    rows, columns, down, right, top, left = window
    for m, y, x, c in np.ndindex(out):
        seen = [(y * down + dy - top, x * right + dx - left) for dy in range(rows) for dx in range(columns)]
        yield (m, y, x, c), [(i, j) for i, j in seen if 0 <= i < shape[1] and 0 <= j < shape[2]]


def extreme(values, turned, out, window):
    """The largest of each window, of a channel that is turned the least; out: the shape of the pooled map."""
    found = np.zeros(out, values.dtype)
    for (m, y, x, c), pixels in extreme_places(values.shape, out, window):
        found[m, y, x, c] = (min if turned[c] else max)(values[m, i, j, c] for i, j in pixels)
    return found


def extreme_back(values, turned, gradient, window):
    """Each window's gradient added where its first largest (least) value is."""
    found = np.zeros(values.shape)
    for (m, y, x, c), pixels in extreme_places(values.shape, gradient.shape, window):
        i, j = (min if turned[c] else max)(pixels, key=lambda place: values[(m, *place, c)])
        found[m, i, j, c] += gradient[m, y, x, c]
    return found
