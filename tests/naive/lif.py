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

    how: the quantizer of what is stored; None: all is. beta, threshold: one number, or one for each channel.
    """
    leak, theta = (np.resize(np.asarray(one, F), x.shape[2]) for one in (beta, threshold))
    spikes, before = np.zeros(x.shape, np.uint8), np.zeros(x.shape, F)
    for n in range(x.shape[1]):
        for c in range(x.shape[2]):
            u = F(0)
            for t in range(x.shape[0]):
                u = F(F(leak[c]) * u) + x[t, n, c]
                before[t, n, c] = u
                if u >= F(theta[c]):
                    spikes[t, n, c] = 1
                    u = F(0) if reset == "zero" else u - F(theta[c])
                u = stored(u, theta[c], how)
    return spikes, before


def backward(*given, **options):
    """dL/dX of `gradients`."""
    return gradients(*given, **options)[0]


def gradients(
    before, spike_gradient, beta, threshold, reset, slope, detach, how=None, level_slope=None, published=False
):
    """(dL/dX, dL/dthreshold, dL/dbeta) in float64 from dL/dS; the last two are [C], summed over steps and positions.

    `dL/dU~ = dL/dS*h + dL/dU*dU/dU~`, and `dL/dU[t-1] = beta*dL/dU~[t]`.
    dU/dU~ is `(1 - S) - U~*h` of a reset to zero and `1 - threshold*h` of one by subtraction; detach: without the last
    term. slope: h as a function of `U~ - threshold`. how: the quantizer of what is stored; level_slope: its derivative
    as a function of the membrane after its reset, in steps. beta, threshold: one number, or one for each channel.
    published: SpQuant-SNN's dL/dthreshold of a spike, `-dL/dS*h*sigmoid(U~ - threshold)` where it fired.
    """
    out, channels = np.zeros(before.shape), before.shape[2]
    of_threshold, of_leak = np.zeros(channels), np.zeros(channels)
    betas, thresholds = (np.resize(np.asarray(one, F), channels).astype(float) for one in (beta, threshold))
    for n in range(before.shape[1]):
        for c in range(channels):
            leak, theta, of_stored = betas[c], thresholds[c], 0.0
            for t in reversed(range(before.shape[0])):
                u = before[t, n, c].item()
                left, stored_now, h = *kept(u, theta, reset, how), slope(u - theta)
                fall = 1.0 if how is None else level_slope(how, left / (theta / how.parts)).item()
                of_left = of_stored * fall
                through, lost = (0.0 if u >= theta else 1.0, u) if reset == "zero" else (1.0, theta)
                of_spike = spike_gradient[t, n, c].item() - (0.0 if detach else of_left * lost)
                out[t, n, c] = of_spike * h + of_left * through
                share = 1.0 if not published else (u >= theta) / (1 + np.exp(theta - u))
                of_threshold[c] -= of_spike * h * share
                if reset == "subtract" and u >= theta:
                    of_threshold[c] -= of_left
                if how is not None:
                    of_threshold[c] += of_stored * stored_now / theta - of_left * left / theta
                if t > 0:
                    of_leak[c] += out[t, n, c] * kept(before[t - 1, n, c].item(), theta, reset, how)[1]
                of_stored = leak * out[t, n, c]
    return out, of_threshold, of_leak


def kept(u, theta, reset, how):
    """What is left of a membrane after its reset, and what is stored of that."""
    left = u if u < theta else 0.0 if reset == "zero" else u - theta
    return left, float(stored(F(left), theta, how))
