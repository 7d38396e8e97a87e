"""Hessians from events, greedy removal of a row's weights by the inverse (OBS), and rounding by its factor (OBQ).

A symmetric matrix is flat, row i from `i*pitch` on, and only its upper triangle is read and kept up. A row of weights
shrinks as weights go: those that live are moved together from time to time, and with them their part of the triangle.
Where vectors are used, `pitch` is a multiple of LANES, and what lies behind a row or left of the diagonal is nothing.
"""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, item, load16, store
from qpsnn_core.kernels.threads import kernel

SHRINK = 8
"""The living are moved together when one in so many is dead."""

LATER = 32
"""Removals that the triangle waits for: it is larger than the caches, and each time all of it is read and written."""

LANES = 16
"""Numbers of a vector."""

STRIP = 64
"""Columns of the triangle that are brought up to date at a time: those of all waiting rows stay in the first cache."""

TOGETHER = 16
"""Rows that are rounded together, so that the factor is read once for all of them."""


@kernel
def subtract_four(line, factors, rows):
    """`line -= a*first + b*second + c*third + d*fourth`, of four factors and four rows, all float64."""
    a, b, c, d = factors
    first, second, third, fourth = rows
    for j in range(len(line)):
        line[j] -= (a * first[j] + b * second[j]) + (c * third[j] + d * fourth[j])


@kernel
def subtract_one(line, a, first):
    """`line -= a*first`; both float64, of one length."""
    for j in range(len(line)):
        line[j] -= a * first[j]


@kernel
def add_events(start, stop, starts, places, counts, filtered, pitch, total):
    """`total[a, b] += sum over the events of input a of count * filtered[place, b]`, rows a of start..stop-1, b >= a.

    Events of input a: starts[a] to starts[a+1] - 1, `places` (integers) and `counts` (float64) for each; filtered,
    total: float64, flat, rows of `pitch`.
    """
    for a in range(start, stop):
        line = total[a * pitch + a : (a + 1) * pitch]
        first, last = starts[a], starts[a + 1]
        whole = first + (last - first) // 4 * 4
        for e in range(first, whole, 4):
            p, q, r, s = places[e] * pitch, places[e + 1] * pitch, places[e + 2] * pitch, places[e + 3] * pitch
            upper = filtered[p + a : p + pitch], filtered[q + a : q + pitch]
            lower = filtered[r + a : r + pitch], filtered[s + a : s + pitch]
            subtract_four(line, (-counts[e], -counts[e + 1], -counts[e + 2], -counts[e + 3]), upper + lower)
        for e in range(whole, last):
            p = places[e] * pitch
            subtract_one(line, -counts[e], filtered[p + a : p + pitch])


@kernel
def cheapest(weight, diagonal, size, alive, chosen):
    """The living weights with the smallest `w**2 / inverse[p, p]`, cheapest first, into `chosen`; how many were found.

    Of equals the earlier one. weight, diagonal (of the inverse): float64, alive: bool, of which the first `size` count.
    chosen: int64, written.
    """
    costs = np.empty(len(chosen))
    count = 0
    for i in range(size):
        if not alive[i]:
            continue
        cost = weight[i] * weight[i] / diagonal[i]
        if count == len(chosen):
            if not cost < costs[count - 1]:
                continue
            count -= 1
        place = count
        while place > 0 and cost < costs[place - 1]:
            costs[place], chosen[place] = costs[place - 1], chosen[place - 1]
            place -= 1
        costs[place], chosen[place] = cost, i
        count += 1
    return count


@kernel
def remove(weight, diagonal, inverse, pitch, size, p, earlier, rows):
    """Set weight p to 0 and change the others so that the error is least; the loss, `w_p**2 / (2 inverse[p, p])`.

    weight, diagonal, inverse, rows: float64, the last two flat, rows of `pitch`, of which the first `size` count.
    `diagonal` is that of the inverse now, and is kept up; `inverse` is what it was `earlier` removals ago: row k of
    `rows` is `inverse[p] / sqrt(inverse[p, p])` as the k-th of them found it; this one's becomes the next.
    """
    own = rows[earlier * pitch : earlier * pitch + size]
    for i in range(p):
        own[i] = inverse[i * pitch + p]
    own[p:] = inverse[p * pitch + p : p * pitch + size]
    for c in range(0, size, LANES):
        line = load16(rows, earlier * pitch + c)
        for k in range(earlier):
            line = line - fill16(item(rows, k * pitch + p), rows) * load16(rows, k * pitch + c)
        store(rows, earlier * pitch + c, line)
    root = math.sqrt(own[p])
    share = weight[p] / root
    for i in range(size):
        own[i] /= root
        diagonal[i] -= own[i] * own[i]
    subtract_one(weight[:size], share, own)
    weight[p] = 0.0
    return share * share / 2


@kernel
def subtract_rows(inverse, pitch, size, alive, rows, count):
    """`inverse[i, j] -= sum over k < count of rows[k, i] * rows[k, j]`, i of the living, j >= i; two i at a time.

    inverse, rows: float64, flat, rows of `pitch`, of which the first `size` count. alive: bool.
    """
    lines = np.nonzero(alive[:size])[0]
    factors, strip = np.empty(size * count), np.empty(STRIP * count)
    for k in range(count):
        for i in range(size):
            factors[i * count + k] = rows[k * pitch + i]
    for left in range(0, size, STRIP):
        right, n = min(left + STRIP, size), 0
        for k in range(count):
            for c in range(left, right, LANES):
                store(strip, k * STRIP + c - left, load16(rows, k * pitch + c))
        while n < len(lines) and lines[n] < right:
            i, j = lines[n], lines[min(n + 1, len(lines) - 1)]
            for c in range(max(left, i // LANES * LANES), right, LANES):
                upper, lower = load16(inverse, i * pitch + c), load16(inverse, j * pitch + c)
                for k in range(count):
                    row = load16(strip, k * STRIP + c - left)
                    upper = upper - fill16(item(factors, i * count + k), strip) * row
                    lower = lower - fill16(item(factors, j * count + k), strip) * row
                store(inverse, j * pitch + c, lower)
                store(inverse, i * pitch + c, upper)
            n += 2


@kernel
def close_ranks(weight, diagonal, inverse, pitch, size, alive, index):
    """Move the living weights, their numbers, diagonal and part of the triangle together; how many there are.

    index: int64, the weights' numbers; the rest as for `cheapest` and `remove`. All are overwritten.
    """
    living = np.nonzero(alive[:size])[0]
    count = len(living)
    for a in range(count):
        i = living[a]
        for b in range(a, count):
            inverse[a * pitch + b] = inverse[i * pitch + living[b]]
        weight[a], diagonal[a], index[a] = weight[i], diagonal[i], index[i]
    alive[:count] = True
    return count


@kernel
def record_row(weight, inverse, pitch, group, rows, order, losses):
    """Remove all weights, `group` at a time: `order` is which one went when, `losses` what each cost, both [d].

    weight: float64 [d], inverse: float64, flat, rows of `pitch`; both are overwritten. order: int64, losses: float64.
    rows: float64, scratch, [(LATER + group)*pitch].
    """
    size = len(weight)
    alive, index, chosen = np.ones(size, np.bool_), np.arange(size), np.empty(group, np.int64)
    diagonal = np.empty(size)
    for i in range(size):
        diagonal[i] = inverse[i * pitch + i]
    done = dead = waiting = 0
    while done < len(order):
        count = cheapest(weight, diagonal, size, alive, chosen)
        for k in range(count):
            p = chosen[k]
            losses[done] = remove(weight, diagonal, inverse, pitch, size, p, waiting + k, rows)
            order[done] = index[p]
            alive[p] = False
            done += 1
        dead += count
        waiting += count
        many = dead * SHRINK >= size
        if many or waiting >= LATER:
            subtract_rows(inverse, pitch, size, alive, rows, waiting)
            waiting = 0
        if many:
            size, dead = close_ranks(weight, diagonal, inverse, pitch, size, alive, index), 0


@kernel
def record_rows(start, stop, weights, inverse, group, orders, losses):
    """`record_row` of rows start..stop-1, each with its own copy of the inverse.

    weights: float64 [O, d]; inverse: float64 [d, d]. group: as for `record_row`. orders: int64, losses: float64, both
    [O, d], written.
    """
    size = weights.shape[1]
    pitch = (size + LANES - 1) // LANES * LANES
    own, rows = np.zeros(size * pitch), np.zeros((LATER + group) * pitch)
    for row in range(start, stop):
        own.reshape(size, pitch)[:, :size] = inverse
        record_row(weights[row].copy(), own, pitch, group, rows, orders[row], losses[row])


@kernel
def round_rows(start, stop, weights, upper, steps, limit, out):
    """Column by column the nearest multiples of each row's step, at most `limit` of them; its error to those behind.

    `out[r, c] = quant(w[r, c]); w[r, j] -= (w[r, c] - out[r, c]) / upper[c, c] * upper[c, j]`, j > c, of rows start..
    stop-1; upper: `H^-1 = U^T U`. weights: overwritten; weights, out: [O, d]; steps: [O]; upper: [d, d];
    all float64. limit: the largest multiple, an integer.
    """
    size = weights.shape[1]
    for first in range(start, stop, TOGETHER):
        for c in range(size):
            behind = upper[c, c + 1 :]
            for r in range(first, min(first + TOGETHER, stop)):
                whole = np.rint(weights[r, c] / steps[r])
                out[r, c] = min(max(whole, -limit), limit) * steps[r]
                subtract_one(weights[r, c + 1 :], (weights[r, c] - out[r, c]) / upper[c, c], behind)
