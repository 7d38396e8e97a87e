"""Convolutions of spikes by tables: a few input channels of a pixel are an index, for which a table has the sum.

One instruction finds what BITS input channels add to LANES windows (`simd.lookup`). Like that of `byte_products`, its
time is the same at any rate. Lanes are windows side by side, of one row of a few images, whose pixels alternate.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.conv.tables import EACH, ENTRIES
from qpsnn_core.kernels.simd.llvm_lookup import AT_ONCE, BITS, LANES, OUTPUTS, VECTORS
from qpsnn_core.kernels.simd.lookup import (
    add_look_up,
    add_sums,
    look_up,
    no_sums,
    nonzero,
    starts_of,
    store_columns,
    store_indices,
    store_sums,
    widen_part,
)
from qpsnn_core.kernels.simd.vector import item, set_item, take64
from qpsnn_core.kernels.threads import kernel


@kernel
def fill_planes(spikes, first, count, together, geometry, columns, apart, words, planes):
    """BITS channels of a pixel as one index, of images first..first+count-1, whose pixels alternate.

    spikes: uint8, flat `[M, H, W, C]`. together: images that have room. geometry: ConvGeometry. columns: of the padded
    image, of one remainder by the stride. words: int64, room for a row, of which what is padding stays 0. planes:
    uint8, flat; a plane for each BITS channels, `apart` numbers from the next: rows [stride, columns, together] of the
    padded image, of which those of padding stay as they are.
    """
    height, width, channels, _, _, stride, padding, _, _ = geometry
    groups, line = (channels + BITS - 1) // BITS, stride * columns * together
    spots = np.empty(width, np.int64)
    for x in range(width):
        spots[x] = ((x + padding) % stride * columns + (x + padding) // stride) * together
    for y in range(height):
        row = (y + padding) * line
        for begin in range(0, groups, AT_ONCE):
            c = begin * BITS
            for i in range(count):
                at = ((first + i) * height + y) * width * channels + c
                for x in range(width):
                    set_item(words, item(spots, x) + i, nonzero(take64(spikes, at, channels - c)))
                    at += channels
            for lane in range(0, line, 64):
                there = begin * apart + row + lane
                store_indices(planes, there, apart, groups - begin, words, lane, line - lane)


@kernel
def add_tables(planes, starts, offsets, begin, end, weights, at):
    """The sums of OUTPUTS tables, of VECTORS x LANES windows, over steps begin..end-1.

    planes: from `fill_planes`. starts: of the windows' vectors. offsets: of each step in the planes. weights:
    TableWeights, of which the tables of the first step begin at `at`.
    """
    tables, span = weights.tables, weights.span
    sums, step = no_sums(tables), begin
    while span == 5 and step + 5 <= end:
        part = look_up(planes, starts, item(offsets, step), tables, at)
        part = add_look_up(part, planes, starts, item(offsets, step + 1), tables, at + EACH)
        part = add_look_up(part, planes, starts, item(offsets, step + 2), tables, at + 2 * EACH)
        part = add_look_up(part, planes, starts, item(offsets, step + 3), tables, at + 3 * EACH)
        part = add_look_up(part, planes, starts, item(offsets, step + 4), tables, at + 4 * EACH)
        sums = widen_part(sums, part)
        step, at = step + 5, at + 5 * EACH
    while span >= 2 and step + 2 <= end:
        part = look_up(planes, starts, item(offsets, step), tables, at)
        part = add_look_up(part, planes, starts, item(offsets, step + 1), tables, at + EACH)
        sums = widen_part(sums, part)
        step, at = step + 2, at + 2 * EACH
    while step < end:
        sums = widen_part(sums, look_up(planes, starts, item(offsets, step), tables, at))
        step, at = step + 1, at + EACH
    return sums


@kernel
def add_all(planes, starts, offsets, weights, outputs, room, apart):
    """The sums of all output channels of VECTORS x LANES windows, as `lookup.store_sums` says, a channel's from 64*c.

    planes, starts, offsets, weights: as for `add_tables`. room: int16 or int32, flat, written; behind the rows of the
    channels, up to a multiple of 16, one counts the spikes of the windows, if sums need that, and one is zero. apart:
    numbers from a block of 64 lanes to the next.
    """
    _, base, digits, shift, _, stretch, _ = weights
    steps, rows = len(offsets), len(base) // (digits + 1)
    counted, none, all_zero = apart - 128, apart - 64, digits * rows
    for digit in range(digits):
        for begin in range(0, steps, stretch):
            end = min(steps, begin + stretch)
            first, more = all_zero if begin else digit * rows, none
            if shift == 1 and digit == digits - 1 and begin == 0:
                at = rows * digits * steps * ENTRIES
                for piece in range(0, steps, stretch):
                    count = add_tables(planes, starts, offsets, piece, min(steps, piece + stretch), weights, at)
                    at += stretch * EACH
                    if piece == 0:
                        store_sums(room, counted, apart, count, base, all_zero, 0, none)
                    else:
                        add_sums(room, counted, apart, count, base, all_zero, 0, none, 0)
                more = counted
            for output in range(0, outputs, OUTPUTS):
                at = (output * digits + digit * OUTPUTS) * steps * ENTRIES + begin * EACH
                sums = add_tables(planes, starts, offsets, begin, end, weights, at)
                own = 0 if begin else output
                if digit + begin == 0:
                    store_sums(room, output * 64, apart, sums, base, first + own, shift, more)
                else:
                    add_sums(room, output * 64, apart, sums, base, first + own, shift, more, 0 if begin else 4)


@kernel
def write_lanes(room, begin, outputs, targets, lane, limit, total, origin):
    """The sums of 64 lanes to the places of their windows in `total`, as far as these are there.

    room: from `add_tables`, from `begin` on. outputs: channels. targets: int64, where a lane's window is, from `lane`
    on; it is there if that is not negative and below `limit`. total: int16 or int32, flat, written from `origin` on.
    """
    whole = outputs - outputs % 16
    for column in range(0, whole, 16):
        store_columns(room, begin + column * 64, total, origin + column, targets, lane, limit)
    for i in range(64 if whole < outputs else 0):
        if 0 <= targets[lane + i] < limit:
            for column in range(whole, outputs):
                total[origin + targets[lane + i] + column] = room[begin + column * 64 + i]


@kernel
def table_forward(start, stop, spikes, max_count, weights, total, geometry):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co]` = the sum of codes times spikes of that window, cut to total's bits.

    Images start..stop-1. spikes: uint8, flat `[M*H*W*C_in]`, 0 or 1. max_count: 1. weights: TableWeights. total: int16
    or int32, flat `[M*Ho*Wo*C_out]`, written. geometry: ConvGeometry.
    """
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    groups = (channels + BITS - 1) // BITS
    together = max(1, min(stop - start, weights.together))
    columns = (width + 2 * padding + stride - 1) // stride
    line, area = stride * columns * together, out_height * out_width * outputs
    apart, across = (height + 2 * padding) * line, (out_width * together + LANES - 1) // LANES
    planes = np.zeros(groups * apart + (across + 1) * LANES, np.uint8)
    words = np.zeros(line + 64, np.int64)
    offsets = np.empty(size * size * groups, np.int64)
    for step in range(len(offsets)):
        ky, kx, group = step // (size * groups), step // groups % size, step % groups
        offsets[step] = group * apart + ky * line + (kx % stride * columns + kx // stride) * together
    vectors = out_height * across
    starts = np.zeros(vectors + VECTORS, np.int64)
    targets = np.full((vectors + VECTORS) * LANES, -1, np.int64)
    for y in range(out_height):
        for vector in range(across):
            starts[y * across + vector] = y * stride * line + vector * LANES
        for x in range(out_width):
            for i in range(together):
                lane = x * together + i
                place = (y * across + lane // LANES) * LANES + lane % LANES // 2 + lane % 2 * (LANES // 2)
                targets[place] = i * area + (y * out_width + x) * outputs
    blocks, pitch = VECTORS * LANES // 64, (outputs + 15) // 16 * 1024 + 128
    room = np.zeros(blocks * pitch, total.dtype)
    for first in range(start, stop, together):
        count = min(together, stop - first)
        fill_planes(spikes, first, count, together, geometry, columns, apart, words, planes)
        for vector in range(0, vectors, VECTORS):
            these = starts_of(starts, vector)
            add_all(planes, these, offsets, weights, outputs, room, pitch)
            for block in range(blocks):
                lane = vector * LANES + block * 64
                write_lanes(room, block * pitch, outputs, targets, lane, count * area, total, first * area)
