"""Pools over spike counts `[M, H, W, C]`, and their gradients."""

from __future__ import annotations

from qpsnn_core.kernels.simd.vector import (
    fill16,
    fill32,
    greater_equal,
    load32,
    select,
    store,
    store_masked,
    take16,
)
from qpsnn_core.kernels.threads import kernel


@kernel
def window_of(place, size, stride, padding, length):
    """The first pixel of one edge, and the one after the last, of a window, cut at the map's.

    place: of the window among those along the edge. size, stride, padding, length (of the map's edge): in pixels.
    """
    begin = place * stride - padding
    return max(begin, 0), min(begin + size, length)


@kernel
def largest(flat, first, window, width, channels, c):
    """The largest counts of channels c..c+15 in a window of the map that begins at `first`.

    flat: counts, unsigned. window: (top, bottom, left, right), the first pixel and the one after the last, as from
    `window_of`. width, channels: of the map.
    """
    top, bottom, left, right = window
    most = fill16(0, flat)
    for y in range(top, bottom):
        for x in range(left, right):
            value = take16(flat, first + (y * width + x) * channels + c, channels - c)
            most = select(greater_equal(value, most), value, most)
    return most


@kernel
def largest32(flat, first, window, width, channels, c):
    """As `largest`, of channels c..c+31, which are all there."""
    top, bottom, left, right = window
    most = fill32(0, flat)
    for y in range(top, bottom):
        for x in range(left, right):
            value = load32(flat, first + (y * width + x) * channels + c)
            most = select(greater_equal(value, most), value, most)
    return most


@kernel
def max_forward(start, stop, counts, out, size, stride, padding):
    """The largest count of each window, images start..stop-1.

    counts: unsigned `[M, H, W, C]`. out: of their type, `[M, Ho, Wo, C]`, written. size, stride, padding: of the
    windows, in pixels.
    """
    height, width, channels = counts.shape[1:]
    flat, flat_out = counts.reshape(-1), out.reshape(-1)
    whole = channels - channels % 32
    for m in range(start, stop):
        first = m * height * width * channels
        for oy in range(out.shape[1]):
            top, bottom = window_of(oy, size, stride, padding, height)
            for ox in range(out.shape[2]):
                left, right = window_of(ox, size, stride, padding, width)
                place = ((m * out.shape[1] + oy) * out.shape[2] + ox) * channels
                window = (top, bottom, left, right)
                for c in range(0, whole, 32):
                    store(flat_out, place + c, largest32(flat, first, window, width, channels, c))
                for c in range(whole, channels, 16):
                    most = largest(flat, first, window, width, channels, c)
                    store_masked(flat_out, place + c, most, channels - c)


@kernel
def max_backward(start, stop, counts, gradient, out, size, stride, padding):
    """Each window's gradient goes to its first largest count; images start..stop-1.

    gradient: float32 `[M, Ho, Wo, C]`. out: float32 `[M, H, W, C]`, zero, written. The rest as for `max_forward`.
    """
    height, width, channels = counts.shape[1:]
    flat, given, flat_out = counts.reshape(-1), gradient.reshape(-1), out.reshape(-1)
    for m in range(start, stop):
        for oy in range(gradient.shape[1]):
            top, bottom = window_of(oy, size, stride, padding, height)
            for ox in range(gradient.shape[2]):
                left, right = window_of(ox, size, stride, padding, width)
                place = ((m * gradient.shape[1] + oy) * gradient.shape[2] + ox) * channels
                for c in range(0, channels, 16):
                    first, count = m * height * width * channels, channels - c
                    most = largest(flat, first, (top, bottom, left, right), width, channels, c)
                    rest, zero = take16(given, place + c, count), fill16(0, given)
                    for y in range(top, bottom):
                        for x in range(left, right):
                            i = first + (y * width + x) * channels + c
                            hit = greater_equal(take16(flat, i, count), most)
                            store_masked(flat_out, i, take16(flat_out, i, count) + select(hit, rest, zero), count)
                            rest = select(hit, zero, rest)


@kernel
def apart_backward(start, stop, counts, gradient, out, size):
    """As `max_backward`, of windows side by side: each pixel is written once, 0 where no window covers it.

    size: of a window, and the stride; out need not be zero.
    """
    height, width, channels = counts.shape[1:]
    flat, given, flat_out = counts.reshape(-1), gradient.reshape(-1), out.reshape(-1)
    down, across, line = gradient.shape[1], gradient.shape[2], width * channels
    zero, none = fill16(0, given), fill16(0, flat)
    for m in range(start, stop):
        for y in range(0, height, size):
            first = (m * height + y) * line
            covered = across * size * channels if y // size < down else 0
            for row in range(min(size, height - y)):
                flat_out[first + row * line + covered : first + (row + 1) * line] = 0
            for ox in range(across if covered else 0):
                place = ((m * down + y // size) * across + ox) * channels
                for c in range(0, channels, 16):
                    count, corner = channels - c, first + ox * size * channels + c
                    most, rest = none, take16(given, place + c, count)
                    for row in range(size):
                        i = corner + row * line
                        for _ in range(size):
                            value = take16(flat, i, count)
                            most = select(greater_equal(value, most), value, most)
                            i += channels
                    for row in range(size):
                        i = corner + row * line
                        for _ in range(size):
                            hit = greater_equal(take16(flat, i, count), most)
                            store_masked(flat_out, i, select(hit, rest, zero), count)
                            rest = select(hit, zero, rest)
                            i += channels


@kernel
def sum_forward(start, stop, counts, out, size, stride):
    """The sum of each size x size window, images start..stop-1.

    counts: unsigned `[M, H, W, C]`. out: unsigned `[M, Ho, Wo, C]`, of a type that holds the sums, written.
    size, stride: of the windows, in pixels.
    """
    for m in range(start, stop):
        for oy in range(out.shape[1]):
            for ox in range(out.shape[2]):
                o = out[m, oy, ox]
                o[:] = 0
                for y in range(oy * stride, oy * stride + size):
                    for x in range(ox * stride, ox * stride + size):
                        s = counts[m, y, x]
                        for c in range(o.shape[0]):
                            o[c] += s[c]


@kernel
def sum_backward(start, stop, gradient, out, size):
    """Every pixel of a window gets the window's gradient, the others 0; images start..stop-1.

    gradient: float32 `[M, Ho, Wo, C]`. out: float32 `[M, H, W, C]`, written. size: of a window, and the stride.
    """
    height, width, channels = out.shape[1:]
    given, flat = gradient.reshape(-1), out.reshape(-1)
    down, across = gradient.shape[1], gradient.shape[2]
    for m in range(start, stop):
        for y in range(height):
            at = (m * height + y) * width * channels
            covered = across * size * channels if y // size < down else 0
            flat[at + covered : at + width * channels] = 0
            for ox in range(across if covered else 0):
                place = ((m * down + y // size) * across + ox) * channels
                for _ in range(size):
                    for c in range(0, channels, 16):
                        store_masked(flat, at + c, take16(given, place + c, channels - c), channels - c)
                    at += channels


@kernel
def slid_sum_backward(start, stop, gradient, out, size, stride):
    """As `sum_backward`, of windows at any stride: a pixel adds up the gradients of its windows in their order.

    gradient: float32 `[M, Ho, Wo, C]`. out: float32 `[M, H, W, C]`, zero, written. size, stride: in pixels.
    """
    height, width, channels = out.shape[1:]
    given, flat = gradient.reshape(-1), out.reshape(-1)
    down, across = gradient.shape[1], gradient.shape[2]
    for m in range(start, stop):
        for oy in range(down):
            for ox in range(across):
                place = ((m * down + oy) * across + ox) * channels
                for y in range(oy * stride, oy * stride + size):
                    first = ((m * height + y) * width + ox * stride) * channels
                    for x in range(size):
                        at = first + x * channels
                        for c in range(0, channels, 16):
                            count = channels - c
                            total = take16(flat, at + c, count) + take16(given, place + c, count)
                            store_masked(flat, at + c, total, count)
