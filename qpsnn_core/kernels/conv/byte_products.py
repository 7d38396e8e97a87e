"""Convolutions of bytes: every count of a window times its code, summed exactly in registers, four at a time.

Where `forward.conv_forward` adds a row of weights for each spike, this multiplies what is there, zeros too: its time is
the same at any rate. Tiles of PIXELS windows and 16 or 32 output channels stay in registers. Images are copied with
their padding, a few kilobytes at a time, so that a row of a window is a run of bytes.

Counts and codes that do not fit a byte are split into digits: `count = sum 256**p * count_p`, bytes, and `code = sum
base**q * code_q`, balanced digits, so that a sum is that of the products of digits, the highest power first, times the
base from one power to the next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.packing import aligned
from qpsnn_core.kernels.simd.llvm_tile import PIXELS, VNNI, WIDE
from qpsnn_core.kernels.simd.tile import add_products, places_of, shift_tile, store_tile, zeros
from qpsnn_core.kernels.simd.vector import fill16, halve, load16, load64, store, take16, to, weave
from qpsnn_core.kernels.threads import kernel

TOGETHER = 64
"""Windows of images that are laid out together, at least: small images would not fill tiles."""

WORD = 4
"""Bytes that are multiplied and added at once."""


class DenseWeights(NamedTuple):
    """`code = sum over q of 2**(bits*q) * digit_q`. table: int8, flat [blocks, digits, k, words, lanes, WORD].

    words: of one row of a window, k*C_in bytes and zeros behind. wide: True where a block has 32 output channels; None
    where it has 16, for which Numba compiles other code.
    """

    table: Array
    digits: int
    bits: int
    wide: bool | None


def images_at_once(geometry: ConvGeometry) -> int:
    """The fewest images that fill tiles, and that are worth a thread's while."""
    return -(-TOGETHER // (geometry.out_height * geometry.out_width))


def pack_bytes(codes: Array, max_count: int) -> DenseWeights:
    """Integers [k, k, C_in, C_out] of at most 16 bits as `dense_forward` reads them, for counts up to `max_count`.

    Without VNNI, two products of bytes are added in 16 bits: digits are then so small that they fit.
    """
    size, _, channels, outputs = codes.shape
    bits = 8 if VNNI or 2 * max_count * 128 < 2**15 else 4
    lowest, highest, digits = int(codes.min(initial=0)), int(codes.max(initial=0)), 1
    half = 1 << (bits - 1)
    while not (-half <= lowest and highest < half):
        lowest, highest, digits = (lowest + half) >> bits, (highest + half) >> bits, digits + 1
    wide = True if WIDE and outputs > 16 else None
    lanes = 32 if wide else 16
    blocks, words = -(-outputs // lanes), -(-size * channels // WORD)
    table = aligned(blocks * digits * size * words * lanes * WORD, np.int8)
    interleave(
        np.ascontiguousarray(codes).reshape(-1), size, size * channels, words, outputs, digits, bits, lanes, table
    )
    return DenseWeights(table, digits, bits, wide)


@kernel
def interleave(flat, size, taps, words, outputs, digits, bits, lanes, table):
    """`table[block, q, ky, word, lane, i]` = digit q of `flat[ky, WORD*word + i, block*lanes + lane]`; zeros beyond.

    flat: integers, flat `[size, taps, outputs]`. words: of a row, which hold taps and zeros. digits: of
    each; -2**(bits-1) <= digit < 2**(bits-1). table: int8, flat, written.
    """
    part = size * words * lanes * WORD
    numbers, digit = np.zeros(4 * 16, np.int32), np.zeros(4 * 16, np.int8)
    half = fill16(1 << (bits - 1), numbers)
    scale = fill16(1 << bits, numbers)
    for block in range((outputs + lanes - 1) // lanes):
        for ky in range(size):
            for word in range(words):
                for first in range(0, lanes, 16):
                    column = block * lanes + first
                    for i in range(WORD):
                        tap = word * WORD + i
                        count = max(0, outputs - column) if tap < taps else 0
                        row = (ky * taps + tap) * outputs + column
                        if count >= 16:
                            store(numbers, i * 16, to(load16(flat, row), numbers))
                        elif count > 0:
                            store(numbers, i * 16, to(take16(flat, row, count), numbers))
                        else:
                            store(numbers, i * 16, fill16(0, numbers))
                    at = block * digits * part + ((ky * words + word) * lanes + first) * WORD
                    for q in range(digits):
                        for i in range(WORD):
                            number = load16(numbers, i * 16)
                            rest = halve(number + half, bits)
                            store(digit, i * 16, to(number - rest * scale, digit))
                            store(numbers, i * 16, rest)
                        even = weave(load16(digit, 0), load16(digit, 32))
                        odd = weave(load16(digit, 16), load16(digit, 48))
                        store(table, at + q * part, weave(even, odd))


@kernel
def lay_out(counts, first, count, planes, apart, geometry, lines):
    """Images first..first+count-1 with their padding, byte p of every number in plane p.

    counts: unsigned, flat `[M, H, W, C]`. geometry: ConvGeometry. lines: uint8, flat, `planes` planes that begin
    `apart` bytes after each other, of images `[H + 2*padding, W + 2*padding, C]`; what is padding stays as it is.
    """
    height, width, channels, _, _, _, padding, _, _ = geometry
    line, pitch = width * channels, (width + 2 * padding) * channels
    area = (height + 2 * padding) * pitch
    for m in range(count):
        for y in range(height):
            here = ((first + m) * height + y) * line
            there = m * area + (y + padding) * pitch + padding * channels
            for i in range(0, line - line % 64, 64):
                store(lines, there + i, to(load64(counts, here + i), lines))
            for i in range(line - line % 64, line):
                lines[there + i] = counts[here + i] & 255
            for p in range(1, planes):
                for i in range(line):
                    lines[p * apart + there + i] = (counts[here + i] >> (8 * p)) & 255


@kernel
def add_window(tile, lines, places, begin, pitch, size, words, lanes, table, at):
    """A tile plus the products of whole windows with one digit of their weights.

    tile: sums. lines: from `lay_out`. places: where each window begins, after `begin`. pitch: bytes of a line. size:
    lines of a window. words: WORDs of each. lanes: of the tile. table: of DenseWeights, whose digit begins at `at`.
    """
    for ky in range(size):
        for offset in range(begin + ky * pitch, begin + ky * pitch + words * WORD, WORD):
            tile = add_products(tile, lines, places, offset, table, at)
            at += lanes * WORD
    return tile


@kernel
def dense_forward(start, stop, counts, max_count, weights, total, geometry):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co]` = the sum of codes times counts of that window, cut to total's bits.

    Images start..stop-1. counts: unsigned, flat `[M*H*W*C_in]`, `max_count` at most. weights: DenseWeights, packed for
    that. total: int16 or int32, flat `[M*Ho*Wo*C_out]`, written. geometry: ConvGeometry.
    """
    table, digits, bits, wide = weights
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    pitch, windows = (width + 2 * padding) * channels, out_height * out_width
    area, lanes, words = (
        (height + 2 * padding) * pitch,
        16 if wide is None else 32,
        (size * channels + WORD - 1) // WORD,
    )
    group, planes = max(1, min(stop - start, (TOGETHER + windows - 1) // windows)), 1
    while max_count >> (8 * planes):
        planes += 1
    step, blocks, part = 8 // bits, (outputs + lanes - 1) // lanes, size * words * lanes * WORD
    apart = group * area
    lines = np.zeros(planes * apart + WORD, np.uint8)
    places = np.zeros(group * windows + PIXELS, np.int64)
    for window in range(len(places)):
        m, y, x = window // windows, window % windows // out_width, window % out_width
        places[window] = m * area + y * stride * pitch + x * stride * channels if m < group else 0
    for first in range(start, stop, group):
        count = min(group, stop - first)
        lay_out(counts, first, count, planes, apart, geometry, lines)
        for block in range(blocks):
            for window in range(0, count * windows, PIXELS):
                these, tile = places_of(places, window), zeros(wide)
                for power in range((planes - 1) * step + digits - 1, -1, -1):
                    tile = shift_tile(tile, bits)
                    for p in range(planes):
                        q = power - p * step
                        if 0 <= q < digits:
                            at = (block * digits + q) * part
                            tile = add_window(tile, lines, these, p * apart, pitch, size, words, lanes, table, at)
                out = (first * windows + window) * outputs + block * lanes
                store_tile(total, out, outputs, tile, count * windows - window, outputs - block * lanes)
