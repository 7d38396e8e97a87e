"""Hessians from events, greedy removal of a row's weights by the inverse (OBS), and rounding by its factor (OBQ).

A symmetric matrix is flat, row i from `i*pitch` on, and only its upper triangle is read and kept up. A row of weights
shrinks as weights go: those that live are moved together from time to time, and with them their part of the triangle.
"""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.kernels.parallel import kernel

SHRINK = 8
"""The living are moved together when one in so many is dead."""

TOGETHER = 16
"""Rows that are rounded together, so that the factor is read once for all of them."""


@kernel
def subtract_four(line, a, first, b, second, c, third, d, fourth):
    """`line -= a*first + b*second + c*third + d*fourth`."""
    for j in range(len(line)):
        line[j] -= (a * first[j] + b * second[j]) + (c * third[j] + d * fourth[j])


@kernel
def subtract_one(line, a, first):
    """`line -= a*first`."""
    for j in range(len(line)):
        line[j] -= a * first[j]


@kernel
def add_events(low, high, starts, places, counts, filtered, pitch, total):
    """`total[a, b] += sum over the events of input a of count * filtered[place, b]`, rows a of low..high-1, b >= a.

    Events of input a: starts[a] to starts[a+1] - 1; filtered, total: flat, rows of `pitch`.
    """
    for a in range(low, high):
        line = total[a * pitch + a : (a + 1) * pitch]
        first, last = starts[a], starts[a + 1]
        whole = first + (last - first) // 4 * 4
        for e in range(first, whole, 4):
            p, q, r, s = places[e] * pitch, places[e + 1] * pitch, places[e + 2] * pitch, places[e + 3] * pitch
            subtract_four(
                line,
                -counts[e],
                filtered[p + a : p + pitch],
                -counts[e + 1],
                filtered[q + a : q + pitch],
                -counts[e + 2],
                filtered[r + a : r + pitch],
                -counts[e + 3],
                filtered[s + a : s + pitch],
            )
        for e in range(whole, last):
            p = places[e] * pitch
            subtract_one(line, -counts[e], filtered[p + a : p + pitch])


@kernel
def cheapest(weight, inverse, pitch, size, alive, chosen):
    """The living weights with the smallest `w**2 / inverse[p, p]`, cheapest first, into `chosen`; how many were found.

    Of equals the earlier one.
    """
    costs = np.empty(len(chosen))
    count = 0
    for i in range(size):
        if not alive[i]:
            continue
        cost = weight[i] * weight[i] / inverse[i * pitch + i]
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
def remove(weight, inverse, pitch, size, p, earlier, rows):
    """Set weight p to 0 and change the others so that the error is least; the loss, `w_p**2 / (2 inverse[p, p])`.

    `inverse` is what it was before this group; row k of `rows` is `inverse[p] / sqrt(inverse[p, p])` as the k-th
    removal of the group found it, `earlier` of them are there; this one's becomes the next.
    """
    own = rows[earlier * pitch : earlier * pitch + size]
    for i in range(p):
        own[i] = inverse[i * pitch + p]
    own[p:] = inverse[p * pitch + p : p * pitch + size]
    for k in range(earlier):
        subtract_one(own, rows[k * pitch + p], rows[k * pitch : k * pitch + size])
    root = math.sqrt(own[p])
    share = weight[p] / root
    for i in range(size):
        own[i] /= root
    subtract_one(weight[:size], share, own)
    weight[p] = 0.0
    return share * share / 2


@kernel
def subtract_rows(inverse, pitch, size, alive, rows, count):
    """`inverse[i, j] -= sum over k < count of rows[k, i] * rows[k, j]`, i of the living, j >= i."""
    whole = count // 4 * 4
    for i in range(size):
        if not alive[i]:
            continue
        line = inverse[i * pitch + i : i * pitch + size]
        for k in range(0, whole, 4):
            p, q, r, s = k * pitch, (k + 1) * pitch, (k + 2) * pitch, (k + 3) * pitch
            subtract_four(
                line,
                rows[p + i],
                rows[p + i : p + size],
                rows[q + i],
                rows[q + i : q + size],
                rows[r + i],
                rows[r + i : r + size],
                rows[s + i],
                rows[s + i : s + size],
            )
        for k in range(whole, count):
            p = k * pitch
            subtract_one(line, rows[p + i], rows[p + i : p + size])


@kernel
def close_ranks(weight, inverse, pitch, size, alive, index):
    """Move the living weights, their numbers and their part of the triangle together; how many there are."""
    count = 0
    for i in range(size):
        if not alive[i]:
            continue
        column = count
        for j in range(i, size):
            if alive[j]:
                inverse[count * pitch + column] = inverse[i * pitch + j]
                column += 1
        weight[count], index[count] = weight[i], index[i]
        count += 1
    alive[:count] = True
    return count


@kernel
def record_row(weight, inverse, pitch, group, rows, order, losses):
    """Remove all weights, `group` at a time: `order` is which one went when, `losses` what each cost, both [d].

    weight, inverse: overwritten; rows: scratch, [group*pitch].
    """
    size = len(weight)
    alive, index, chosen = np.ones(size, np.bool_), np.arange(size), np.empty(group, np.int64)
    done = dead = 0
    while done < len(order):
        count = cheapest(weight, inverse, pitch, size, alive, chosen)
        for k in range(count):
            p = chosen[k]
            losses[done] = remove(weight, inverse, pitch, size, p, k, rows)
            order[done] = index[p]
            alive[p] = False
            done += 1
        subtract_rows(inverse, pitch, size, alive, rows, count)
        dead += count
        if dead * SHRINK >= size:
            size, dead = close_ranks(weight, inverse, pitch, size, alive, index), 0


@kernel
def record_rows(low, high, weights, inverse, group, orders, losses):
    """`record_row` of rows low..high-1, each with its own copy of the inverse [d, d]; all others [O, d]."""
    pitch = weights.shape[1]
    own, rows = np.empty(pitch * pitch), np.empty(group * pitch)
    for row in range(low, high):
        own[:] = inverse.reshape(-1)
        record_row(weights[row].copy(), own, pitch, group, rows, orders[row], losses[row])


@kernel
def round_rows(low, high, weights, upper, steps, limit, out):
    """Column by column the nearest multiples of each row's step, at most `limit` of them; its error to those behind.

    `out[r, c] = quant(w[r, c]); w[r, j] -= (w[r, c] - out[r, c]) / upper[c, c] * upper[c, j]`, j > c, of rows low..
    high-1; upper: `H^-1 = U^T U`. weights: overwritten; weights, out: [O, d]; steps: [O].
    """
    size = weights.shape[1]
    for first in range(low, high, TOGETHER):
        for c in range(size):
            behind = upper[c, c + 1 :]
            for r in range(first, min(first + TOGETHER, high)):
                whole = np.rint(weights[r, c] / steps[r])
                out[r, c] = min(max(whole, -limit), limit) * steps[r]
                subtract_one(weights[r, c + 1 :], (weights[r, c] - out[r, c]) / upper[c, c], behind)
