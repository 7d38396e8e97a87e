"""The integer LIF neuron over time, and the sum of its currents, in exact int32.

Flat arrays `[T*N, C]`, N positions (batch, y, x). An accumulator may have one step for all (`step = 0`).
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.parallel import kernel


@kernel
def add_scaled(low, high, total, acc, gain, steps, positions, step):
    """`total[t, n] += gain*acc[t, n]`, positions low..high-1: several currents become one."""
    for t in range(steps):
        for n in range(low, high):
            o, a = total[t * positions + n], acc[t * step + n]
            for c in range(o.shape[0]):
                o[c] += np.int32(gain[c] * np.int32(a[c]))


@kernel
def halve(potential, shift):
    """`U = U >> shift`, arithmetic."""
    for c in range(potential.shape[0]):
        potential[c] = potential[c] >> shift


@kernel
def scale_down(potential, multiplier, shift):
    """`U = (U * multiplier) >> shift`, the product in 64 bits."""
    for c in range(potential.shape[0]):
        potential[c] = np.int32((np.int64(potential[c]) * multiplier) >> shift)


@kernel
def fire(potential, acc, gain, bias, threshold, spikes):
    """`U~ = U + bias + gain*acc; S = U~ >= threshold; U = 0 if S else U~`."""
    zero = np.int32(0)
    for c in range(potential.shape[0]):
        v = np.int32(potential[c] + np.int32(bias[c] + np.int32(gain[c] * np.int32(acc[c]))))
        fired = v >= threshold[c]
        spikes[c] = fired
        potential[c] = zero if fired else v


@kernel
def int_lif(low, high, acc, gain, bias, threshold, spikes, membranes, steps, positions, step, multiplier, shift):
    """Spikes uint8 `[T*N, C]` and membranes after reset int32 (or 0 rows: not kept) of positions low..high-1."""
    keep = membranes.shape[0] > 0
    u = np.empty(gain.shape[0], np.int32)
    for n in range(low, high):
        u[:] = 0
        for t in range(steps):
            if multiplier == 1:
                halve(u, shift)
            else:
                scale_down(u, multiplier, shift)
            fire(u, acc[t * step + n], gain, bias, threshold, spikes[t * positions + n])
            if keep:
                membranes[t * positions + n] = u
