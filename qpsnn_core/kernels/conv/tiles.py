"""Convolutions of bytes on Intel's tile unit (AMX), 32 windows by 32 output channels at a time.

The windows of a panel are copied one after another, rows of a matrix that stays in the cache while all output channels
pass; the codes are those of `byte_products`, with all taps of a window in one row of words. Sums of digits come from
the unit one pair of digits after another.

Off unless QPSNN_PRODUCT asks for it. It has run in Python, with each instruction by what it means (`simd.amx`), and is
compiled by a test; none of this project's tests has run it on the unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.byte_products import TOGETHER, interleave, lay_out
from qpsnn_core.kernels.conv.packing import aligned
from qpsnn_core.kernels.simd.amx import BYTES, CONFIG, ROWS, configure, load, multiply, release, save, zero
from qpsnn_core.kernels.simd.vector import fill16, load16, load64, store, store_masked, to
from qpsnn_core.kernels.threads import kernel

zero0, zero1, zero2, zero3 = (zero(tile) for tile in range(4))
upper, lower, left, right = (load(tile) for tile in range(4, 8))
save0, save1, save2, save3 = (save(tile) for tile in range(4))
multiply0, multiply1, multiply2, multiply3 = multiply(0, 4, 6), multiply(1, 4, 7), multiply(2, 5, 6), multiply(3, 5, 7)

SIDE = 2 * ROWS
"""Windows of a panel, and output channels that meet them at once: four tiles of sums."""


class TileWeights(NamedTuple):
    """`code = sum over q of 256**q * digit_q`. table: int8, flat [blocks, digits, words, 16, 4], blocks in pairs.

    words: of a window, k*k*C_in bytes and zeros behind up to whole tiles. config: what the unit is configured by.
    """

    table: Array
    digits: int
    words: int
    config: Array


def pack_tiles(codes: Array) -> TileWeights:
    """Integers [k, k, C_in, C_out] of at most 16 bits as `tile_forward` reads them."""
    outputs = codes.shape[-1]
    taps = codes.size // outputs
    lowest, highest, digits = int(codes.min(initial=0)), int(codes.max(initial=0)), 1
    while lowest < -128 or highest > 127:
        lowest, highest, digits = (lowest + 128) >> 8, (highest + 128) >> 8, digits + 1
    words, blocks = -(-taps // BYTES) * ROWS, -(-outputs // SIDE) * 2
    table = aligned(blocks * digits * words * BYTES, np.int8)
    table[:] = 0
    interleave(np.ascontiguousarray(codes).reshape(-1), 1, taps, words, outputs, digits, 8, 16, table)
    return TileWeights(table, digits, words, CONFIG)


@kernel
def lay_panel(lines, places, begin, size, run, pitch, panel, row):
    """The window at each of SIDE places as a row of `panel`, `pitch` bytes apart from `row` on.

    lines: from `lay_out`, rows of `begin[1]` bytes from `begin[0]` on. places: of windows, SIDE of them. size: rows of
    a window. run: bytes of each. Up to 64 bytes behind a row of the panel are written too.
    """
    first, line = begin
    for i in range(SIDE):
        for ky in range(size):
            here, there = first + places[i] + ky * line, row + i * pitch + ky * run
            for byte in range(0, run, BYTES):
                store(panel, there + byte, load64(lines, here + byte))


@kernel
def square(panel, row, pitch, table, at, other, length, sums):
    """SIDE x SIDE sums: the panel's rows from `row` on, times two blocks of the table, at `at` and `other`.

    pitch: bytes of a row of the panel. length: bytes that are multiplied, in whole tiles. sums: int32, flat, written.
    """
    zero0()
    zero1()
    zero2()
    zero3()
    for k in range(0, length, BYTES):
        upper(panel, row + k, pitch)
        lower(panel, row + ROWS * pitch + k, pitch)
        left(table, at + k * ROWS, BYTES)
        right(table, other + k * ROWS, BYTES)
        multiply0()
        multiply1()
        multiply2()
        multiply3()
    save0(sums, 0, 4 * SIDE)
    save1(sums, ROWS, 4 * SIDE)
    save2(sums, ROWS * SIDE, 4 * SIDE)
    save3(sums, ROWS * SIDE + ROWS, 4 * SIDE)


@kernel
def write_square(sums, total, at, pitch, windows, lanes):
    """The first `windows` rows and `lanes` columns of SIDE x SIDE sums, `pitch` numbers apart from `at` on.

    sums: int32, flat. total: int16 or int32, flat, written; numbers are cut to its bits.
    """
    for i in range(min(windows, SIDE)):
        for lane in range(0, min(lanes, SIDE), 16):
            numbers = to(load16(sums, i * SIDE + lane), total)
            if lanes - lane >= 16:
                store(total, at + i * pitch + lane, numbers)
            else:
                store_masked(total, at + i * pitch + lane, numbers, lanes - lane)


@kernel
def tile_forward(start, stop, counts, max_count, weights, total, geometry):
    """As `dense_forward`, on the tile unit: `total[(m*Ho*Wo + y*Wo + x)*C_out + co]`, written.

    Images start..stop-1. counts: unsigned, flat `[M*H*W*C_in]`, `max_count` at most. weights: TileWeights. total: int16
    or int32, flat `[M*Ho*Wo*C_out]`. geometry: ConvGeometry. The system must have granted the unit.
    """
    table, digits, words, config = weights
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    line, windows, length = (width + 2 * padding) * channels, out_height * out_width, words * 4
    area, pitch = (height + 2 * padding) * line, length + BYTES
    group, planes = max(1, min(stop - start, (TOGETHER + windows - 1) // windows)), 1
    while max_count >> (8 * planes):
        planes += 1
    apart, part = group * area, words * BYTES
    lines = np.zeros(planes * apart + BYTES, np.uint8)
    panel = np.zeros(planes * SIDE * pitch + BYTES, np.uint8)
    sums, room = np.zeros(SIDE * SIDE, np.int32), np.zeros(SIDE * SIDE, np.int32)
    places = np.zeros(SIDE, np.int64)
    configure(config)
    for first in range(start, stop, group):
        count = min(group, stop - first)
        lay_out(counts, first, count, planes, apart, geometry, lines)
        for window in range(0, count * windows, SIDE):
            for i in range(SIDE):
                n = min(window + i, count * windows - 1)
                m, y, x = n // windows, n % windows // out_width, n % out_width
                places[i] = m * area + y * stride * line + x * stride * channels
            for p in range(planes):
                lay_panel(lines, places, (p * apart, line), size, size * channels, pitch, panel, p * SIDE * pitch)
            for column in range(0, outputs, SIDE):
                for p in range(planes):
                    for q in range(digits):
                        at = (column // 16 * digits + q) * part
                        other = at + digits * part
                        square(panel, p * SIDE * pitch, pitch, table, at, other, length, room if p + q else sums)
                        for i in range(0, SIDE * SIDE if p + q else 0, 16):
                            more = load16(room, i) * fill16(1 << (8 * (p + q)), room)
                            store(sums, i, load16(sums, i) + more)
                out = (first * windows + window) * outputs + column
                write_square(sums, total, out, outputs, count * windows - window, outputs - column)
    release()
