"""The integer LIF neuron over time, and the sum of its currents, in exact int32.

Arrays `[T*N, C]`, N positions (batch, y, x), walked LANES neurons at a time, each through all time steps: what does not
change with time stays in registers. A `current` may have one step for all (`step = 0`, else N).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.cyclic_channels import next_phase, tile_channels
from qpsnn_core.kernels.neurons.lif import after_reset
from qpsnn_core.kernels.simd.llvm import MASKS
from qpsnn_core.kernels.simd.vector import (
    fill16,
    fill64,
    greater_equal,
    halve,
    load16,
    load64,
    select,
    store,
    store_masked,
    take16,
    take64,
    to,
)
from qpsnn_core.kernels.threads import kernel

LANES = 64 if MASKS else 16
"""Neurons that are walked at a time: 64 fill a third of the registers of AVX-512, and more than all of AVX2."""

load, take, fill = (load64, take64, fill64) if LANES == 64 else (load16, take16, fill16)

LINE = 64
"""Counts that are added at a time."""

COLUMNS = 4096
"""Neurons whose counts are added up at a time: their sums stay in the nearest cache."""


class Ladder(NamedTuple):
    """The levels of stored membranes: `lowest + step*n`, n from 0 to `rungs`; from `first + step*n` on it is n + 1.

    lowest, first, step: int32, from `tile_channels` for LANES.
    """

    lowest: Array
    first: Array
    step: Array
    rungs: int


def ladder(threshold: Any, low: int, high: int, parts: int) -> Ladder:
    """Of neurons of these thresholds, int32 [C]; low, high: in thresholds, each of `parts` steps."""
    step = threshold.astype(np.int64) // parts
    first = (2 * low * parts + 1) * step // 2 + 1
    lowest, edge, rise = (tile_channels(one.astype(np.int32), LANES) for one in (low * parts * step, first, step))
    return Ladder(lowest, edge, rise, (high - low) * parts)


class IntLIFSettings(NamedTuple):
    """What `int_lif` needs of a neuron besides its currents.

    bias, threshold: int32, from `tile_channels` for LANES. steps: T. positions: N, those of one step. multiplier,
    shift: the leak, `U -> multiplier*U >> shift`. subtract: of RESETS; True: `U = U~ - threshold if S else U~`.
    levels: what U then goes to; None: it stays, and Numba compiles a variant without them.
    """

    bias: Array
    threshold: Array
    steps: int
    positions: int
    multiplier: int
    shift: int
    subtract: bool | None
    levels: Ladder | None = None


def current(acc: Any, gain: Any, step: int) -> tuple[Any, Any, int]:
    """A current as the kernel below takes it: everything flat, the gain from `tile_channels`, step in numbers."""
    return acc.reshape(-1), tile_channels(gain, LANES), step * len(gain)


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
def taken(array, index, count, partly):
    """The LANES numbers of a flat array from `index` on; `partly`, those beyond `count` are 0.

    partly: True, or None: all are there, and `count` is not read.
    """
    if partly is None:
        return load(array, index)
    return take(array, index, count)


@kernel
def put(array, index, vector, count, partly):
    """Write LANES numbers of the array's type to a flat array from `index` on; `partly`, the first `count` alone.

    vector: the numbers. partly: as for `taken`.
    """
    if partly is None:
        store(array, index, vector)
    else:
        store_masked(array, index, vector, count)


@kernel
def gain_of(current, phase):
    """The gain of LANES neurons whose channels begin at `phase`; None where there is no current, from `current`."""
    return None if current is None else load(current[1], phase)


@kernel
def scaled(current, gain, t, i, count, partly):
    """`gain*acc`, int32, at step t of LANES neurons from i on.

    current: from `current`. gain: theirs, from `gain_of`. count, partly: as for `taken`.
    """
    acc, like, step = current
    return gain * to(taken(acc, t * step + i, count, partly), like)


@kernel
def to_level(u, levels, phase):
    """U of LANES membranes whose channels begin at `phase`: their levels; u itself where there is no Ladder."""
    if levels is None:
        return u
    lowest, first, step, rungs = levels
    level, edge, rise = load(lowest, phase), load(first, phase), load(step, phase)
    for _ in range(rungs):
        level = select(greater_equal(u, edge), level + rise, level)
        edge = edge + rise
    return level


@kernel
def int_lif_range(begin, end, phase, channels, partly, first, second, out, kept, settings, initial):
    """`int_lif` of neurons begin..end-1, in whole vectors, or `partly`: fewer neurons than one has.

    phase: the channel of neuron `begin`, of so many channels. partly: as for `taken`. out, kept: spikes and membranes,
    flat. The rest as for `int_lif`.
    """
    bias, threshold, steps, positions, multiplier, shift, subtract, levels = settings
    each, keep = positions * channels, len(kept) > 0
    wide = np.zeros(0, np.int64)
    zero = fill(0, bias)
    for i in range(begin, end, LANES):
        count = end - i
        fixed, limit = load(bias, phase), load(threshold, phase)
        gain, other = gain_of(first, phase), gain_of(second, phase)
        u = zero if initial is None else taken(initial, i, count, partly)
        for t in range(steps):
            x = fixed + scaled(first, gain, t, i, count, partly)
            if second is not None:
                x = x + scaled(second, other, t, i, count, partly)
            if multiplier == 1:
                u = halve(u, shift) + x
            else:
                u = to(halve(to(u, wide) * fill(multiplier, wide), shift), bias) + x
            fired = greater_equal(u, limit)
            u = to_level(after_reset(u, fired, limit, zero, subtract), levels, phase)
            put(out, t * each + i, to(fired, out), count, partly)
            if keep:
                put(kept, t * each + i, u, count, partly)
        phase = next_phase(phase, channels, LANES)
    return phase


@kernel
def int_lif(start, stop, first, second, spikes, membranes, settings, initial=None):
    """`U~ = leak(U) + bias + gain*acc; S = U~ >= threshold; U = 0 if S else U~`, positions start..stop-1.

    first, second: currents from `current`, the second may be None. spikes: uint8 `[T*N, C]`, written; membranes after
    reset: int32 `[T*N, C]`, written, or 0 rows: not kept. settings: IntLIFSettings. initial: U before the first step,
    int32, flat; None: 0.
    """
    channels = spikes.shape[1]
    out, kept = spikes.reshape(-1), membranes.reshape(-1)
    begin, end = start * channels, stop * channels
    whole = end - (end - begin) % LANES
    phase = int_lif_range(begin, whole, 0, channels, None, first, second, out, kept, settings, initial)
    if whole < end:
        int_lif_range(whole, end, phase, channels, True, first, second, out, kept, settings, initial)


@kernel
def add_counts(start, stop, counts, frames_per_sum, times, sums):
    """`sums[i] += times * (the sum of counts[:, i])`, i from start to stop-1.

    counts: unsigned `[frames, size]`. frames_per_sum: of so many frames, the type of counts holds the sum. times: an
    integer. sums: int64 `[size]`.
    """
    frames, size = counts.shape
    flat = counts.reshape(-1)
    part = np.zeros(COLUMNS, counts.dtype)
    zero = fill64(0, part)
    for begin in range(start, stop, COLUMNS):
        some = min(COLUMNS, stop - begin)
        whole = some - some % LINE
        for earliest in range(0, frames, frames_per_sum):
            for i in range(0, some, LINE):
                store(part, i, zero)
            for frame in range(earliest, min(earliest + frames_per_sum, frames)):
                at = frame * size + begin
                for i in range(0, whole, LINE):
                    store(part, i, load64(part, i) + load64(flat, at + i))
                if whole < some:
                    store(part, whole, load64(part, whole) + take64(flat, at + whole, some - whole))
            for i in range(some):
                sums[begin + i] += times * np.int64(part[i])
