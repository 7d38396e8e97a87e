"""Cholesky's factor `A = U^T U` of a symmetric matrix, the inverse, and solutions: the same bits on every processor.

A matrix is flat, in rows of a pitch that is a multiple of STRIP. Of a symmetric one only the upper triangle is read.
Panels of BLOCK rows are updated by products of all rows above (product.py), then eliminated within themselves; each
number is one chain of fused multiply-adds, in the order of rows.
"""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.kernels.linalg.product import BLOCK, LANES, Matrix, add_block, add_products, scratch_of
from qpsnn_core.kernels.simd.vector import fill16, item, load16, multiply_add, negative, set_item, store
from qpsnn_core.kernels.threads import kernel

STRIP = 2 * LANES
"""Columns that are eliminated at a time: those of a panel stay in the first cache."""

DONE = -1
"""What `factorize` gives where no pivot failed."""


def pitch_of(size: int) -> int:
    """The distance of rows: the size, up to a multiple of STRIP."""
    return -(-size // STRIP) * STRIP


def room_of(size: int) -> int:
    """The numbers of a matrix in such rows."""
    return size * pitch_of(size)


@kernel
def eliminate_row(factor, pitch, first, k, matrix, apart, c):
    """Two vectors of row k from column c on: `matrix[k] - sum over l in first..k-1 of factor[l, k] * matrix[l]`.

    factor: flat, rows of `pitch`; matrix: flat, rows of `apart`; both float64. The other rows are done.
    """
    place = k * apart + c
    one, two = load16(matrix, place), load16(matrix, place + LANES)
    for above in range(first, k):
        share, at = negative(fill16(item(factor, above * pitch + k), matrix)), above * apart + c
        one = multiply_add(share, load16(matrix, at), one)
        two = multiply_add(share, load16(matrix, at + LANES), two)
    return one, two


@kernel
def factorize(matrix, size):
    """U of `A = U^T U` in place of A, zeros below it; DONE, or the first row whose pivot is not above 0 (or infinite).

    matrix: float64, flat, rows of `pitch_of(size)`, `room_of(size)` numbers.
    """
    pitch = -(-size // STRIP) * STRIP
    whole, roots, scratch = Matrix(matrix, 0, pitch), np.empty(BLOCK), scratch_of()
    for begin in range(0, size, BLOCK):
        end = min(begin + BLOCK, size)
        add_block(whole, whole, whole, begin, begin, end - begin, (0, pitch), -1.0, True, False, scratch)
        for c in range(begin, size, STRIP):
            for k in range(begin, min(end, c + STRIP)):
                one, two = eliminate_row(matrix, pitch, begin, k, matrix, pitch, c)
                at = k * pitch
                if k >= c:  # the strip with the diagonal
                    store(matrix, at + c, one)
                    store(matrix, at + c + LANES, two)
                    pivot = item(matrix, at + k)
                    if not 0.0 < pivot < np.inf:
                        return k
                    roots[k - begin] = math.sqrt(pivot)
                root = fill16(roots[k - begin], matrix)
                store(matrix, at + c, one / root)
                store(matrix, at + c + LANES, two / root)
                if k >= c:
                    set_item(matrix, at + k, roots[k - begin])
    for k in range(size):
        matrix[k * pitch : k * pitch + k] = 0.0
        matrix[k * pitch + size : (k + 1) * pitch] = 0.0
    return DONE


@kernel
def invert_factor(factor, size, out):
    """W, the lower triangle with `U^T W = I`, so that `(U^T U)^-1 = W^T W`; in rows of `pitch_of(size)`.

    factor: U, of `factorize`. out: float64, flat, `room_of(size)` numbers, written.
    """
    pitch = -(-size // STRIP) * STRIP
    out[:] = 0.0
    left, right, scratch = Matrix(factor, 0, pitch), Matrix(out, 0, pitch), scratch_of()
    for begin in range(0, size, BLOCK):
        end = min(begin + BLOCK, size)
        for k in range(begin, end):
            set_item(out, k * pitch + k, 1.0)
        add_block(left, right, right, begin, begin, end - begin, (0, begin), -1.0, False, True, scratch)
        for c in range(0, end, STRIP):
            for k in range(max(begin, c), end):
                one, two = eliminate_row(factor, pitch, max(begin, c), k, out, pitch, c)
                root = fill16(item(factor, k * pitch + k), out)
                store(out, k * pitch + c, one / root)
                store(out, k * pitch + c + LANES, two / root)


@kernel
def mirror(matrix, size, pitch):
    """Copy what lies right of the diagonal to the left of it, in squares of STRIP.

    matrix: `size` rows and columns, flat, in rows of `pitch` numbers, changed in place.
    """
    for i in range(0, size, STRIP):
        for j in range(0, i + 1, STRIP):
            for k in range(i, min(i + STRIP, size)):
                for c in range(j, min(j + STRIP, k)):
                    matrix[k * pitch + c] = matrix[c * pitch + k]


@kernel
def invert(matrix, size, scratch):
    """The inverse of a positive definite matrix in its place, all of it; as `factorize`, which says what is given.

    scratch: float64, flat, `room_of(size)` numbers. What lies right of the matrix is zero after it.
    """
    failed = factorize(matrix, size)
    if failed != DONE:
        return failed
    pitch = -(-size // STRIP) * STRIP
    invert_factor(matrix, size, scratch)
    matrix[: size * pitch] = 0.0
    whole, blocks = Matrix(scratch, 0, pitch), -(-size // BLOCK)
    add_products(0, blocks, whole, whole, Matrix(matrix, 0, pitch), size, size, pitch, True, True)
    mirror(matrix, size, pitch)
    return DONE


@kernel
def solve(factor, size, vector, room):
    """x of `U^T U x = b`, in place of b. factor: U, of `factorize`. vector, room: float64 [`pitch_of(size)`].

    Forward, what is known leaves row after row; backward, products are summed in LANES chains, then one after another.
    """
    pitch = -(-size // STRIP) * STRIP
    vector[size:pitch] = 0.0
    for k in range(size):
        value = item(vector, k) / item(factor, k * pitch + k)
        share = fill16(-value, vector)
        for c in range((k + 1) // LANES * LANES, pitch, LANES):
            store(vector, c, multiply_add(share, load16(factor, k * pitch + c), load16(vector, c)))
        set_item(vector, k, value)
    lanes = np.empty(LANES)
    room[:pitch] = 0.0
    for k in range(size - 1, -1, -1):
        sums = fill16(0, vector)
        for c in range((k + 1) // LANES * LANES, pitch, LANES):
            sums = multiply_add(load16(factor, k * pitch + c), load16(room, c), sums)
        store(lanes, 0, sums)
        total = 0.0
        for lane in lanes:
            total += lane
        set_item(room, k, (item(vector, k) - total) / item(factor, k * pitch + k))
    vector[:pitch] = room[:pitch]


@kernel
def gather(source, apart, index, out):
    """`out[i, j] = source[index[i], index[j]]`, in rows of `pitch_of(len(index))`, as `factorize` wants it.

    source: float64, flat, rows of `apart`. index: int64. out: float64, flat, written as far as it is read.
    """
    size = len(index)
    pitch = -(-size // STRIP) * STRIP
    for i in range(size):
        row, at = index[i] * apart, i * pitch
        for j in range(size):
            out[at + j] = source[row + index[j]]
        out[at + size : at + pitch] = 0.0
