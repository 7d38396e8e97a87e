"""One pass over a parameter for one update: what NumPy would do in five, each through memory."""

from __future__ import annotations

from qpsnn_core.kernels.parallel import kernel


@kernel
def sgd_step(low, high, param, gradient, speed, rate, momentum, decay, nesterov, out, new_speed):
    """`g += decay*p; v = momentum*v + g; p -= rate*v` (Nesterov: `p -= rate*(g + momentum*v)`) of low..high-1.

    All flat float32.
    """
    for i in range(low, high):
        g = gradient[i] + decay * param[i]
        v = momentum * speed[i] + g
        new_speed[i] = v
        out[i] = param[i] - rate * (g + momentum * v if nesterov else v)
