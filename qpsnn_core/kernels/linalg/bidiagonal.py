"""How many singular values exceed a threshold, of any matrix: by reflections to two diagonals, and Sturm's count.

Householder reflections from the left and the right make of A an upper triangle whose diagonal d and next diagonal e
alone are not 0. Its singular values are the positive eigenvalues of the symmetric matrix of zeros with d[0], e[0],
d[1], e[1], ... beside the diagonal, and as many of those are above the threshold as there are positive pivots when it
is eliminated (Golub and Van Loan 2013, sections 5.4.8, 8.4.1 and 8.6.2). Reflections move a singular value by no more
than a small multiple of the unit roundoff times |A|, the count by less. Each sum has one order on every processor.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, item, load16, multiply_add, store
from qpsnn_core.kernels.threads import kernel

LANES = 16
"""Numbers of a vector; rows begin at a multiple of so many."""

TINY = 2.0**-1022
"""The smallest normal number."""


@kernel
def reflect_columns(v, pitch, k, rows, vector, sums):
    """Reflect rows k..rows-1 so that all of column k comes to row k, where it is not written; its length.

    v: float64, flat, rows of `pitch`, changed from column k+1 on (what lies left of it, too: it is never read again).
    Scratch: vector [rows], sums [pitch].
    """
    total = 0.0
    for j in range(k, rows):
        vector[j] = v[j * pitch + k]
        total += vector[j] * vector[j]
    if total == 0:
        return 0.0
    norm = np.sqrt(total)
    factor = 1.0 / (norm * (norm + abs(vector[k])))
    vector[k] += norm if vector[k] >= 0 else -norm
    for c in range((k + 1) // LANES * LANES, pitch, LANES):
        found = fill16(0, v)
        for j in range(k, rows):
            found = multiply_add(fill16(item(vector, j), v), load16(v, j * pitch + c), found)
        store(sums, c, found * fill16(-factor, v))
    for j in range(k, rows):
        share = fill16(item(vector, j), v)
        for c in range((k + 1) // LANES * LANES, pitch, LANES):
            store(v, j * pitch + c, multiply_add(share, load16(sums, c), load16(v, j * pitch + c)))
    return norm


@kernel
def reflect_rows(v, pitch, k, rows, vector, lanes):
    """Reflect from the right so that row k becomes 0 behind column k+1; the length of what was there.

    v: as for `reflect_columns`, changed below row k, of which `rows` are there. Scratch: vector [pitch], lanes [LANES].
    """
    vector[:] = 0.0
    total = 0.0
    for i in range(k + 1, pitch):
        vector[i] = v[k * pitch + i]
        total += vector[i] * vector[i]
    if total == 0:
        return 0.0
    norm = np.sqrt(total)
    factor = 1.0 / (norm * (norm + abs(vector[k + 1])))
    vector[k + 1] += norm if vector[k + 1] >= 0 else -norm
    begin = (k + 1) // LANES * LANES
    for j in range(k + 1, rows):
        found = fill16(0, v)
        for c in range(begin, pitch, LANES):
            found = multiply_add(load16(vector, c), load16(v, j * pitch + c), found)
        store(lanes, 0, found)
        product = 0.0
        for lane in lanes:
            product += lane
        share = fill16(-factor * product, v)
        for c in range(begin, pitch, LANES):
            store(v, j * pitch + c, multiply_add(share, load16(vector, c), load16(v, j * pitch + c)))
    return norm


@kernel
def positive_pivots(beside, threshold):
    """How many eigenvalues are above `threshold >= 0`, of a symmetric matrix of zeros and of `beside` next to them."""
    largest = 1.0
    for value in beside:
        largest = max(largest, value * value)
    least = TINY * largest
    pivot, count = -threshold, 0
    for value in beside:
        if pivot <= 0 and pivot > -least:
            pivot = -least
        pivot = -threshold - value * value / pivot
        count += pivot > 0
    return count


@kernel
def count_values(v, pitch, rows, columns, threshold):
    """The number of singular values above the threshold, of a matrix with at least as many rows as columns; v is lost.

    v: float64, flat, rows of `pitch`, a multiple of LANES, zeros behind the last column.
    """
    column, row, sums, lanes = np.empty(rows), np.empty(pitch), np.empty(pitch), np.empty(LANES)
    beside = np.empty(2 * columns - 1)
    for k in range(columns):
        beside[2 * k] = reflect_columns(v, pitch, k, rows, column, sums)
        if k + 1 < columns:
            beside[2 * k + 1] = reflect_rows(v, pitch, k, rows, row, lanes)
    return positive_pivots(beside, threshold)


@kernel
def count_chosen(start, stop, counts, images, channels, threshold, found):
    """`found[b, c]` = `count_values` of `counts[b, :, :, c]`, of the pairs b, c in places start..stop-1.

    counts: [B, H, W, C]. images, channels: int64, b and c of each place. threshold: as for `count_values`.
    """
    _, height, width, _ = counts.shape
    rows, columns = max(height, width), min(height, width)
    pitch = -(-columns // LANES) * LANES
    v = np.empty(rows * pitch)
    for place in range(start, stop):
        b, c = images[place], channels[place]
        v[:] = 0.0
        for y in range(height):
            for x in range(width):
                i, j = (y, x) if height >= width else (x, y)
                v[i * pitch + j] = counts[b, y, x, c]
        found[b, c] = count_values(v, pitch, rows, columns, threshold)
