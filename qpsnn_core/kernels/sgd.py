"""One pass over a parameter for one update, which NumPy would do in five, and over a gradient for its norm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, load16, store, store_masked, take16, to
from qpsnn_core.kernels.threads import kernel


class SGDFactors(NamedTuple):
    """rate: the learning rate. decay: of weights. nesterov: whether the step looks ahead by Nesterov's rule."""

    rate: np.float32
    momentum: np.float32
    decay: np.float32
    nesterov: bool


@kernel
def sgd_step(start, stop, param, gradient, speed, factors, out, new_speed):
    """`g += decay*p; v = momentum*v + g; p -= rate*v` (Nesterov: `p -= rate*(g + momentum*v)`) of start..stop-1.

    param, gradient, speed: p, g and v, float32, flat. factors: SGDFactors. out, new_speed: the new p and v, float32,
    flat, written.
    """
    rate, momentum, decay, nesterov = factors
    fast, slow, kept = fill16(rate, param), fill16(momentum, param), fill16(decay, param)
    for i in range(start, stop, 16):
        count = stop - i
        p = take16(param, i, count)
        g = take16(gradient, i, count) + kept * p
        v = slow * take16(speed, i, count) + g
        store_masked(new_speed, i, v, count)
        step = g + slow * v if nesterov else v
        store_masked(out, i, p - fast * step, count)


@kernel
def sum_squares(start, stop, array, sums):
    """`sums[i % 16] += array[start + i]**2` in float64, for start + i < stop; 16 sums side by side.

    array: float32, flat. sums: float64 `[16]`.
    """
    total = load16(sums, 0)
    for i in range(start, stop, 16):
        value = to(take16(array, i, stop - i), sums)
        total = total + value * value
    store(sums, 0, total)
