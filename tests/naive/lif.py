"""Loops-only twins of the LIF kernels: Eqs. 1 to 3 in float32, one neuron at a time; Eq. 14 in float64.

Currents and spikes are `[T, N, C]`. Forward, every product and sum is rounded to float32 in the order of the equation,
so the kernels must give the same bits. Backward starts from those same membranes.
"""

from __future__ import annotations

import numpy as np

F = np.float32


def current(acc, scale, shift, steps):
    """`X[t] = scale*acc[t] + shift` in float32; an accumulator of one step serves every step."""
    x = np.zeros((steps, *acc.shape[1:]), F)
    for t, n, c in np.ndindex(x.shape):
        x[t, n, c] = F(F(scale[c]) * F(acc[t if len(acc) > 1 else 0, n, c])) + F(shift[c])
    return x


def add(total, acc, scale, shift):
    """`total[t] + (scale*acc[t] + shift)` in float32."""
    x = current(acc, scale, shift, len(total))
    out = np.zeros_like(total)
    for place in np.ndindex(x.shape):
        out[place] = F(total[place]) + F(x[place])
    return out


def forward(x, beta, threshold):
    """Spikes uint8 and membranes before reset float32, both [T, N, C]."""
    spikes, before = np.zeros(x.shape, np.uint8), np.zeros(x.shape, F)
    for n in range(x.shape[1]):
        for c in range(x.shape[2]):
            u = F(0)
            for t in range(x.shape[0]):
                u = F(F(beta) * u) + x[t, n, c]
                before[t, n, c] = u
                if u >= F(threshold):
                    spikes[t, n, c] = 1
                    u = F(0)
    return spikes, before


def backward(before, spike_gradient, beta, threshold, slope, detach):
    """dL/dX float64 from dL/dS: `dL/dU~ = dL/dS*h + dL/dU*((1 - S) - U~*h)`, and `dL/dU[t-1] = beta*dL/dU~[t]`.

    slope: h as a function of `U~ - threshold`. detach: without the last term.
    """
    out = np.zeros(before.shape)
    beta, threshold = F(beta).item(), F(threshold).item()
    for n in range(before.shape[1]):
        for c in range(before.shape[2]):
            carried = 0.0
            for t in reversed(range(before.shape[0])):
                u = before[t, n, c].item()
                h = slope(u - threshold)
                kept = 0.0 if u >= threshold else 1.0
                through = kept if detach else kept - u * h
                out[t, n, c] = spike_gradient[t, n, c].item() * h + carried * through
                carried = beta * out[t, n, c]
    return out
