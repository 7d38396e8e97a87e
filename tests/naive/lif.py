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


def stored(u, threshold, how):
    """The nearest of the levels `low..high`, in steps of `threshold / parts`, all in float32; a tie goes down."""
    if how is None:
        return u
    step = F(threshold) / F(how.parts)
    v, best = u / step, None
    for level in range(how.high * how.parts, how.low * how.parts - 1, -1):
        if best is None or abs(v - F(level)) <= abs(v - F(best)):
            best = level
    return F(best) * step


def forward(x, beta, threshold, reset, how=None):
    """Spikes uint8 and membranes before reset float32, both [T, N, C]. reset: "zero" or "subtract".

    how: the quantizer of what is stored; None: all is.
    """
    spikes, before = np.zeros(x.shape, np.uint8), np.zeros(x.shape, F)
    for n in range(x.shape[1]):
        for c in range(x.shape[2]):
            u = F(0)
            for t in range(x.shape[0]):
                u = F(F(beta) * u) + x[t, n, c]
                before[t, n, c] = u
                if u >= F(threshold):
                    spikes[t, n, c] = 1
                    u = F(0) if reset == "zero" else u - F(threshold)
                u = stored(u, threshold, how)
    return spikes, before


def backward(before, spike_gradient, beta, threshold, reset, slope, detach, how=None, level_slope=None):
    """dL/dX float64 from dL/dS: `dL/dU~ = dL/dS*h + dL/dU*dU/dU~`, and `dL/dU[t-1] = beta*dL/dU~[t]`.

    dU/dU~ is `(1 - S) - U~*h` of a reset to zero and `1 - threshold*h` of one by subtraction; detach: without the last
    term. slope: h as a function of `U~ - threshold`. how: the quantizer of what is stored; level_slope: its derivative
    as a function of the membrane after its reset, in steps.
    """
    out = np.zeros(before.shape)
    beta, threshold = F(beta).item(), F(threshold).item()
    for n in range(before.shape[1]):
        for c in range(before.shape[2]):
            carried = 0.0
            for t in reversed(range(before.shape[0])):
                u = before[t, n, c].item()
                h = slope(u - threshold)
                if how is not None:
                    left = u if u < threshold else 0.0 if reset == "zero" else u - threshold
                    carried *= level_slope(how, left / (threshold / how.parts)).item()
                if reset == "zero":
                    kept, lost = 0.0 if u >= threshold else 1.0, u
                else:
                    kept, lost = 1.0, threshold
                through = kept if detach else kept - lost * h
                out[t, n, c] = spike_gradient[t, n, c].item() * h + carried * through
                carried = beta * out[t, n, c]
    return out
