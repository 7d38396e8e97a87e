"""Loops-only twin of batch norm over the rows of `y = step*acc + bias`, channel by channel, in float64.

As PyTorch's BatchNorm in its textbook form: two passes for the variance; the gradient through mean and variance.
"""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5
MOMENTUM = 0.1


def statistics(y):
    """(mean, biased variance) of each column of [rows, C]."""
    mean = [sum(column) / len(column) for column in y.T]
    variance = [sum((v - m) ** 2 for v in column) / len(column) for column, m in zip(y.T, mean, strict=True)]
    return np.array(mean), np.array(variance)


def forward(y, weight, shift, mean, variance):
    """`weight * (y - mean) / sqrt(variance + eps) + shift`."""
    out = np.zeros(y.shape)
    for row, c in np.ndindex(y.shape):
        out[row, c] = weight[c] * (y[row, c] - mean[c]) / np.sqrt(variance[c] + EPSILON) + shift[c]
    return out


def running(old_mean, old_variance, mean, variance, count):
    """The new running statistics: a tenth of the batch's; its variance over count - 1, where count counts T too."""
    unbiased = variance * count / max(count - 1, 1)
    return (1 - MOMENTUM) * old_mean + MOMENTUM * mean, (1 - MOMENTUM) * old_variance + MOMENTUM * unbiased


def backward(y, weight, gradient, mean, variance, batch):
    """(dL/dy, dL/dweight, dL/dshift); batch: mean and variance were those of y itself."""
    rows, channels = y.shape
    by_y, by_weight, by_shift = np.zeros(y.shape), np.zeros(channels), np.zeros(channels)
    for c in range(channels):
        deviation = np.sqrt(variance[c] + EPSILON)
        normed = [(v - mean[c]) / deviation for v in y[:, c]]
        by_shift[c] = sum(gradient[:, c])
        by_weight[c] = sum(g * z for g, z in zip(gradient[:, c], normed, strict=True))
        for row in range(rows):
            through = (by_shift[c] + normed[row] * by_weight[c]) / rows if batch else 0.0
            by_y[row, c] = weight[c] / deviation * (gradient[row, c] - through)
    return by_y, by_weight, by_shift
