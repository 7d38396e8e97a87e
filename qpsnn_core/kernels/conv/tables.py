"""Codes as tables of sums: what a few spikes together, as an index, add to a window.

Tables hold bytes: sums of digits (`code = sum 16**q * digit_q`) from their lowest on, so that no sum is negative; what
is taken away is given back at the end, a number for each output channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.packing import aligned
from qpsnn_core.kernels.simd.llvm_lookup import BITS, LANES, OUTPUTS
from qpsnn_core.kernels.simd.vector import fill16, fill64, greater_equal, item, load16, load64, select, store
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
