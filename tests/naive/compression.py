"""OSBC in loops: the Hessian from every pair of spikes, removal by whole inverses, rounding one by one."""

from __future__ import annotations

import math

import numpy as np


def filtered(counts, beta):
    """`R[t] = beta*R[t-1] + S[t]` of counts [T, d]."""
    out, membrane = [], [0.0] * counts.shape[1]
    for step in counts:
        membrane = [beta * before + float(now) for before, now in zip(membrane, step, strict=True)]
        out.append(membrane)
    return np.array(out)


def hessian(samples, beta):
    """`2 E[sum_t R[t] R[t]^T]`; samples: counts [N, T, d]."""
    size = samples.shape[2]
    total = np.zeros((size, size))
    for sample in samples:
        for row in filtered(sample, beta):
            for a in range(size):
                for b in range(size):
                    total[a, b] += 2 * row[a] * row[b] / len(samples)
    return total


def pairs(events, places, counts, filtered_rows, start, stop):
    """`total[a, b] = sum over the events of input a of count * filtered[place, b]`, b >= a; events: first of each a."""
    size = filtered_rows.shape[1]
    total = np.zeros((size, size))
    for a in range(start, stop):
        for e in range(events[a], events[a + 1]):
            for b in range(a, size):
                total[a, b] += counts[e] * filtered_rows[places[e], b]
    return total


def less(line, factors, rows):
    """`line - sum_k factors[k] * rows[k]`."""
    return [value - sum(f * row[j] for f, row in zip(factors, rows, strict=True)) for j, value in enumerate(line)]


def cheapest(weight, diagonal, alive, count):
    """The living weights with the smallest `w**2 / diagonal`, at most `count`, cheapest first, then by number."""
    costs = sorted((weight[i] ** 2 / diagonal[i], i) for i in range(len(weight)) if alive[i])
    return [i for _, i in costs[:count]]


def removed(weight, inverse, p):
    """Weights and inverse without weight p, and what that cost: the equations of OBS."""
    size, pivot = len(weight), inverse[p][p]
    after = [weight[i] - inverse[i][p] * weight[p] / pivot for i in range(size)]
    after[p] = 0.0
    reduced = [[inverse[i][j] - inverse[i][p] * inverse[p][j] / pivot for j in range(size)] for i in range(size)]
    return after, reduced, weight[p] ** 2 / (2 * pivot)


def living(weight, inverse, alive):
    """What is left of a row: weights, their numbers, and their part of the inverse."""
    index = [i for i in range(len(weight)) if alive[i]]
    return [weight[i] for i in index], index, [[inverse[i][j] for j in index] for i in index]


def recorded(weight, inverse, group=1):
    """First pass: all weights removed, `group` chosen at a time; their order and their losses."""
    weight, inverse = [float(w) for w in weight], [[float(x) for x in row] for row in inverse]
    alive, order, losses = [True] * len(weight), [], []
    while any(alive):
        for p in cheapest(weight, [inverse[i][i] for i in range(len(weight))], alive, group):
            weight, inverse, loss = removed(weight, inverse, p)
            alive[p] = False
            order.append(p)
            losses.append(loss)
    return order, losses


def again(weight, inverse, order):
    """Second pass: from the original weights, those of `order` removed one after another."""
    weight, inverse = [float(w) for w in weight], [[float(x) for x in row] for row in inverse]
    for p in order:
        weight, inverse, _ = removed(weight, inverse, p)
        for gone in order[: order.index(p) + 1]:
            weight[gone] = 0.0
    return weight


def budgets(losses, count, factors):
    """How many weights each row loses: where the `count` smallest of all losses, times factor**2, are."""
    found = [0] * len(losses)
    every = sorted(
        (loss * factor**2, row, place)
        for row, (own, factor) in enumerate(zip(losses, factors, strict=True))
        for place, loss in enumerate(own)
    )
    for _, row, _ in every[:count]:
        found[row] += 1
    return found


def lamps(layers, count):
    """How many weights each layer loses: the `count` smallest of `w**2 / sum of u**2 over |u| >= |w|`."""
    every = []
    for layer, weights in enumerate(layers):
        ordered = sorted(abs(float(w)) for w in weights)
        for place, magnitude in enumerate(ordered):
            every.append((magnitude**2 / math.fsum(u**2 for u in ordered[place:]), layer))
    found = [0] * len(layers)
    for _, layer in sorted(every)[:count]:
        found[layer] += 1
    return found


def round_to_multiples(weight, step, limit):
    """The nearest multiple of the step, at most `limit` of them, half to even."""
    return max(-limit, min(limit, round(weight / step))) * step


def rounded(weight, inverse, step, limit):
    """OBQ by whole inverses: columns by the rising diagonal of the first, each one's error spread over those behind."""
    weight, inverse = [float(w) for w in weight], [[float(x) for x in row] for row in inverse]
    size = len(weight)
    order = sorted(range(size), key=lambda i: (inverse[i][i], i))
    out = [0.0] * size
    for place, c in enumerate(order):
        out[c] = round_to_multiples(weight[c], step, limit)
        pivot, error = inverse[c][c], out[c] - weight[c]
        for j in order[place:]:
            weight[j] += error / pivot * inverse[c][j]
        inverse = [[inverse[i][j] - inverse[i][c] * inverse[c][j] / pivot for j in range(size)] for i in range(size)]
    return out
