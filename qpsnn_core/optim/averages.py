"""Sums of gradients over batches, and averages of weights over updates: pure functions of arrays by node and name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qpsnn_core.common.types import Arrays, Floats


def add_gradients(sums: Arrays, gradients: Arrays) -> Arrays:
    """`sums + gradients`, float32, one batch after another."""
    return _each(lambda total, one: total + one.astype(np.float32, copy=False), sums, gradients)


def mean_gradients(sums: Arrays, batches: int) -> Arrays:
    """`sums / batches`, float32: the gradient of the mean loss of so many batches of one size."""
    return _each(lambda total, _: total / np.float32(batches), sums, sums)


def moved_average(average: Arrays, params: Arrays, decay: float) -> Arrays:
    """`average + (1 - decay) * (params - average)`, float32: the exponential moving average of weights.

    Polyak & Juditsky 1992 (doi:10.1137/0330046) average weights; this form is that of Tarvainen & Valpola 2017
    (arXiv:1703.01780). decay: 0 to below 1.
    """
    share = np.float32(1 - decay)
    return _each(lambda old, new: old + share * (new - old), average, params)


def _each(function: Callable[[Floats, Floats], Floats], first: Arrays, second: Arrays) -> Arrays:
    return {
        node: {name: function(array, second[node][name]) for name, array in arrays.items()}
        for node, arrays in first.items()
    }
