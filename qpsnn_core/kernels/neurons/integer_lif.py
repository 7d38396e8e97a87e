"""The integer LIF neuron over time, and the sum of its currents, in exact int32.

Arrays `[T*N, C]`, N positions (batch, y, x), walked 16 neurons at a time, each through all time steps. A `current` may
have one step for all (`step = 0`, else N).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.cyclic_channels import next_phase, tile_channels
from qpsnn_core.kernels.neurons.lif import after_reset
from qpsnn_core.kernels.simd.vector import fill16, greater_equal, halve, load16, store_masked, take16, to
from qpsnn_core.kernels.threads import kernel


class IntLIFSettings(NamedTuple):
    """What `int_lif` needs of a neuron besides its currents.

    bias, threshold: int32, from `tile_channels`. steps: T. positions: N, those of one step. multiplier, shift: the
    leak, `U -> multiplier*U >> shift`. subtract: of RESETS; True: `U = U~ - threshold if S else U~`.
    """

    bias: Array
    threshold: Array
    steps: int
    positions: int
    multiplier: int
    shift: int
    subtract: bool | None


def current(acc: Any, gain: Any, step: int) -> tuple[Any, Any, int]:
    """A current as the kernel below takes it: everything flat, the gain from `tile_channels`, step in numbers."""
    return acc.reshape(-1), tile_channels(gain), step * len(gain)


@kernel
def add_scaled(start, stop, total, acc, gain, steps, positions, step):
    """`total[t, n] += gain*acc[t, n]`, positions start..stop-1: several currents become one.

    total: int32 `[T*N, C]`, N = `positions`, T = `steps`. acc: integers `[T*N, C]`, or `[N, C]` for all steps. gain:
    int32 `[C]`. step: rows of acc between two time steps, N or 0.
    """
    for t in range(steps):
        for n in range(start, stop):
            o, a = total[t * positions + n], acc[t * step + n]
            for c in range(o.shape[0]):
                o[c] += np.int32(gain[c] * np.int32(a[c]))


@kernel
def scaled(current, t, i, phase, count):
    """`gain*acc`, int32, at step t of neurons i..i+15, whose channels begin at `phase`.

    current: from `current`. count: neurons from i on; those beyond are 0.
    """
    acc, gain, step = current
    return load16(gain, phase) * to(take16(acc, t * step + i, count), gain)


@kernel
def int_lif(start, stop, first, second, spikes, membranes, settings, initial=None):
    """`U~ = leak(U) + bias + gain*acc; S = U~ >= threshold; U = 0 if S else U~`, positions start..stop-1.

    first, second: currents from `current`, the second may be None. spikes: uint8 `[T*N, C]`, written; membranes after
    reset: int32 `[T*N, C]`, written, or 0 rows: not kept. settings: IntLIFSettings. initial: U before the first step,
    int32, flat; None: 0.
    """
    bias, threshold, steps, positions, multiplier, shift, subtract = settings
    channels = spikes.shape[1]
    keep = membranes.shape[0] > 0
    out, kept = spikes.reshape(-1), membranes.reshape(-1)
    wide = np.zeros(0, np.int64)
    zero = fill16(0, bias)
    phase = 0
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        u = zero if initial is None else take16(initial, i, count)
        for t in range(steps):
            x = load16(bias, phase) + scaled(first, t, i, phase, count)
            if second is not None:
                x = x + scaled(second, t, i, phase, count)
            if multiplier == 1:
                u = halve(u, shift) + x
            else:
                u = to(halve(to(u, wide) * fill16(multiplier, wide), shift), bias) + x
            limit = load16(threshold, phase)
            fired = greater_equal(u, limit)
            u = after_reset(u, fired, limit, zero, subtract)
            store_masked(out, t * positions * channels + i, to(fired, out), count)
            if keep:
                store_masked(kept, t * positions * channels + i, u, count)
        phase = next_phase(phase, channels)


@kernel
def add_counts(start, stop, counts, times, sums):
    """`sums[i] += times * (the sum of counts[:, i])`, i from start to stop-1.

    counts: unsigned `[frames, size]`, below 2**15. times: an integer. sums: int64 `[size]`.
    """
    frames, size = counts.shape
    flat = counts.reshape(-1)
    part = np.zeros(16, np.int32)
    for i in range(start, stop, 16):
        count = stop - i
        for begin in range(0, frames, 2**15):
            total = fill16(0, part)
            for frame in range(begin, min(begin + 2**15, frames)):
                total = total + to(take16(flat, frame * size + i, count), part)
            store_masked(part, 0, total, 16)
            for k in range(min(16, count)):
                sums[i + k] += times * part[k]
