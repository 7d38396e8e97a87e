"""Products `L^T R` of float64 matrices, added to a third: the same bits on every processor.

Each number of the result is one chain of fused multiply-adds, in the order of the rows of L and R, which begins with
what is there. Tiles and blocks only say in which registers and caches the chains run: they may suit the processor.
A matrix is flat, its numbers in rows of a pitch; what lies behind a row is neither read nor written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.simd.llvm import AVX512
from qpsnn_core.kernels.simd.vector import fill8, fill16, item, load8, load16, multiply_add, set_item, store
from qpsnn_core.kernels.threads import kernel

LANES = 16
"""Columns that the first of a block is a multiple of."""

WIDTH = 16 if AVX512 else 8
"""Columns of a tile: ROWS rows of them fill 12 registers, of the 32 (64 bytes each) or 16 (32 bytes) that there are."""

ROWS = 6

BLOCK = 96
"""Rows of a result that read the same packed columns: a whole number of tiles."""

INNER = 256
"""Rows of L and R at a time: so many of WIDTH columns fit the first cache."""

load, fill = (load16, fill16) if AVX512 else (load8, fill8)


class Matrix(NamedTuple):
    """Numbers from `offset` on, flat, in rows of `pitch`: row i, column j at `offset + i*pitch + j`."""

    numbers: Any
    offset: Any
    pitch: Any


@kernel
def tile(left, start, right, inner, out, place, pitch):
    """`out[i, j] += sum over k < inner of left[k, i] * right[k, j]`, ROWS rows from `place` on, WIDTH columns.

    left: packed, flat, [inner, ROWS] from `start` on. right: packed, flat [inner, WIDTH]. out: flat, rows of `pitch`.
    All float64.
    """
    at1, at2, at3 = place + pitch, place + 2 * pitch, place + 3 * pitch
    at4, at5 = place + 4 * pitch, place + 5 * pitch
    s0, s1, s2 = load(out, place), load(out, at1), load(out, at2)
    s3, s4, s5 = load(out, at3), load(out, at4), load(out, at5)
    for k in range(inner):
        line, at = load(right, k * WIDTH), start + k * ROWS
        s0 = multiply_add(fill(item(left, at), out), line, s0)
        s1 = multiply_add(fill(item(left, at + 1), out), line, s1)
        s2 = multiply_add(fill(item(left, at + 2), out), line, s2)
        s3 = multiply_add(fill(item(left, at + 3), out), line, s3)
        s4 = multiply_add(fill(item(left, at + 4), out), line, s4)
        s5 = multiply_add(fill(item(left, at + 5), out), line, s5)
    store(out, place, s0)
    store(out, at1, s1)
    store(out, at2, s2)
    store(out, at3, s3)
    store(out, at4, s4)
    store(out, at5, s5)


@kernel
def pack_left(left, first, inner, row, rows, sign, packed):
    """Columns row..row+rows-1 of L, its rows first..first+inner-1, as tiles `[inner, ROWS]`; zeros beyond the last.

    left: Matrix. sign: what each is multiplied with, 1.0 or -1.0. packed: float64, flat, written.
    """
    numbers, offset, pitch = left
    at = 0
    for i in range(0, rows, ROWS):
        count = min(ROWS, rows - i)
        for k in range(inner):
            place = offset + (first + k) * pitch + row + i
            for r in range(count):
                set_item(packed, at + r, sign * item(numbers, place + r))
            for r in range(count, ROWS):
                set_item(packed, at + r, 0.0)
            at += ROWS


@kernel
def pack_right(right, first, inner, column, columns, packed):
    """WIDTH columns of R from `column` on, its rows first..first+inner-1, as `[inner, WIDTH]`; zeros from `columns` on.

    right: Matrix. packed: float64, flat, written.
    """
    numbers, offset, pitch = right
    count = min(WIDTH, columns - column)
    for k in range(inner):
        place = offset + (first + k) * pitch + column
        if count == WIDTH:
            store(packed, k * WIDTH, load(numbers, place))
            continue
        for j in range(WIDTH):
            set_item(packed, k * WIDTH + j, item(numbers, place + j) if j < count else 0.0)


@kernel
def tile_at_edge(left, start, right, inner, out, place, pitch, rows, columns, edge):
    """`tile` of which only so many rows and columns are there.

    left, start, right, inner, out, place, pitch: as for `tile`. edge: scratch [ROWS*WIDTH].
    """
    edge[:] = 0.0
    for i in range(rows):
        for j in range(columns):
            edge[i * WIDTH + j] = out[place + i * pitch + j]
    tile(left, start, right, inner, edge, 0, WIDTH)
    for i in range(rows):
        for j in range(columns):
            out[place + i * pitch + j] = edge[i * WIDTH + j]


@kernel
def add_block(left, right, out, inner, row, rows, columns, sign, upper, falling, scratch):
    """`out[i, j] += sign * sum over k < inner of left[k, i] * right[k, j]`, of at most BLOCK rows i, all columns j.

    left, right, out: Matrix, float64. row, rows: the first of the result's rows, and how many. columns: the first (a
    multiple of LANES) and the one after the last. sign: 1.0 or -1.0. upper: only tiles that reach the diagonal of the
    result, or lie right of it. falling: the right matrix is a lower triangle: the sums of WIDTH columns begin at the
    row of the first of them. scratch: from `scratch_of`.
    """
    packed, panel, edge = scratch
    found, offset, apart = out
    begin, end = columns
    if upper:
        begin = max(begin, row // LANES * LANES)
    for first in range(begin if falling else 0, inner, INNER):
        some = min(INNER, inner - first)
        pack_left(left, first, some, row, rows, sign, packed)
        for j in range(begin, end, WIDTH):
            skipped = max(0, j - first) if falling else 0
            if skipped >= some:
                break
            pack_right(right, first + skipped, some - skipped, j, end, panel)
            for i in range(0, rows, ROWS):
                if upper and row + i >= j + WIDTH:
                    break
                start, at, deep = i * some + skipped * ROWS, offset + (row + i) * apart + j, some - skipped
                if i + ROWS <= rows and j + WIDTH <= end:
                    tile(packed, start, panel, deep, found, at, apart)
                    continue
                tile_at_edge(
                    packed, start, panel, deep, found, at, apart, min(ROWS, rows - i), min(WIDTH, end - j), edge
                )


@kernel
def scratch_of():
    """Memory for one thread's `add_block`."""
    return np.empty(BLOCK * INNER), np.empty(WIDTH * INNER), np.empty(ROWS * WIDTH)


@kernel
def add_products(start, stop, left, right, out, inner, rows, columns, upper, falling):
    """`out += L^T R`, blocks start..stop-1 of BLOCK rows.

    left: Matrix [inner, rows]. right: [inner, columns]. out: [rows, columns]. upper, falling: as for `add_block`.
    """
    scratch = scratch_of()
    for block in range(start, stop):
        row = block * BLOCK
        some = min(BLOCK, rows - row)
        add_block(left, right, out, inner, row, some, (0, columns), 1.0, upper, falling, scratch)


def blocks_of(rows: int) -> int:
    """How many blocks so many rows have."""
    return -(-rows // BLOCK)
