"""Sums over places and over channels that gates need, each in the order of memory: the same bits on any processor."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel


@kernel
def place_sums(start, stop, values, places, total):
    """`total[m, c] = sum over places p of |values[m*places + p, c]|`, images m of start..stop-1.

    values: `[M*places, C]`. total: float64 `[M, C]`, written.
    """
    for image in range(start, stop):
        total[image] = 0
        for row in range(image * places, (image + 1) * places):
            for c in range(values.shape[1]):
                total[image, c] += abs(np.float64(values[row, c]))


@kernel
def place_products(start, stop, first, second, total):
    """`total[row] = sum over channels of first[row, c]*second[row, c]`, rows start..stop-1, added up in float64.

    first: float32; second: integers or float32; both `[rows, C]`. total: float32, flat, written.
    """
    for row in range(start, stop):
        together = 0.0
        for c in range(first.shape[1]):
            together += np.float64(first[row, c]) * np.float64(second[row, c])
        total[row] = together
