"""Event-driven convolution: add the weight rows of the spikes in each window.

Flat arrays, channels last. Spikes `[M*H*W*C_in]` hold counts; weights are packed by `packing.pack`: 64 output channels
at a time, so that one block's rows stay in the cache while all images pass, rows in (ky, kx, ci) order. Where there are
32 output channels or less, several windows side by side are taken as one, with the channels of all.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.conv.spike_lists import GROUP, LANES, ColumnLists, list_columns
from qpsnn_core.kernels.simd.vector import fill64, high_nibble, item, load64, low_nibble, store, to
from qpsnn_core.kernels.threads import kernel

LISTED = 2**17
"""Rows of windows are listed together, for one block of weights after another, while they cannot have more spikes."""


@kernel
def add_rows(weights, base, rows, begin, end, groups_per_widen, total):
    """The sum of the 64 numbers at `weights[base + row]` for `rows[begin:end]`, in the type of `total`.

    weights: flat rows of packed weights. rows: int32, from `list_columns`, in whole GROUPs. total: its type is read.
    `groups_per_widen` of them are added in the weights' own narrow type before the sum is
    widened.
    """
    sums = fill64(0, total)
    i = begin
    while i < end:
        stop = min(i + GROUP * groups_per_widen, end)
        part = fill64(0, weights)
        while i < stop:
            part = part + load64(weights, base + item(rows, i)) + load64(weights, base + item(rows, i + 1))
            part = part + load64(weights, base + item(rows, i + 2)) + load64(weights, base + item(rows, i + 3))
            i += GROUP
        sums = sums + to(part, total)
    return sums


@kernel
def add_halves(weights, base, rows, begin, end, groups_per_widen, total):
    """As `add_rows`, of 128 numbers of four bits, the second 64 in the upper nibbles of the bytes: two sums of 64.

    weights: uint8; the rest as for `add_rows`.
    """
    sums = others = fill64(0, total)
    i = begin
    while i < end:
        stop = min(i + GROUP * groups_per_widen, end)
        low = high = fill64(0, weights)
        while i < stop:
            a, b = load64(weights, base + item(rows, i)), load64(weights, base + item(rows, i + 1))
            c, d = load64(weights, base + item(rows, i + 2)), load64(weights, base + item(rows, i + 3))
            low = low + low_nibble(a) + low_nibble(b) + low_nibble(c) + low_nibble(d)
            high = high + high_nibble(a) + high_nibble(b) + high_nibble(c) + high_nibble(d)
            i += GROUP
        sums = sums + to(low, total)
        others = others + to(high, total)
    return sums, others


@kernel
def sums_of(weights, base, rows, begin, end, groups_per_widen, two_per_byte, total):
    """`add_halves`, or `add_rows` (twice the same sum) where `two_per_byte` is None; the rest as for `add_rows`.

    A kernel of its own, for Numba leaves out what a None rules out only where None is an argument.
    """
    if two_per_byte is not None:
        return add_halves(weights, base, rows, begin, end, groups_per_widen, total)
    sums = add_rows(weights, base, rows, begin, end, groups_per_widen, total)
    return sums, sums


@kernel
def conv_forward(start, stop, spikes, max_count, weights, total, geometry):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co] = gain * (sum of weight rows) + offset * (spikes in the window)`.

    Images start..stop-1. spikes: unsigned, flat `[M*H*W*C_in]`, counts of `max_count` at most. weights: PackedWeights.
    total: int16, int32 or float32 (the caller has shown that the sums fit), flat `[M*Ho*Wo*C_out]`, written. geometry:
    ConvGeometry.
    """
    table, gain, offset, groups_per_widen, windows_per_row, two_per_byte = weights
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    across, step, lanes = size + (windows_per_row - 1) * stride, stride * windows_per_row, outputs * windows_per_row
    wide, area = LANES if two_per_byte is None else 2 * LANES, height * width * channels
    blocks, edge = (lanes + wide - 1) // wide, width + 2 * padding + 1
    most = (size * channels * max_count + GROUP) * width
    band = 1 if blocks == 1 else min((stop - start) * out_height, max(1, LISTED // most))
    listed = np.empty(band * most + 16, np.int32)
    ends, counted = np.empty((band, edge), np.int32), np.empty((band, edge), np.int32)
    ladder = (np.arange(16) * LANES).astype(np.int32)
    last, spare = stop * out_height * out_width * outputs, np.empty(LANES, total.dtype)
    times = fill64(gain, total)
    for begin in range(start * out_height, stop * out_height, band):
        end, n = min(stop * out_height, begin + band), 0
        for line in range(begin, end):
            image, top = line // out_height * area, line % out_height * stride - padding
            lists = ColumnLists(listed, ends[line - begin], counted[line - begin], ladder)
            n = list_columns(spikes, image, max_count, top, geometry, across, lists, n)
        for block in range(blocks):
            begins = block * (len(table) // blocks)
            column = max(0, min(block * wide, lanes - wide))
            for line in range(begin, end):
                place, before = ends[line - begin], counted[line - begin]
                out = line * out_width * outputs + column
                for left in range(0, out_width * stride, step):
                    base = begins - left * channels * LANES
                    i, j = item(place, left), item(place, left + across)
                    seen = fill64(offset * (item(before, left + across) - item(before, left)), total)
                    sums, others = sums_of(table, base, listed, i, j, groups_per_widen, two_per_byte, total)
                    if two_per_byte is not None:
                        store(total, out, sums * times + seen)
                        store(total, out + LANES, others * times + seen)
                    elif out + LANES <= last:
                        store(total, out, sums * times + seen)
                    else:
                        store(spare, 0, sums * times + seen)
                        total[out : out + lanes] = spare[:lanes]
                    out += lanes
