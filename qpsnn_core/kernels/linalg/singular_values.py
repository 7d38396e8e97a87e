"""How many singular values of small matrices of counts exceed a threshold, proved by an orthogonalisation.

Householder reflections with column pivoting give A P = Q [R S; 0 V]: R is an upper triangle of r columns, V is what
remains. Then `sigma[r+1] <= |V|` and `sigma[r] >= 1 / |inverse of R|` (Frobenius norms), so that r is the number
wherever `|V| < threshold < 1 / |inverse of R|`. Rounding moves no singular value by more than `SLACK * m * n * |A|`
(Higham 2002, Theorem 19.4, whose constant times the unit roundoff is less). What this cannot prove stays undecided.

A matrix is stored flat, `v[j*PITCH + i]`: as the distance of rows is a constant, LLVM sees that they do not overlap.
Inner loops run along rows, over columns that do not depend on one another: they need no sums in another order.
"""

from __future__ import annotations

import numpy as np
from numba.core import config

from qpsnn_core.kernels.threads import kernel

SLACK = 1e-15
UNDECIDED = -1
DRIFT = 1e-6
"""Squared lengths are carried along; where they fall below this share of |A|^2, rounding counts: taken anew."""
LANES = 8
"""Channels that are copied out of an image at once: a cache line of float64."""
PITCH = 64
"""The most columns that a matrix can have."""
STRIDE = 16
"""Inner loops begin and end at a multiple of so many columns: what they do too much costs less than odd lengths."""

place = int if getattr(config, "DISABLE_JIT") else np.uintp  # noqa: B009 - numba fills its config at run time
"""An index of inner loops, unsigned: a signed one may count from the end, and LLVM then does not vectorise.

Interpreted, a Python integer: NumPy 1 adds an unsigned one to it in float64.
"""

ONE, TWO, THREE = place(1), place(2), place(3)
NEXT, SECOND, THIRD = place(PITCH), place(2 * PITCH), place(3 * PITCH)


@kernel
def add_rows(into, v, factors, start, stop, begin, end):
    """`into[i] += sum over rows j of factors[j] * v[j, i]`, rows start..stop-1, columns begin..end-1.

    into: float64 [PITCH]. v: flat. factors: float64, one for each row, indexed as rows are.
    """
    begin, end = place(begin), place(end)
    whole = start + (stop - start) // 4 * 4
    for first in range(start, whole, 4):
        j, at = place(first), place(first * PITCH)
        a, b, c, d = factors[j], factors[j + ONE], factors[j + TWO], factors[j + THREE]
        for i in range(begin, end):
            into[i] += (a * v[at + i] + b * v[at + NEXT + i]) + (c * v[at + SECOND + i] + d * v[at + THIRD + i])
    for last in range(whole, stop):
        at, a = place(last * PITCH), factors[last]
        for i in range(begin, end):
            into[i] += a * v[at + i]


@kernel
def subtract_row(v, factors, row, start, stop, begin, end):
    """`v[j, i] -= factors[j] * row[i]`, rows start..stop-1, columns begin..end-1.

    v: flat, changed in place. factors: float64, one for each row, indexed as rows are. row: float64 [PITCH].
    """
    begin, end = place(begin), place(end)
    whole = start + (stop - start) // 4 * 4
    for first in range(start, whole, 4):
        j, at = place(first), place(first * PITCH)
        a, b, c, d = factors[j], factors[j + ONE], factors[j + TWO], factors[j + THREE]
        for i in range(begin, end):
            value = row[i]
            v[at + i] -= a * value
            v[at + NEXT + i] -= b * value
            v[at + SECOND + i] -= c * value
            v[at + THIRD + i] -= d * value
    for last in range(whole, stop):
        at, a = place(last * PITCH), factors[last]
        for i in range(begin, end):
            v[at + i] -= a * row[i]


@kernel
def longest(lengths, start, stop):
    """The index of the largest of lengths[start..stop-1], the first of equals."""
    best = start
    for i in range(place(start), place(stop)):
        if lengths[i] > lengths[best]:
            best = np.int64(i)
    return best


@kernel
def measure(v, start, stop, end, lengths):
    """`lengths[i]` = the squared length of column i, rows start..stop-1; returns the sum over columns start..end-1.

    v: flat. end: the columns that are measured, a multiple of STRIDE. lengths: float64 [PITCH], overwritten.
    """
    end = place(end)
    for i in range(end):
        lengths[i] = 0.0
    for j in range(start, stop):
        at = place(j * PITCH)
        for i in range(end):
            lengths[i] += v[at + i] * v[at + i]
    total = 0.0
    for i in range(place(start), end):
        total += lengths[i]
    return total


@kernel
def reflect(v, k, stop, end, column, row):
    """Reflect rows k..stop-1 so that column k becomes its length, in row k, and zeros (not written, nor ever read).

    v: flat, changed in place, columns k..end-1. Scratch: column, float64 [stop]; row, float64 [PITCH].
    """
    begin, at = k // STRIDE * STRIDE, k * PITCH
    for j in range(place(k), place(stop)):
        column[j] = v[j * NEXT + place(k)]
    for i in range(place(begin), place(end)):
        row[i] = 0.0
    add_rows(row, v, column, k, stop, begin, end)
    norm, first = np.sqrt(row[k]), v[at + k]
    signed = norm if first >= 0 else -norm
    column[k] = first + signed
    factor = 1.0 / (norm * (norm + abs(first)))
    for i in range(place(begin), place(end)):
        row[i] = (row[i] + signed * v[place(at) + i]) * factor
    subtract_row(v, column, row, k, stop, begin, end)


@kernel
def inverse_bound(v, rank, end, row):
    """A number that `inverse_norm` is not above: rank times the square of the largest column sum of |inverse of M|.

    M is the triangle with the absolute values of its diagonal, and the negative ones of all else: no entry of its
    inverse is below that of the triangle's own, in absolute value, and none is negative (Higham 2002, section 8.3).
    v: flat, its first `rank` rows are the triangle. end: its columns, up to a multiple of STRIDE. row: scratch [PITCH].
    """
    most = 0.0
    for i in range(place(end)):
        row[i] = 1.0
    for k in range(rank):
        at, value = place(k * PITCH), row[k] / abs(v[k * PITCH + k])
        most = max(most, value)
        for i in range(place(k // STRIDE * STRIDE), place(end)):
            row[i] += abs(v[at + i]) * value
    return rank * most * most


@kernel
def inverse_norm(v, rank, end, inverse, row):
    """The squared Frobenius norm of the inverse of the upper triangle of the first `rank` rows and columns of v.

    v, end, row: as for `inverse_bound`. inverse: flat, as v; zero left of the blocks of STRIDE on its diagonal.
    """
    total = 0.0
    for i in range(rank - 1, -1, -1):
        begin, at = i // STRIDE * STRIDE, place(i * PITCH)
        for k in range(place(begin), place(end)):
            row[k] = 0.0
        start = i + 1
        for block in range(begin, rank, STRIDE):
            stop = min(block + STRIDE, rank)
            add_rows(row, inverse, v[i * PITCH :], start, stop, block, end)
            start = stop
        row[i] = -1.0
        factor = -1.0 / v[i * PITCH + i]
        for k in range(place(begin), place(end)):
            inverse[at + k] = row[k] * factor
        for k in range(place(i), place(rank)):
            total += inverse[at + k] * inverse[at + k]
    return total


@kernel
def count_above(v, m, n, threshold, column, row, lengths, inverse):
    """The number of singular values of v [m, n] above the threshold, or UNDECIDED; v is lost.

    v: flat, zero from column n to the next multiple of STRIDE. Scratch: column [m]; row, lengths [PITCH]; inverse
    [PITCH * PITCH], as `inverse_norm` wants it. All float64.
    """
    end = -(-n // STRIDE) * STRIDE
    whole = measure(v, 0, m, end, lengths)
    slack = SLACK * m * n * np.sqrt(whole)
    rank = 0
    for k in range(min(m, n)):
        p = longest(lengths, k, n)
        if lengths[p] <= DRIFT * whole:
            if np.sqrt(measure(v, k, m, end, lengths)) + slack < threshold:
                break
            p = longest(lengths, k, n)
            if lengths[p] <= slack * slack:
                return UNDECIDED
        if p != k:
            lengths[p] = lengths[k]
            for j in range(m):
                v[j * PITCH + k], v[j * PITCH + p] = v[j * PITCH + p], v[j * PITCH + k]
        reflect(v, k, m, end, column, row)
        rank += 1
        at = place(k * PITCH)
        for i in range(place(rank), place(end)):
            lengths[i] -= v[at + i] * v[at + i]
    worst = 4.0 * (threshold + slack) ** 2
    if inverse_bound(v, rank, end, row) * worst < 1.0 or inverse_norm(v, rank, end, inverse, row) * worst < 1.0:
        return rank
    return UNDECIDED


@kernel
def count_maps(start, stop, counts, threshold, found):
    """`found[b, c]` = `count_above` of `counts[b, :, :, c]`; LANES channels of one image make one unit of the work.

    start, stop: of the units, image by image. counts: [B, H, W, C], W at most PITCH. threshold: as for `count_above`.
    """
    _, H, W, C = counts.shape
    blocks = -(-C // LANES)
    maps = np.empty((LANES, H * PITCH))
    column, row, lengths, inverse = np.empty(H), np.empty(PITCH), np.empty(PITCH), np.zeros(PITCH * PITCH)
    for unit in range(start, stop):
        b, first = unit // blocks, unit % blocks * LANES
        lanes = min(LANES, C - first)
        maps[:] = 0.0
        for y in range(H):
            for x in range(W):
                for c in range(lanes):
                    maps[c, y * PITCH + x] = counts[b, y, x, first + c]
        for c in range(lanes):
            found[b, first + c] = count_above(maps[c], H, W, threshold, column, row, lengths, inverse)
