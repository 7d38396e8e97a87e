"""One pass over a parameter for one update: what NumPy would do in five, each through memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, store_masked, take16
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
