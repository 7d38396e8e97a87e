"""How many singular values of small matrices of counts exceed a threshold, proved by an orthogonalisation.

Householder reflections with column pivoting give A P = Q [R S; 0 V]: R is an upper triangle of r columns, V is what
remains. Then `sigma[r+1] <= |V|` and `sigma[r] >= 1 / |inverse of R|` (Frobenius norms), so that r is the number
wherever `|V| < threshold < 1 / |inverse of R|`. Rounding moves no singular value by more than `SLACK * m * n * |A|`
(Higham 2002, Theorem 19.4, whose constant times the unit roundoff is less). What this cannot prove stays undecided.

Inner loops run along rows, over columns that do not depend on one another: they need no sums in another order.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.parallel import kernel

SLACK = 1e-15
UNDECIDED = -1
DRIFT = 1e-6
"""Squared lengths are carried along; where they fall below this share of |A|^2, rounding counts: taken anew."""
LANES = 8
"""Channels that are copied out of an image at once: a cache line of float64."""
STRIDE = 16
"""Inner loops begin at a multiple of so many columns: what they do too much costs less than loops of odd lengths."""
ONE, TWO, THREE = np.uintp(1), np.uintp(2), np.uintp(3)
"""Indices are unsigned in inner loops: a signed one may count from the end, and LLVM then does not vectorise."""


@kernel
def add_rows(into, v, factors, low, high, start):
    """`into[i] += sum over rows j of factors[j] * v[j, i]`, rows low..high-1, columns from `start` on."""
    start, end = np.uintp(start), np.uintp(v.shape[1])
    whole = low + (high - low) // 4 * 4
    for first in range(low, whole, 4):
        j = np.uintp(first)
        k, m, n = j + ONE, j + TWO, j + THREE
        a, b, c, d = factors[j], factors[k], factors[m], factors[n]
        for i in range(start, end):
            into[i] += (a * v[j, i] + b * v[k, i]) + (c * v[m, i] + d * v[n, i])
    for j in range(np.uintp(whole), np.uintp(high)):
        a = factors[j]
        for i in range(start, end):
            into[i] += a * v[j, i]


@kernel
def subtract_row(v, factors, row, low, start):
    """`v[j, i] -= factors[j] * row[i]`, rows from `low` on, columns from `start` on."""
    start, end = np.uintp(start), np.uintp(v.shape[1])
    for j in range(np.uintp(low), np.uintp(v.shape[0])):
        a = factors[j]
        for i in range(start, end):
            v[j, i] -= a * row[i]


@kernel
def longest(lengths, low, high):
    """The index of the largest, the first of equals."""
    best = low
    for i in range(np.uintp(low), np.uintp(high)):
        if lengths[i] > lengths[best]:
            best = np.int64(i)
    return best


@kernel
def measure(v, low, lengths):
    """`lengths[i]` = the squared length of column i, rows from `low` on; returns the sum over columns from `low` on."""
    end = np.uintp(v.shape[1])
    for i in range(end):
        lengths[i] = 0.0
    for j in range(np.uintp(low), np.uintp(v.shape[0])):
        for i in range(end):
            lengths[i] += v[j, i] * v[j, i]
    total = 0.0
    for i in range(np.uintp(low), end):
        total += lengths[i]
    return total


@kernel
def reflect(v, k, column, row):
    """Reflect rows from k on so that column k becomes its length, in row k, and zeros (not written, nor ever read)."""
    start = k // STRIDE * STRIDE
    for j in range(k, v.shape[0]):
        column[j] = v[j, k]
    for i in range(np.uintp(start), np.uintp(v.shape[1])):
        row[i] = 0.0
    add_rows(row, v, column, k, v.shape[0], start)
    norm, first = np.sqrt(row[k]), v[k, k]
    signed = norm if first >= 0 else -norm
    column[k] = first + signed
    factor = 1.0 / (norm * (norm + abs(first)))
    for i in range(np.uintp(start), np.uintp(v.shape[1])):
        row[i] = (row[i] + signed * v[k, i]) * factor
    subtract_row(v, column, row, k, start)


@kernel
def inverse_norm(v, rank, inverse):
    """The squared Frobenius norm of the inverse of the upper triangle of the first `rank` rows and columns of v."""
    total = 0.0
    for i in range(rank - 1, -1, -1):
        start, row = i // STRIDE * STRIDE, inverse[i]
        for k in range(np.uintp(start), np.uintp(v.shape[1])):
            row[k] = 0.0
        add_rows(row, inverse, v[i], i + 1, rank, start)
        row[i] = -1.0
        factor = -1.0 / v[i, i]
        for k in range(np.uintp(i), np.uintp(rank)):
            row[k] *= factor
            total += row[k] * row[k]
    return total


@kernel
def count_above(v, columns, threshold, column, row, lengths, inverse):
    """The number of singular values of v above the threshold, or UNDECIDED; v is lost.

    v: [m, n], zero from `columns` on, n a multiple of STRIDE. Scratch: column [m]; row, lengths [n]; inverse [n, n],
    zero below its diagonal blocks of STRIDE. All float64.
    """
    m = v.shape[0]
    whole = measure(v, 0, lengths)
    slack = SLACK * m * columns * np.sqrt(whole)
    rank = 0
    for k in range(min(m, columns)):
        p = longest(lengths, k, columns)
        if lengths[p] <= DRIFT * whole:
            if np.sqrt(measure(v, k, lengths)) + slack < threshold:
                break
            p = longest(lengths, k, columns)
            if lengths[p] <= slack * slack:
                return UNDECIDED
        if p != k:
            lengths[p] = lengths[k]
            for j in range(m):
                v[j, k], v[j, p] = v[j, p], v[j, k]
        reflect(v, k, column, row)
        rank += 1
        for i in range(np.uintp(rank), np.uintp(v.shape[1])):
            lengths[i] -= v[k, i] * v[k, i]
    worst = 2.0 * (threshold + slack)
    if inverse_norm(v, rank, inverse) * worst * worst < 1.0:
        return rank
    return UNDECIDED


@kernel
def count_maps(low, high, counts, threshold, found):
    """`found[b, c]` = `count_above` of `counts[b, :, :, c]`; LANES channels of one image make one unit of the work."""
    _, H, W, C = counts.shape
    blocks = -(-C // LANES)
    wide = -(-W // STRIDE) * STRIDE
    maps = np.empty((LANES, H, wide))
    column, row, lengths, inverse = np.empty(H), np.empty(wide), np.empty(wide), np.zeros((wide, wide))
    for unit in range(low, high):
        b, first = unit // blocks, unit % blocks * LANES
        lanes = min(LANES, C - first)
        maps[:] = 0.0
        for y in range(H):
            for x in range(W):
                for c in range(lanes):
                    maps[c, y, x] = counts[b, y, x, first + c]
        for c in range(lanes):
            found[b, first + c] = count_above(maps[c], W, threshold, column, row, lengths, inverse)
