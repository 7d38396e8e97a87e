"""Products of many small matrices, six rows by as many columns as registers hold at a time, summed in those registers.

The right matrices lie in panels of WIDTH columns, row after row, so that a product reads them as they lie. BLAS would
lay them out anew for every product, and takes as long again for the small ones.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.conv.channel_lists import turn_round
from qpsnn_core.kernels.simd.llvm import AVX512
from qpsnn_core.kernels.simd.vector import fill16, fill32, load16, load32, multiply_add, store, take64, to
from qpsnn_core.kernels.threads import kernel

ROWS = 6

WIDTH = 32 if AVX512 else 16
"""Columns of a panel: 6 rows of them fill 12 registers, of the 32 (64 bytes each) or 16 (32 bytes) that there are."""

load, fill = (load32, fill32) if AVX512 else (load16, fill16)


@kernel
def products(count, left, right, product, rows, inner, column):
    """`product[p, :, column:column + WIDTH] = left[p] @ right[p]` for p < count; float32.

    All three are Matrices: left `[count, rows, inner]`, right `[count, inner, WIDTH]`, one panel each, whose pitch is
    WIDTH, product `[count, rows, columns]`. Sums run in the order of `inner`, with one rounding each. There are at
    least ROWS rows of memory; the last ROWS are computed twice where they must be.
    """
    numbers, left_apart, left_pitch = left
    panel, right_apart, _ = right
    out, out_apart, out_pitch = product
    for p in range(count):
        for i in range(0, rows, ROWS):
            row = max(0, min(i, rows - ROWS))
            s0 = s1 = s2 = s3 = s4 = s5 = fill(0, out)
            at0 = p * left_apart + row * left_pitch
            at1, at2, at3 = at0 + left_pitch, at0 + 2 * left_pitch, at0 + 3 * left_pitch
            at4, at5 = at0 + 4 * left_pitch, at0 + 5 * left_pitch
            at = p * right_apart
            for k in range(inner):
                line = load(panel, at)
                s0 = multiply_add(fill(numbers[np.uint64(at0 + k)], out), line, s0)
                s1 = multiply_add(fill(numbers[np.uint64(at1 + k)], out), line, s1)
                s2 = multiply_add(fill(numbers[np.uint64(at2 + k)], out), line, s2)
                s3 = multiply_add(fill(numbers[np.uint64(at3 + k)], out), line, s3)
                s4 = multiply_add(fill(numbers[np.uint64(at4 + k)], out), line, s4)
                s5 = multiply_add(fill(numbers[np.uint64(at5 + k)], out), line, s5)
                at += WIDTH
            place = p * out_apart + row * out_pitch + column
            store(out, place, s0)
            store(out, place + out_pitch, s1)
            store(out, place + 2 * out_pitch, s2)
            store(out, place + 3 * out_pitch, s3)
            store(out, place + 4 * out_pitch, s4)
            store(out, place + 5 * out_pitch, s5)


@kernel
def square_of(matrix, above, rows, columns, row, column, out, room):
    """16 rows of a flat matrix from `row` on, 64 numbers of each from `column` on, as 64 rows of 16 in `out`.

    above: the rows before the matrix's first. Zeros beyond `rows` and `columns`. out, room: 1024 numbers each, of the
    matrix's type.
    """
    for i in range(16):
        count = columns - column if row + i < rows else 0
        store(out, i * 64, take64(matrix, (above + row + i) * columns + column, count))
    turn_round(out, room)


@kernel
def panels_of(start, stop, matrix, rows, columns, out):
    """Panels start..stop-1 of WIDTH rows of a flat matrix, each transposed: `[columns, WIDTH]`, zeros beyond the last.

    matrix: any numbers, flat `[rows, columns]`. out: float32, flat, `[panels, columns, WIDTH]`, written.
    """
    block, room = np.empty(1024, matrix.dtype), np.empty(1024, matrix.dtype)
    for panel in range(start, stop):
        for part in range(0, WIDTH, 16):
            for first in range(0, columns, 64):
                square_of(matrix, 0, rows, columns, panel * WIDTH + part, first, block, room)
                for i in range(min(64, columns - first)):
                    store(out, (panel * columns + first + i) * WIDTH + part, to(load16(block, i * 16), out))
