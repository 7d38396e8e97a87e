"""One pass over a parameter for one update: what NumPy would do in five, each through memory."""

from __future__ import annotations

from qpsnn_core.kernels.simd.vector import fill16, put, take16
from qpsnn_core.kernels.threads import kernel


@kernel
def sgd_step(low, high, param, gradient, speed, rate, momentum, decay, nesterov, out, new_speed):
    """`g += decay*p; v = momentum*v + g; p -= rate*v` (Nesterov: `p -= rate*(g + momentum*v)`) of low..high-1.

    All flat float32.
    """
    fast, slow, kept = fill16(rate, param), fill16(momentum, param), fill16(decay, param)
    for i in range(low, high, 16):
        count = high - i
        p = take16(param, i, count)
        g = take16(gradient, i, count) + kept * p
        v = slow * take16(speed, i, count) + g
        put(new_speed, i, v, count)
        step = g + slow * v if nesterov else v
        put(out, i, p - fast * step, count)
