"""Convolutions of spikes by tables: a few input channels of a pixel are an index, for which a table has the sum.

BITS spikes are BITS of 2**BITS sums away from those of their weights, so that one instruction does the work of LANES x
BITS products (`simd.lookup`). Like that of `byte_products`, its time is the same at any rate. Lanes are windows side by
side, of one row of a few images, whose pixels alternate.

Tables hold bytes: sums of digits (`code = sum 16**q * digit_q`) from their lowest on, so that no sum is negative; what
is taken away is given back at the end, a number for each output channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.packing import aligned
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
from qpsnn_core.kernels.simd.vector import (
    fill16,
    fill64,
    greater_equal,
    item,
    load16,
    load64,
    select,
    set_item,
    store,
    take64,
)
from qpsnn_core.kernels.threads import kernel

ENTRIES = 2**BITS
"""Sums of a table."""

EACH = OUTPUTS * ENTRIES
"""Bytes of the tables that a step reads."""

load, fill = (load64, fill64) if BITS == 6 else (load16, fill16)

LARGEST = 255 // 6
"""The largest magnitude of a digit: the sum of as many as an index may have must fit a byte."""

SPANS = (5, 2)
"""Steps whose bytes are added before their sum is widened, where it fits a byte; else one."""

WINDOWS = 1024
"""The most windows in a row of images that alternate."""


class TableWeights(NamedTuple):
    """Codes as `table_forward` reads them: `code = 2**shift * sum 16**q * digit_q`, plus one where shift is 1.

    tables: uint8, flat [outputs/OUTPUTS, digits, taps, groups of channels, OUTPUTS, ENTRIES], the highest digit first;
    and [taps, groups, OUTPUTS, ENTRIES] that count spikes, and zeros. base: int32, flat [digits + 1, outputs up to a
    multiple of OUTPUTS], what is added to the sums of each; the last are zeros. span: of so many groups, of SPANS or 1,
    bytes hold the sum. stretch: of so many, a multiple of span, unsigned 16 bits do. together: images whose pixels
    alternate.
    """

    tables: Array
    base: Array
    digits: int
    shift: int
    span: int
    stretch: int
    together: int


def images_together(geometry: ConvGeometry) -> int:
    """The fewest images with which rows of windows fill lanes best; rows are of so many WINDOWS, or of one image."""
    width = geometry.out_width
    rows = width * np.arange(1, max(1, min(LANES, WINDOWS // width)) + 1)
    return 1 + int(np.argmax(rows / (-(-rows // LANES) * LANES)))


def table_bytes(geometry: ConvGeometry) -> int:
    """Bytes of the tables of one digit."""
    steps = geometry.kernel**2 * -(-geometry.channels // BITS)
    return steps * -(-geometry.outputs // OUTPUTS) * EACH


def pack_tables(codes: Array, geometry: ConvGeometry) -> TableWeights:
    """Integers [k, k, C_in, C_out] of at most 16 bits as `table_forward` reads them.

    Odd codes are halved: of b bits, the sum of six is then at most 3 * 2**b from lowest to highest, not twice that.
    """
    size, _, channels, outputs = codes.shape
    rest, digits = codes.reshape(-1), []
    shift = int(bool((rest & 1).all()))
    rest = rest >> shift
    while max(int(rest.max(initial=0)), -int(rest.min(initial=0))) > LARGEST:
        rest = rest.astype(np.int32)
        digits.append((((rest + 8) & 15) - 8).astype(np.int8))
        rest = (rest - digits[-1]) >> 4
    numbers = np.concatenate((*digits, rest.astype(np.int8)))
    count, steps = len(digits) + 1, size * size * -(-channels // BITS)
    rows = -(-outputs // OUTPUTS) * OUTPUTS
    tables = aligned((rows * count + OUTPUTS) * steps * ENTRIES, np.uint8)
    base, reach = np.zeros((count + 1) * rows, np.int32), np.zeros((count, steps, rows), np.int32)
    fill_tables(numbers, size * size, channels, outputs, count, tables, base, reach.reshape(-1))
    base <<= shift
    span = next((n for n in SPANS if int(_sums(reach, n).max()) < 2**8), 1)
    stretch = span * _longest(_sums(reach, span), 2**16 - 1)
    return TableWeights(tables, base, count, shift, span, stretch, images_together(geometry))


def _sums(reach: Array, steps: int) -> Array:
    """Sums of `steps` neighbours along the second axis, of what is left at the end."""
    return np.add.reduceat(reach, np.arange(0, reach.shape[1], steps), axis=1)


def _longest(reach: Array, most: int) -> int:
    """Of so many neighbours no sum is more than `most`, but of one more."""
    steps = max(1, most // max(1, int(reach.max())))
    while steps < reach.shape[1] and int(_sums(reach, steps + 1).max()) <= most:
        steps += 1
    return min(steps, reach.shape[1])


@kernel
def fill_tables(numbers, taps, channels, outputs, digits, tables, base, reach):
    """`table[e]` = the sum of the digits that e has a bit for, less the lowest sum of that table; and what both reach.

    numbers: int8, flat [digits, taps, channels, outputs], the lowest digit first. tables, base: of TableWeights,
    written; base was 0. reach: int32, flat [digits, steps, outputs], written: the largest sum of each table; outputs up
    to a multiple of OUTPUTS. Behind the tables of all outputs come those that count.
    """
    groups, rows = (channels + BITS - 1) // BITS, (outputs + OUTPUTS - 1) // OUTPUTS * OUTPUTS
    steps, digit = taps * groups, np.zeros(6, np.int64)
    bits = np.zeros(6 * ENTRIES, np.uint8)
    for i in range(BITS):
        for e in range(ENTRIES):
            bits[i * ENTRIES + e] = e >> i & 1
    one, zero = fill(1, tables), fill(0, tables)
    b0, b1 = greater_equal(load(bits, 0), one), greater_equal(load(bits, ENTRIES), one)
    b2, b3 = greater_equal(load(bits, 2 * ENTRIES), one), greater_equal(load(bits, 3 * ENTRIES), one)
    b4, b5 = greater_equal(load(bits, 4 * ENTRIES), one), greater_equal(load(bits, 5 * ENTRIES), one)
    for output in range(rows):
        for q in range(digits):
            first = (output // OUTPUTS * digits + q) * steps
            for step in range(steps):
                channel = step % groups * BITS
                place = (((digits - 1 - q) * taps + step // groups) * channels + channel) * outputs + output
                there = min(BITS, channels - channel) if output < outputs else 0
                below = above = 0
                for i in range(BITS):
                    digit[i] = item(numbers, place + i * outputs) if i < there else 0
                    below -= min(digit[i], 0)
                    above += max(digit[i], 0)
                low = fill(below, tables) + select(b0, fill(digit[0], tables), zero)
                low = low + select(b1, fill(digit[1], tables), zero) + select(b2, fill(digit[2], tables), zero)
                low = low + select(b3, fill(digit[3], tables), zero) + select(b4, fill(digit[4], tables), zero)
                low = low + select(b5, fill(digit[5], tables), zero)
                store(tables, ((first + step) * OUTPUTS + output % OUTPUTS) * ENTRIES, low)
                base[q * rows + output] -= below
                reach[(q * steps + step) * rows + output] = below + above
    low = zero
    for i in range(BITS):
        low = low + load(bits, i * ENTRIES)
    for step in range(rows * digits * steps // OUTPUTS, (rows * digits // OUTPUTS + 1) * steps):
        store(tables, step * EACH, low)
        store(tables, step * EACH + ENTRIES, zero)


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
