"""The LIF neuron (Eqs. 1 to 3) over time, and its backward pass (Eq. 14) with the membrane recomputed.

Flat arrays `[T*N, C]`, N positions (batch, y, x). The accumulator may have one step for all (`step = 0`).
"""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.kernels.parallel import kernel

TRIANGLE, SIGMOID, ARCTAN, RECTANGULAR = range(4)


@kernel
def add_current(low, high, total, acc, scale, shift, steps, positions, step):
    """`total[t, n] += scale*acc[t, n] + shift`, positions low..high-1: several currents become one."""
    for t in range(steps):
        for n in range(low, high):
            o, a = total[t * positions + n], acc[t * step + n]
            for c in range(o.shape[0]):
                o[c] += scale[c] * np.float32(a[c]) + shift[c]


@kernel
def integrate(potential, acc, scale, shift, beta):
    """Eq. 1: `potential = beta*potential + (scale*acc + shift)`."""
    for c in range(potential.shape[0]):
        potential[c] = beta * potential[c] + (scale[c] * np.float32(acc[c]) + shift[c])


@kernel
def lif_forward(low, high, acc, scale, shift, spikes, steps, positions, step, beta, threshold):
    """Spikes uint8 `[T*N, C]` of positions low..high-1; the membrane starts at 0 and resets to 0."""
    zero = np.float32(0)
    u = np.empty(scale.shape[0], np.float32)
    for n in range(low, high):
        u[:] = 0
        for t in range(steps):
            integrate(u, acc[t * step + n], scale, shift, beta)
            s = spikes[t * positions + n]
            for c in range(u.shape[0]):
                fired = u[c] >= threshold
                s[c] = fired
                u[c] = zero if fired else u[c]


@kernel
def lif_potentials(low, high, acc, scale, shift, potentials, steps, positions, step, beta, threshold):
    """The membrane before reset, float32 `[T*N, C]`: what SCA scores and what the tests look at."""
    zero = np.float32(0)
    u = np.empty(scale.shape[0], np.float32)
    for n in range(low, high):
        u[:] = 0
        for t in range(steps):
            integrate(u, acc[t * step + n], scale, shift, beta)
            v = potentials[t * positions + n]
            for c in range(u.shape[0]):
                v[c] = u[c]
                u[c] = zero if u[c] >= threshold else u[c]


@kernel
def surrogate(kind, width, distance, slope):
    """dS/dU~ at `distance = U~ - threshold`: the derivative that stands in for the spike's."""
    one, zero = np.float32(1), np.float32(0)
    inverse = one / width
    if kind == TRIANGLE:
        for c in range(distance.shape[0]):
            h = width - abs(distance[c])
            slope[c] = inverse * inverse * (h if h > zero else zero)
    elif kind == SIGMOID:
        for c in range(distance.shape[0]):
            s = one / (one + np.float32(math.exp(np.float64(-abs(distance[c]) * inverse))))
            slope[c] = inverse * s * (one - s)
    elif kind == ARCTAN:
        for c in range(distance.shape[0]):
            z = np.float32(math.pi / 2) * inverse * distance[c]
            slope[c] = np.float32(0.5) * inverse / (one + z * z)
    else:
        for c in range(distance.shape[0]):
            slope[c] = inverse if abs(distance[c]) < np.float32(0.5) * width else zero


@kernel
def step_back(gradient, spike_gradient, potential, slope, threshold, carry, beta, detach):
    """One step of Eq. 14: `g = gS*h + carry*dU/dU~`, `dU/dU~ = (1 - S) - U~*h` (without the last term, detached)."""
    one, zero = np.float32(1), np.float32(0)
    for c in range(gradient.shape[0]):
        v, h = potential[c], slope[c]
        keep = zero if v >= threshold else one
        through = keep if detach else keep - v * h
        g = spike_gradient[c] * h + carry[c] * through
        gradient[c] = g
        carry[c] = beta * g


@kernel
def lif_backward(
    low, high, acc, scale, shift, spike_gradient, gradient, steps, positions, step, beta, threshold, kind, width, detach
):
    """dL/dX float32 `[T*N, C]` from dL/dS, positions low..high-1; membranes are recomputed from `acc`."""
    channels = scale.shape[0]
    zero = np.float32(0)
    potentials = np.empty((steps, channels), np.float32)
    slope = np.empty(channels, np.float32)
    u = np.empty(channels, np.float32)
    for n in range(low, high):
        u[:] = 0
        for t in range(steps):
            integrate(u, acc[t * step + n], scale, shift, beta)
            v = potentials[t]
            for c in range(channels):
                v[c] = u[c]
                u[c] = zero if u[c] >= threshold else u[c]
        u[:] = 0
        for t in range(steps - 1, -1, -1):
            v, row = potentials[t], t * positions + n
            for c in range(channels):
                slope[c] = v[c] - threshold
            surrogate(kind, width, slope, slope)
            step_back(gradient[row], spike_gradient[row], v, slope, threshold, u, beta, detach)
