"""The weight gradient of an event-driven convolution: under every spike, add the rows of the gradient that it touched.

The spikes are listed channel after channel, so that a weight's sum stays in registers while its spikes pass; the
gradients of a few images, 64 output channels at a time, are laid out with a border of zeros so that no window is cut.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.events import LANES
from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import first, load64, lowest, nonzero, put, store, take16, take64, to, without_lowest

CACHED = 2**16
"""Gradients (float32) that stay in the second-level cache."""


def border(size, stride, padding):
    """`(before, after)`: rows of zeros around the gradient; (y + padding - ky) // stride goes that far over its edges."""
    return max(0, (size - 1 - padding) // stride), max(0, (stride - 1 + padding) // stride)


def layout(height, width, size, stride, padding, out_height, out_width):
    """`(before, padded_height, padded_width, images)`: how gradients are laid out, and how many images at a time."""
    before, after = border(size, stride, padding)
    high = before + max(out_height, (height - 1) // stride + 1 + after)
    wide = before + max(out_width, (width - 1) // stride + 1 + after)
    return before, high, wide, max(1, CACHED // (high * wide * LANES))


@kernel
def count_channels(low, high, spikes, height, width, channels, stride, counts):
    """`counts[m, key]` = the spikes of image m, key = (y % stride * stride + x % stride) * C + c; images low..high-1."""
    for m in range(low, high):
        own = counts[m]
        own[:] = 0
        for y in range(height):
            for x in range(width):
                pixel = (m * height * width + y * width + x) * channels
                key = (y % stride * stride + x % stride) * channels
                for begin in range(0, channels, LANES):
                    base = pixel + begin
                    bits = first(nonzero(take64(spikes, base, len(spikes) - base)), channels - begin)
                    while bits != 0:
                        c = lowest(bits)
                        own[key + begin + c] += spikes[base + c]
                        bits = without_lowest(bits)


@kernel
def list_channels(low, high, spikes, height, width, channels, stride, padded_height, padded_width, together, ends, places):
    """Write the places of the spikes of images low..high-1, those of `key` from `ends[m, key]` on, which moves on.

    A place is LANES times the row of its pixel (y // stride, x // stride) in the layout of its group of `together`
    images; a count of k is listed k times.
    """
    for m in range(low, high):
        own = ends[m]
        top = m % together * padded_height
        for y in range(height):
            for x in range(width):
                pixel = (m * height * width + y * width + x) * channels
                key = (y % stride * stride + x % stride) * channels
                place = ((top + y // stride) * padded_width + x // stride) * LANES
                for begin in range(0, channels, LANES):
                    base = pixel + begin
                    bits = first(nonzero(take64(spikes, base, len(spikes) - base)), channels - begin)
                    while bits != 0:
                        c = lowest(bits)
                        end = own[key + begin + c]
                        for _ in range(spikes[base + c]):
                            places[end] = place
                            end += 1
                        own[key + begin + c] = end
                        bits = without_lowest(bits)


@kernel
def lay_out(gradient, total, factors, begin, end, out_height, out_width, column, before, high, wide, table):
    """Batch norm's backward, `f0*g + f1*acc + f2` per channel, of 64 channels of images begin..end-1, in the layout.

    gradient, total: `[M*Ho*Wo, C_out]`; factors: `[3, C_out]`. The border, and lanes beyond C_out, stay as they are.
    """
    outputs = gradient.shape[1]
    flat, acc = gradient.reshape(-1), total.reshape(-1)
    for c in range(column, min(column + LANES, outputs), 16):
        count = outputs - c
        by_gradient, by_total = take16(factors[0], c, count), take16(factors[1], c, count)
        constant = take16(factors[2], c, count)
        for m in range(begin, end):
            for y in range(out_height):
                source = (m * out_height + y) * out_width * outputs + c
                target = (((m - begin) * high + before + y) * wide + before) * LANES + c - column
                for _ in range(out_width):
                    value = by_gradient * take16(flat, source, count) + by_total * to(take16(acc, source, count), table)
                    put(table, target, value + constant, min(16, count))
                    source += outputs
                    target += LANES


@kernel
def zeros_on_line(size):
    """float32 zeros that begin on a cache line: 64 numbers that straddle five cost more than those on four."""
    room = np.zeros(size + 16, np.float32)
    begin = -(room.ctypes.data // 4) % 16
    return room[begin : begin + size]


@kernel
def add_places(table, shift, places, begin, end, total, at):
    """`total[at:at + 64] += sum of the 64 numbers at table[place + shift]`, four rows at a time."""
    sums = load64(total, at)
    i = begin
    while i + 4 <= end:
        two = load64(table, places[i] + shift) + load64(table, places[i + 1] + shift)
        sums = sums + (two + (load64(table, places[i + 2] + shift) + load64(table, places[i + 3] + shift)))
        i += 4
    while i < end:
        sums = sums + load64(table, places[i] + shift)
        i += 1
    store(total, at, sums)


@kernel
def weight_gradient(
    low, high, parts, places, bounds, gradient, total, factors, out, images, channels, size, stride, padding, shape
):
    """`out[part, (ky*k + kx)*C + ci] = sum over spikes (y, x, ci) of G[(y + p - ky) / s, (x + p - kx) / s]`, float32.

    Tasks low..high-1: task = (64 output channels) * parts + (a part of the groups of images). places: as
    `list_channels` wrote them; bounds[group, key], bounds[group, key + 1]: where a key's begin and end. shape:
    `(Ho, Wo, before, padded_height, padded_width, together)`.
    """
    out_height, out_width, before, high_rows, wide, together = shape
    outputs, groups = gradient.shape[1], bounds.shape[0]
    for task in range(low, high):
        part, column = task % parts, max(0, min(task // parts * LANES, outputs - LANES))
        table = zeros_on_line(together * high_rows * wide * LANES)
        sums = zeros_on_line(size * size * channels * LANES)
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            begin, end = group * together, min((group + 1) * together, images)
            lay_out(gradient, total, factors, begin, end, out_height, out_width, column, before, high_rows, wide, table)
            for ky in range(size):
                top = (ky - padding) % stride
                down = (top + padding - ky) // stride + before
                for kx in range(size):
                    side = (kx - padding) % stride
                    shift = (down * wide + (side + padding - kx) // stride + before) * LANES
                    key = (top * stride + side) * channels
                    row = (ky * size + kx) * channels
                    for c in range(channels):
                        i, j = bounds[group, key + c], bounds[group, key + c + 1]
                        add_places(table, shift, places, i, j, sums, (row + c) * LANES)
        lanes = min(LANES, outputs)
        for row in range(size * size * channels):
            out[part, row, column : column + lanes] = sums[row * LANES : row * LANES + lanes]
