"""Max-pools of numbers of any sign, in windows of any shape: the largest, or of channels that are turned the least."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel


@kernel
def beyond(value, best, turned):
    """Whether a value replaces the best so far. turned: whether the least is wanted."""
    return value < best if turned else value > best


@kernel
def extreme_forward(start, stop, values, turned, out, window):
    """The largest of each window, of a channel that is `turned` the least; images start..stop-1.

    values: `[M, H, W, C]`, integers or float32. turned: truth values [C]. out: of their type, `[M, Ho, Wo, C]`,
    written. window: (rows, columns, down, right, top, left): its size, its stride, the padding, which is never the
    largest.
    """
    rows, columns, down, right, top, left = window
    height, width, channels = values.shape[1:]
    for m in range(start, stop):
        for oy in range(out.shape[1]):
            for ox in range(out.shape[2]):
                first = True
                for y in range(max(0, oy * down - top), min(height, oy * down - top + rows)):
                    for x in range(max(0, ox * right - left), min(width, ox * right - left + columns)):
                        for c in range(channels):
                            if first or beyond(values[m, y, x, c], out[m, oy, ox, c], turned[c]):
                                out[m, oy, ox, c] = values[m, y, x, c]
                        first = False


@kernel
def extreme_backward(start, stop, values, turned, gradient, out, window):
    """Each window's gradient is added where its first largest (least) value is; images start..stop-1.

    gradient: float32 `[M, Ho, Wo, C]`. out: float32 `[M, H, W, C]`, written. The rest as for `extreme_forward`.
    """
    rows, columns, down, right, top, left = window
    height, width, channels = values.shape[1:]
    for m in range(start, stop):
        out[m] = np.float32(0)
        for oy in range(gradient.shape[1]):
            for ox in range(gradient.shape[2]):
                above, beside = max(0, oy * down - top), max(0, ox * right - left)
                for c in range(channels):
                    row, column = above, beside
                    for y in range(above, min(height, oy * down - top + rows)):
                        for x in range(beside, min(width, ox * right - left + columns)):
                            if beyond(values[m, y, x, c], values[m, row, column, c], turned[c]):
                                row, column = y, x
                    out[m, row, column, c] += gradient[m, oy, ox, c]
