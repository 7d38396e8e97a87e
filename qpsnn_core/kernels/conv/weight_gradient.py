"""The weight gradient of an event-driven convolution: under every spike, add the rows of the gradient that it touched.

A neuron that spikes at both of two steps needs one row, not two: rows are the sums of a pixel's gradients over every
set of steps. Spikes are listed channel after channel, so that the sums of a channel's weights stay in registers
while its spikes pass. The work goes unit by unit, a unit being a few rows of an image (at those steps) whose sums fit
the cache.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.conv.channel_lists import Layout, list_channels, unit_of
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.simd.llvm import AVX512
from qpsnn_core.kernels.simd.vector import item, load16, load32, store, store_masked, take16, to
from qpsnn_core.kernels.threads import kernel

LANES, load = (32, load32) if AVX512 else (16, load16)
"""Output channels taken at a time: nine sums of so many stay in registers."""

CACHED = 2**14
"""Sums (float32) of a table: somewhat more than the first-level cache, for a walk leaves its first rows behind."""

SUMS = 2**16
"""Sums (float32) of weights that stay in the second-level cache."""

SPAN = 2
"""Steps whose sums are taken together."""


def layout(steps: int, batch: int, geometry: ConvGeometry, max_count: int | None) -> Layout:
    """The Layout for spikes `[steps, batch, height, width]`; counts beyond 1 are taken step by step."""
    height, width, _, _, size, stride, padding, out_height, out_width = geometry
    span = -(-steps // -(-steps // SPAN)) if max_count == 1 else 1
    sets = 2**span - 1 if span > 1 else (max_count or 255).bit_length()
    before, after = max(0, (size - 1 - padding) // stride), max(0, (stride - 1 + padding) // stride)
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    wide = out_width + max(before, columns + after - out_width)
    line = wide * sets * LANES
    band = min(rows, max(1, CACHED // line - before - after))
    band = -(-rows // -(-rows // band))
    bands, tall = -(-rows // band), before + band + after
    apart = out_height + max(before, rows + after - out_height) if bands == 1 else tall
    units = -(-steps // span) * batch * bands
    together = min(units, max(1, (CACHED // line - tall) // apart + 1)) if bands == 1 else 1
    outputs = (out_height, out_width)
    return Layout(steps, batch, span, sets, *outputs, before, band, bands, tall, wide, apart, together, LANES, units)


@kernel
def lay_out(acc_gradient, unit, column, layout, table):
    """dL/dacc of a unit, for the channels from `column` on, summed over every set of its steps.

    acc_gradient: AccGradient. layout: Layout. table: float32, flat, written but for the border on the left and right,
    and lanes beyond C_out.
    """
    gradient, total, factors = acc_gradient
    _, batch, span, sets, out_height, out_width, before, _, bands, tall, wide, _, _, lanes, _ = layout
    begin, steps, image, row, place = unit_of(unit, layout)
    outputs, across, digits = gradient.shape[1], sets * lanes, sets if span == 1 else 1
    flat, acc, further = gradient.reshape(-1), total.reshape(-1), batch * out_height * out_width * gradient.shape[1]
    top, bottom = max(0, row - before), min(out_height, row - before + tall)
    if bands > 1:
        for r in range(tall):
            if not top <= row - before + r < bottom:
                target = (place + (r * wide + before) * sets) * lanes
                table[target : target + out_width * across] = 0
    for y in range(top, bottom):
        for c in range(0, min(lanes, outputs), 16):
            count = min(lanes, outputs) - c
            by_gradient, by_total = take16(factors[0], column + c, count), take16(factors[1], column + c, count)
            constant = take16(factors[2], column + c, count)
            source = ((begin * batch + image) * out_height + y) * out_width * outputs + column + c
            at = (place + ((y - row + before) * wide + before) * sets) * lanes + c
            for _ in range(out_width):
                value = by_gradient * take16(flat, source, count) + by_total * to(take16(acc, source, count), table)
                value = value + constant
                store(table, at, value)
                if steps == 2:
                    i = source + further
                    other = by_gradient * take16(flat, i, count) + by_total * to(take16(acc, i, count), table)
                    other = other + constant
                    store(table, at + lanes, other)
                    store(table, at + 2 * lanes, value + other)
                elif digits > 1:
                    for digit in range(1, digits):
                        value = value + value
                        store(table, at + digit * lanes, value)
                source += outputs
                at += across


@kernel
def zeros_on_line(size):
    """`size` float32 zeros that begin on a cache line: 64 numbers that straddle five cost more than those on four."""
    room = np.zeros(size + 16, np.float32)
    begin = -(room.ctypes.data // 4) % 16
    return room[begin : begin + size]


@kernel
def add_places(table, shift, places, begin, end, total, at):
    """`total[at:at + LANES] += sum of the LANES numbers at table[place * LANES + shift]`.

    table, total: float32, flat. The places are `places[begin:end]`.
    """
    sums = load(total, at)
    for i in range(begin, end):
        sums = sums + load(table, item(places, i) * LANES + shift)
    store(total, at, sums)


@kernel
def add_squares(table, shift, apart, places, begin, end, total, at):
    """As `add_places`, for the nine taps of a 3x3 kernel: the last is added at `shift`, the others from there on.

    apart: (across, down), the tap before reads `across` numbers further on, the row before it `down`. All nine sums
    stay in registers. The rest as for `add_places`.
    """
    across, down = apart
    left, middle, right = shift, shift + across, shift + 2 * across
    a0, a1, a2 = load(total, at), load(total, at + LANES), load(total, at + 2 * LANES)
    b0, b1, b2 = load(total, at + 3 * LANES), load(total, at + 4 * LANES), load(total, at + 5 * LANES)
    c0, c1, c2 = load(total, at + 6 * LANES), load(total, at + 7 * LANES), load(total, at + 8 * LANES)
    for i in range(begin, end):
        place = item(places, i) * LANES
        c2 = c2 + load(table, place + left)
        c1 = c1 + load(table, place + middle)
        c0 = c0 + load(table, place + right)
        place += down
        b2 = b2 + load(table, place + left)
        b1 = b1 + load(table, place + middle)
        b0 = b0 + load(table, place + right)
        place += down
        a2 = a2 + load(table, place + left)
        a1 = a1 + load(table, place + middle)
        a0 = a0 + load(table, place + right)
    store(total, at, a0)
    store(total, at + LANES, a1)
    store(total, at + 2 * LANES, a2)
    store(total, at + 3 * LANES, b0)
    store(total, at + 4 * LANES, b1)
    store(total, at + 5 * LANES, b2)
    store(total, at + 6 * LANES, c0)
    store(total, at + 7 * LANES, c1)
    store(total, at + 8 * LANES, c2)


@kernel
def weight_gradient(start, stop, split, lists, acc_gradient, geometry, shape, out):
    """`out[part, (ky*k + kx)*C + ci] = sum over spikes (y, x, ci) of G[(y + p - ky) / s, (x + p - kx) / s]`, float32.

    G is dL/dacc. Tasks start..stop-1: task = (`several` times lanes output channels) * parts + (a part of the tables).
    split: (parts, several). lists: (source, counts, places, listed): where `listed`, all counts and places are as
    `list_channels` wrote them; else they are room for one table of each part, into which is listed here from the
    source, a SpikeSource, so that lists stay in the cache. acc_gradient: AccGradient. geometry: ConvGeometry. shape:
    Layout. All of them may be plain tuples, which Numba takes a microsecond faster each. out: float32, flat
    `[parts, k*k*C_in, C_out]`, written.
    """
    layout = Layout(*shape)
    (parts, several), (source, counts, places, listed) = split, lists
    _, _, channels, outputs, size, stride, padding, _, _ = geometry
    _, _, _, sets, _, _, before, _, _, tall, wide, apart, together, lanes, units = layout
    keys, room, taps = stride * stride * channels, len(places) // len(counts), size * size
    tables, across, down = -(-units // together), sets * lanes, wide * sets * lanes
    squares = size == 3 and stride == 1
    table = zeros_on_line((together - 1) * apart * down + tall * down + before * across)
    for task in range(start, stop):
        part, first = task % parts, task // parts * several
        blocks = min(several, -(-outputs // lanes) - first)
        sums = zeros_on_line(blocks * channels * taps * lanes)
        for group in range(part * tables // parts, (part + 1) * tables // parts):
            if not listed:
                counts[part * keys : (part + 1) * keys] = 0
                list_channels(group, group + 1, group - part, source, layout, counts, places)
            for block in range(blocks):
                column, row = max(0, min((first + block) * lanes, outputs - lanes)), block * channels * taps
                for unit in range(group * together, min((group + 1) * together, units)):
                    lay_out(acc_gradient, unit, column, layout, table)
                for tap in range(taps - 1 if squares else 0, taps):
                    ky, kx = tap // size, tap % size
                    top, side = (ky - padding) % stride, (kx - padding) % stride
                    shift = ((top + padding - ky) // stride + before) * down
                    shift += ((side + padding - kx) // stride + before) * across
                    key = (group if listed else part) * keys + (top * stride + side) * channels
                    if squares:
                        for c in range(channels):
                            i, j = (key + c) * room, (key + c) * room + counts[key + c]
                            add_squares(table, shift, (across, down), places, i, j, sums, (row + c * taps) * lanes)
                        continue
                    for c in range(channels):
                        i, j = (key + c) * room, (key + c) * room + counts[key + c]
                        add_places(table, shift, places, i, j, sums, (row + c * taps + tap) * lanes)
        count = min(lanes, outputs)
        for block in range(blocks):
            column = max(0, min((first + block) * lanes, outputs - lanes))
            for c in range(channels):
                for tap in range(taps):
                    at = ((part * taps + tap) * channels + c) * outputs + column
                    store_masked(out, at, load(sums, ((block * channels + c) * taps + tap) * lanes), count)
