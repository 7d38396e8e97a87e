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

WIDEST = 32
"""Output channels of a table's rows on any processor, for which tables are laid out."""

LANES, load = (32, load32) if AVX512 else (16, load16)
"""Output channels taken at a time: nine sums of so many stay in registers. Each is a sum of its own, in one order."""

CACHED = 2**14
"""Sums (float32) of a table of WIDEST channels: somewhat more than the first-level
cache, for a walk leaves its first rows behind."""

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
    line = wide * sets * WIDEST
    band = min(rows, max(1, CACHED // line - before - after))
    band = -(-rows // -(-rows // band))
    bands, tall = -(-rows // band), before + band + after
    apart = out_height + max(before, rows + after - out_height) if bands == 1 else tall
    units = -(-steps // span) * batch
    together = min(units, max(1, (CACHED // line - tall) // apart + 1)) if bands == 1 else 1
    outputs = (out_height, out_width)
    return Layout(steps, batch, span, sets, *outputs, before, band, bands, tall, wide, apart, together, LANES)


@kernel
def lay_out(acc_gradient, unit, number, column, layout, table):
    """dL/dacc of a unit, for the channels from `column` on, summed over every set of its steps.

    number: of the unit in its table. acc_gradient: AccGradient. layout: Layout. table: float32, flat, written but for
    the border on the left and right, and lanes beyond C_out.
    """
    gradient, total, factors = acc_gradient
    _, batch, span, sets, out_height, out_width, before, _, bands, tall, wide, apart, _, lanes = layout
    begin, steps, image, row = unit_of(unit, layout)
    place = number * apart * wide * sets
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
def add_places(table, shift, places, begin, end, old, more, out):
    """`out[at:at + LANES] = (old + sum of the LANES numbers at table[place * LANES + shift]) + more`.

    table: float32, flat. The places are `places[begin:end]`. old, more, out: each (float32, flat; where in it).
    """
    (old, at), (more, further), (out, target) = old, more, out
    one = load(old, at)
    for i in range(begin, end):
        one = one + load(table, item(places, i) * LANES + shift)
    store(out, target, one + load(more, further))


@kernel
def add_squares(table, shift, apart, places, begin, end, old, more, out):
    """As `add_places`, for the nine taps of a 3x3 kernel: the last is added at `shift`, the others from there on.

    apart: (across, down), the tap before reads `across` numbers further on, the row before it `down`. All nine sums
    stay in registers, which branches would empty. The rest as for `add_places`.
    """
    (across, down), (old, at), (more, further), (out, target) = apart, old, more, out
    left, middle, right = shift, shift + across, shift + 2 * across
    a0, a1, a2 = load(old, at), load(old, at + LANES), load(old, at + 2 * LANES)
    b0, b1, b2 = load(old, at + 3 * LANES), load(old, at + 4 * LANES), load(old, at + 5 * LANES)
    c0, c1, c2 = load(old, at + 6 * LANES), load(old, at + 7 * LANES), load(old, at + 8 * LANES)
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
    store(out, target, a0 + load(more, further))
    store(out, target + LANES, a1 + load(more, further + LANES))
    store(out, target + 2 * LANES, a2 + load(more, further + 2 * LANES))
    store(out, target + 3 * LANES, b0 + load(more, further + 3 * LANES))
    store(out, target + 4 * LANES, b1 + load(more, further + 4 * LANES))
    store(out, target + 5 * LANES, b2 + load(more, further + 5 * LANES))
    store(out, target + 6 * LANES, c0 + load(more, further + 6 * LANES))
    store(out, target + 7 * LANES, c1 + load(more, further + 7 * LANES))
    store(out, target + 8 * LANES, c2 + load(more, further + 8 * LANES))


@kernel
def weight_gradient(start, stop, split, lists, acc_gradient, geometry, shape, out):
    """`out[share, (ky*k + kx)*C + ci] = sum over spikes (y, x, ci) of G[(y + p - ky) / s, (x + p - kx) / s]`, float32.

    G is dL/dacc. Tasks start..stop-1: task = (`several` times lanes output channels) * shares + (a share of the parts
    of the batch). The sum of each part starts at 0, over its images, their steps and pixels in order, and sums of parts
    are added in order. split: (shares, several, tables, firsts), the latter as from `tables_of`. lists: (source,
    counts, places, listed): where `listed`, all counts and places are as `list_channels` wrote them; else they are room
    for one table of each share, into which is listed here from the source, a SpikeSource, so that lists stay in the
    cache. acc_gradient: AccGradient. geometry: ConvGeometry. shape: Layout. All of them may be plain tuples, which
    Numba takes a microsecond faster each. out: float32, flat `[shares, k*k*C_in, C_out]`, written.
    """
    layout = Layout(*shape)
    (shares, several, tables, firsts), (source, counts, places, listed) = split, lists
    _, _, channels, outputs, size, stride, padding, _, _ = geometry
    _, _, _, sets, _, _, before, _, _, tall, wide, apart, together, lanes = layout
    keys, room, taps, parts = stride * stride * channels, len(places) // len(counts), size * size, len(firsts) - 1
    across, down = sets * lanes, wide * sets * lanes
    squares, zeros = size == 3 and stride == 1, zeros_on_line(9 * lanes)
    table = zeros_on_line((together - 1) * apart * down + tall * down + before * across)
    for task in range(start, stop):
        share, leftmost = task % shares, task // shares * several
        blocks = min(several, -(-outputs // lanes) - leftmost)
        total = zeros_on_line(blocks * channels * taps * lanes)
        sums = zeros_on_line(len(total))
        lowest = share * parts // shares
        for part in range(lowest, (share + 1) * parts // shares):
            # A part's sums start at 0, and are added to the total after its last table; the first part's are the total.
            own = total if part == lowest else sums
            for group in range(firsts[part], firsts[part + 1]):
                first, last = group == firsts[part], group == firsts[part + 1] - 1
                ends = last and part > lowest
                old, more, new = zeros if first else own, total if ends else zeros, total if last else own
                moved, further = 0 if first else lanes, lanes if ends else 0
                if not listed:
                    counts[share * keys : (share + 1) * keys] = 0
                    list_channels(group, group + 1, group - share, source, layout, tables, counts, places)
                for block in range(blocks):
                    column, row = max(0, min((leftmost + block) * lanes, outputs - lanes)), block * channels * taps
                    for unit in range(tables[group], tables[group + 1]):
                        lay_out(acc_gradient, unit, unit - tables[group], column, layout, table)
                    for tap in range(taps - 1 if squares else 0, taps):
                        ky, kx = tap // size, tap % size
                        top, side = (ky - padding) % stride, (kx - padding) % stride
                        shift = ((top + padding - ky) // stride + before) * down
                        shift += ((side + padding - kx) // stride + before) * across
                        key = (group if listed else share) * keys + (top * stride + side) * channels
                        for c in range(channels):
                            i, j = (key + c) * room, (key + c) * room + counts[key + c]
                            if squares:
                                at = row + c * taps
                                sides = (old, at * moved), (more, at * further), (new, at * lanes)
                                add_squares(table, shift, (across, down), places, i, j, *sides)
                            else:
                                at = row + c * taps + tap
                                sides = (old, at * moved), (more, at * further), (new, at * lanes)
                                add_places(table, shift, places, i, j, *sides)
        count = min(lanes, outputs)
        for block in range(blocks):
            column = max(0, min((leftmost + block) * lanes, outputs - lanes))
            for c in range(channels):
                for tap in range(taps):
                    at = ((share * taps + tap) * channels + c) * outputs + column
                    store_masked(out, at, load(total, ((block * channels + c) * taps + tap) * lanes), count)
