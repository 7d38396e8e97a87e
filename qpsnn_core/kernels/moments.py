"""Sums over positions, per channel: exact for integer accumulators, float64 for others."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.parallel import kernel


@kernel
def integer_moments(low, high, total, sums, squares):
    """`sums[c] += sum of total[i, c]`, `squares[c] += sum of total[i, c]**2`, int64, rows low..high-1."""
    for i in range(low, high):
        row = total[i]
        for c in range(row.shape[0]):
            value = np.int64(row[c])
            sums[c] += value
            squares[c] += value * value


@kernel
def real_moments(low, high, total, sums, squares):
    """The same in float64."""
    for i in range(low, high):
        row = total[i]
        for c in range(row.shape[0]):
            value = np.float64(row[c])
            sums[c] += value
            squares[c] += value * value


@kernel
def gradient_moments(low, high, gradient, total, sums, products):
    """`sums[c] += sum of g`, `products[c] += sum of g*total`, in float64, rows low..high-1."""
    for i in range(low, high):
        g, a = gradient[i], total[i]
        for c in range(g.shape[0]):
            value = np.float64(g[c])
            sums[c] += value
            products[c] += value * np.float64(a[c])
