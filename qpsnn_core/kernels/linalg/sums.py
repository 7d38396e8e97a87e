"""Sums of float64 numbers in one order on every processor: along rows, down columns, and over steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, load16, multiply_add, store, take16
from qpsnn_core.kernels.threads import kernel, parallel_for

LANES = 16
"""Numbers of a vector."""

CHUNK = 64
"""Least number of columns that one thread adds."""

BESIDE = 1024
"""Columns that are filtered at a time: those of all steps stay in the first cache."""


@kernel
def dot_rows(start, stop, a, b, out):
    """`out[r] = sum over j of a[r, j] * b[r, j]`, rows start..stop-1: LANES chains, added one after another.

    a, b: float64 [R, d], contiguous. out: float64 [R], written.
    """
    size, lanes = a.shape[1], np.empty(LANES)
    first, second = a.ravel(), b.ravel()
    for r in range(start, stop):
        sums = fill16(0, lanes)
        for c in range(0, size, LANES):
            at = r * size + c
            if c + LANES <= size:
                sums = multiply_add(load16(first, at), load16(second, at), sums)
            else:
                sums = multiply_add(take16(first, at, size - c), take16(second, at, size - c), sums)
        store(lanes, 0, sums)
        out[r] = 0.0
        for lane in lanes:
            out[r] += lane


@kernel
def add_down(start, stop, values, out):
    """`out[c] += sum over i of values[i, c]`, columns start..stop-1, one row after another; float64 [n, C] and [C]."""
    for i in range(len(values)):
        for c in range(start, stop):
            out[c] += values[i, c]


@kernel
def filter_steps(start, stop, factors, x, out):
    """`out[t, j] = sum over i of factors[t, i] * x[i, j]`, columns start..stop-1, one step i after another.

    factors: float64 [T, T]. x: real numbers or integers [T, n]. out: float64 [T, n], written.
    """
    for begin in range(start, stop, BESIDE):
        end = min(begin + BESIDE, stop)
        for t in range(len(out)):
            line = out[t, begin:end]
            line[:] = 0.0
            for i in range(len(x)):
                factor, counts = factors[t, i], x[i, begin:end]
                for j in range(len(line)):
                    line[j] += factor * counts[j]


def sum_down(values: Any) -> Any:
    """The sums of the columns of a matrix [n, C], float64 [C], one row after another."""
    out = np.zeros(values.shape[1])
    parallel_for(add_down, values.shape[1], CHUNK, np.ascontiguousarray(values, np.float64), out)
    return out
