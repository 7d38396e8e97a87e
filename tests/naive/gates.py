"""Gates by their definitions, loops only: masked convolutions, sums over places and channels, targets, noise."""

from __future__ import annotations

from math import log

import numpy as np

from naive import conv
from naive.fixed_point import word


def forward(spikes, weight, stride, padding, places, outputs_open):
    """The sums of a convolution where both masks are 1, else 0; places [M, H', W'], outputs_open [M, C_out]."""
    total = conv.forward(spikes, weight, stride, padding)
    for m, y, x, c in np.ndindex(*total.shape):
        if not (places[m, y, x] and outputs_open[m, c]):
            total[m, y, x, c] = 0
    return total


def any_open(mask, begin, end):
    """Whether a mask has a 1 between two places."""
    return 1 in [int(mask[i]) for i in range(begin, end)]


def place_sums(values):
    """[M, places, C]: the sum of magnitudes over places, [M, C]."""
    total = np.zeros((values.shape[0], values.shape[2]))
    for m, p, c in np.ndindex(*values.shape):
        total[m, c] += abs(float(values[m, p, c]))
    return total


def place_products(first, second):
    """[rows, C] each: the sum over channels of products, [rows]."""
    total = np.zeros(len(first))
    for row, c in np.ndindex(*first.shape):
        total[row] += float(first[row, c]) * float(second[row, c])
    return total.astype(np.float32)


def target(activation, size, share):
    """Of one row of channels: 1 for the largest groups that together hold at most the share, and for the largest."""
    groups = [sum(activation[g * size : (g + 1) * size]) for g in range(len(activation) // size)]
    chosen, total = [0] * len(groups), 0
    if not sum(groups):
        return chosen
    for rank, group in enumerate(sorted(range(len(groups)), key=lambda g: (-groups[g], g))):
        total += groups[group]
        chosen[group] = int(rank == 0 or total <= share * sum(groups))
    return chosen


def logistic(draw, element, seed):
    """One number of the noise of a spatial gate."""
    u = (word(draw, element, seed) + 0.5) / 2**32
    return log(u) - log(1 - u)
