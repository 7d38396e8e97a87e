"""Sums of the weights of inputs that spike, for all neurons of a layer at once, in vectors."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.simd.vector import fill16, fill32, item, load16, load32, store, to
from qpsnn_core.kernels.threads import kernel

BYTES_AT_ONCE = 256
"""So many weights of int8 have a sum that int16 holds."""


@kernel
def add_block(totals, place, weights, neurons, j, events, start, stop):
    """The sums of 128 neurons from j on, or of those that are left: `totals[place + j...]`, flat, as for `add_rows`.

    weights: flat, `neurons` in each row.
    """
    zero = fill16(0, totals)
    if neurons - j >= 128:
        a, b, c, d, f, g, h, i = zero, zero, zero, zero, zero, zero, zero, zero
        for e in range(start, stop):
            k = np.int64(item(events, e)) * neurons + j
            a = a + to(load16(weights, k), totals)
            b = b + to(load16(weights, k + 16), totals)
            c = c + to(load16(weights, k + 32), totals)
            d = d + to(load16(weights, k + 48), totals)
            f = f + to(load16(weights, k + 64), totals)
            g = g + to(load16(weights, k + 80), totals)
            h = h + to(load16(weights, k + 96), totals)
            i = i + to(load16(weights, k + 112), totals)
        store(totals, place + j, a)
        store(totals, place + j + 16, b)
        store(totals, place + j + 32, c)
        store(totals, place + j + 48, d)
        store(totals, place + j + 64, f)
        store(totals, place + j + 80, g)
        store(totals, place + j + 96, h)
        store(totals, place + j + 112, i)
        return
    if neurons < 16:
        for n in range(neurons):
            totals[place + n] = 0
            for e in range(start, stop):
                totals[place + n] += weights[events[e] * neurons + n]
        return
    for n in range(j, neurons, 16):
        m = min(n, neurons - 16)
        a = zero
        for e in range(start, stop):
            a = a + to(load16(weights, np.int64(item(events, e)) * neurons + m), totals)
        store(totals, place + m, a)


@kernel
def add_half(totals, place, weights, neurons, j, events, start, stop):
    """As `add_block`, the sums of 64 neurons, all of which there are."""
    zero = fill16(0, totals)
    a, b, c, d = zero, zero, zero, zero
    for e in range(start, stop):
        k = np.int64(item(events, e)) * neurons + j
        a = a + to(load16(weights, k), totals)
        b = b + to(load16(weights, k + 16), totals)
        c = c + to(load16(weights, k + 32), totals)
        d = d + to(load16(weights, k + 48), totals)
    store(totals, place + j, a)
    store(totals, place + j + 16, b)
    store(totals, place + j + 32, c)
    store(totals, place + j + 48, d)


@kernel
def add_bytes(totals, place, weights, neurons, j, events, start, stop, narrow):
    """As `add_block`, the sums of 128 neurons, all of which there are, of at most 256 weights in int8.

    narrow: any array of int16, which holds such sums.
    """
    zero = fill32(0, narrow)
    a, b, c, d = zero, zero, zero, zero
    for e in range(start, stop):
        k = np.int64(item(events, e)) * neurons + j
        a = a + to(load32(weights, k), narrow)
        b = b + to(load32(weights, k + 32), narrow)
        c = c + to(load32(weights, k + 64), narrow)
        d = d + to(load32(weights, k + 96), narrow)
    store(totals, place + j, to(a, totals))
    store(totals, place + j + 32, to(b, totals))
    store(totals, place + j + 64, to(c, totals))
    store(totals, place + j + 96, to(d, totals))


@kernel
def add_rows(totals, weights, events, start, stop):
    """`totals[j] = 0 + weights[events[start], j] + ... + weights[events[stop - 1], j]`, added in this order.

    totals: `[neurons]`, float32 or int32. weights: `[inputs, neurons]`. events, start, stop: inputs that spike.
    """
    flat, neurons = weights.reshape(-1), totals.shape[0]
    narrow = np.zeros(1, np.int16)
    small = weights.itemsize == 1 and stop - start <= BYTES_AT_ONCE
    for j in range(0, neurons, 128):
        if small and neurons - j >= 128:
            add_bytes(totals, 0, flat, neurons, j, events, start, stop, narrow)
        else:
            add_block(totals, 0, flat, neurons, j, events, start, stop)


@kernel
def add_all_rows(totals, weights, events, first):
    """As `add_rows`, the spikes of every step into its row of `totals`, `[steps, neurons]`. first: as from `encode`.

    128 neurons at a time, or 64 of four bytes a weight, so that their weights stay in a near cache.
    """
    steps, neurons = totals.shape
    flat, out = weights.reshape(-1), totals.reshape(-1)
    done = neurons // 64 * 64 if weights.itemsize == 4 else 0
    for j in range(0, done, 64):
        for t in range(steps):
            add_half(out, t * neurons, flat, neurons, j, events, first[t], first[t + 1])
    narrow = np.zeros(1, np.int16)
    for j in range(done, neurons, 128):
        small = weights.itemsize == 1 and neurons - j >= 128
        for t in range(steps):
            if small and first[t + 1] - first[t] <= BYTES_AT_ONCE:
                add_bytes(out, t * neurons, flat, neurons, j, events, first[t], first[t + 1], narrow)
                continue
            add_block(out, t * neurons, flat, neurons, j, events, first[t], first[t + 1])
