"""Sums over positions, per channel: exact for integer accumulators, float64 for others."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, halve, store, take16, to
from qpsnn_core.kernels.threads import kernel

ROWS = 2**14
"""Rows whose int16 sums, and whose squares in two halves of 16 bits, stay below 2**31."""


@kernel
def short_moments(start, stop, total, sums, squares):
    """`sums[c] += sum of total[i, c]`, `squares[c] += sum of total[i, c]**2`, rows start..stop-1 of int16, sums int64.

    total: int16 `[M, C]`; sums, squares: int64 `[C]`.
    Everything is added in 32 bits, squares in an upper and a lower half of 16 bits, and widened every 2**14 rows.
    """
    channels = total.shape[1]
    flat = total.reshape(-1)
    narrow = np.zeros((3, 16), np.int32)
    for c in range(0, channels, 16):
        count = channels - c
        for begin in range(start, stop, ROWS):
            first = upper = lower = fill16(0, narrow)
            for i in range(begin, min(begin + ROWS, stop)):
                value = to(take16(flat, i * channels + c, count), narrow)
                square = value * value
                top = halve(square, 16)
                first = first + value
                upper = upper + top
                lower = lower + (square - top * fill16(65536, narrow))
            store(narrow[0], 0, first)
            store(narrow[1], 0, upper)
            store(narrow[2], 0, lower)
            for k in range(min(16, count)):
                sums[c + k] += narrow[0, k]
                squares[c + k] += np.int64(narrow[1, k]) * 65536 + narrow[2, k]


@kernel
def integer_moments(start, stop, total, sums, squares):
    """As `short_moments`, for any integers `[M, C]`, in int64."""
    channels = total.shape[1]
    flat = total.reshape(-1)
    part = np.zeros((2, 16), np.int64)
    for c in range(0, channels, 16):
        count = channels - c
        first = second = fill16(0, part)
        for i in range(start, stop):
            value = to(take16(flat, i * channels + c, count), part)
            first, second = first + value, second + value * value
        store(part[0], 0, first)
        store(part[1], 0, second)
        for k in range(min(16, count)):
            sums[c + k] += part[0, k]
            squares[c + k] += part[1, k]


@kernel
def real_moments(start, stop, total, sums, squares):
    """As `short_moments`, for any numbers `[M, C]`, in float64: sums and squares are float64 `[C]`."""
    for i in range(start, stop):
        row = total[i]
        for c in range(row.shape[0]):
            value = np.float64(row[c])
            sums[c] += value
            squares[c] += value * value


@kernel
def gradient_moments(start, stop, gradient, total, sums, products):
    """`sums[c] += sum of g`, `products[c] += sum of g*total`, in float64, rows start..stop-1.

    gradient: float32 `[M, C]`. total: any numbers, of that shape. sums, products: float64 `[C]`.
    """
    for i in range(start, stop):
        g, a = gradient[i], total[i]
        for c in range(g.shape[0]):
            value = np.float64(g[c])
            sums[c] += value
            products[c] += value * np.float64(a[c])


@kernel
def real_moments_pieces(start, stop, pieces, steps, total, moments):
    """`real_moments` of pieces start..stop-1, over all steps: `moments[piece]` is (sums, squares).

    pieces: int64 `[pieces, 2]`, rows of a step from and to (`parts.pieces_of`). total: `[steps*N, C]`. moments: float64
    `[pieces, 2, C]`.
    """
    apart = len(total) // steps
    for piece in range(start, stop):
        for t in range(steps):
            begin, end = t * apart + pieces[piece, 0], t * apart + pieces[piece, 1]
            real_moments(begin, end, total, moments[piece, 0], moments[piece, 1])


@kernel
def gradient_moments_pieces(start, stop, pieces, steps, gradient, total, moments):
    """`gradient_moments` of pieces start..stop-1, over all steps: `moments[piece]` is (sums, products).

    The rest as for `real_moments_pieces`.
    """
    apart = len(total) // steps
    for piece in range(start, stop):
        for t in range(steps):
            begin, end = t * apart + pieces[piece, 0], t * apart + pieces[piece, 1]
            gradient_moments(begin, end, gradient, total, moments[piece, 0], moments[piece, 1])
