"""Layers that learn locally (DECOLLE), forward: traces of inputs, membranes, spikes and their pools, step by step.

Arrays and places: decolle_layout.py.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.fixed_point import STOCHASTIC, dither
from qpsnn_core.kernels.neurons.decolle_filtered import filter_currents
from qpsnn_core.kernels.neurons.decolle_layout import LANES, Q_DRAWS, ROWS
from qpsnn_core.kernels.simd.vector import (
    fill16,
    greater_equal,
    item,
    load16,
    multiply_add,
    select,
    store,
    store_masked,
    to,
)
from qpsnn_core.kernels.threads import kernel


@kernel
def dropped(wide, shift, mode, step, element, key):
    """`wide` without its last `shift` bits, rounded by `mode`. step, element, key: counters and key of the draw."""
    if shift == 0:
        return wide
    if mode == STOCHASTIC:
        return (wide + dither(0, True, shift, step, element, key)) >> shift
    return (wide + (np.int64(mode) << (shift - 1))) >> shift


@kernel
def filter_inputs(sample, place, d, f, real, spikes, s, step, keys):
    """P and Q of one sample's layer, all else as for `forward_layer`. keys: of the draws, whose counter is the step.

    spikes: uint8, from 0 on, `[in_height, in_width, channels]`.
    """
    q, p, numbers = s.q[sample], s.p[sample], s.p_real[sample]
    wide = place.in_width * place.channels
    for y in range(place.in_height):
        begin = place.inputs + (y + place.pad) * place.row + place.pad * place.channels
        for i in range(wide):
            at, spike = begin + i, spikes[y * wide + i]
            if real is not None:
                old = q[at]
                q[at] = d.beta * old + d.q_in * np.float32(spike)
                p[at] = d.alpha * p[at] + d.p_in * old
            if f is not None:
                code = np.int64(q[at])
                new = dropped(d.beta * code + d.q_in * (spike * f.one), f.q_down, f.mode, step, at, keys[0])
                sum_p = d.alpha * (np.int64(p[at]) << f.p_up) + d.p_in * (code << f.q_up)
                trace = dropped(sum_p, f.p_down, f.mode, step, at, keys[1])
                s.lost[sample, 0] += outside(new, f.q_high)
                s.lost[sample, 1] += outside(trace, f.p_high)
                q[at] = within(new, f.q_high)
                p[at] = within(trace, f.p_high)
                numbers[at] = np.float32(p[at]) * f.p_step


@kernel
def within(code, high):
    """The code from `-high - 1` to `high`."""
    return min(max(code, -high - 1), high)


@kernel
def outside(code, high):
    """1 where the code is not from `-high - 1` to `high`, else 0."""
    return np.int64(code > high or code < -high - 1)


@kernel
def add_currents(start, stop, place, inputs, neurons, p, weights, biases, out):
    """`out = w*P + b` of the layer at `place`, samples start..stop-1. inputs, neurons: of one sample.

    p, weights, biases, out: float32, flat.
    Each number is one chain of fused multiply-adds, in the order of kernel rows, columns and input channels.
    """
    many = place.height * place.width
    run = place.kernel * place.channels
    total = (stop - start) * many
    at = np.empty(ROWS, np.int64)
    to_out = np.empty(ROWS, np.int64)
    for panel in range(place.lanes // LANES):
        bias = load16(biases, place.biases + panel * LANES)
        begin = place.weights + panel * place.kernel * run * LANES
        for first in range(0, total, ROWS):
            for r in range(ROWS):
                n = min(first + r, total - 1)
                sample, position = start + n // many, n % many
                y, x = position // place.width, position % place.width
                at[r] = sample * inputs + place.inputs + y * place.row + x * place.channels
                to_out[r] = sample * neurons + place.neurons + position * place.lanes + panel * LANES
            s0, s1, s2, s3, s4, s5 = bias, bias, bias, bias, bias, bias
            weight = begin
            a0, a1, a2, a3, a4, a5 = at[0], at[1], at[2], at[3], at[4], at[5]
            for ky in range(place.kernel):
                down = ky * place.row
                for i in range(down, down + run):
                    line = load16(weights, weight)
                    s0 = multiply_add(fill16(item(p, a0 + i), out), line, s0)
                    s1 = multiply_add(fill16(item(p, a1 + i), out), line, s1)
                    s2 = multiply_add(fill16(item(p, a2 + i), out), line, s2)
                    s3 = multiply_add(fill16(item(p, a3 + i), out), line, s3)
                    s4 = multiply_add(fill16(item(p, a4 + i), out), line, s4)
                    s5 = multiply_add(fill16(item(p, a5 + i), out), line, s5)
                    weight += LANES
            store(out, to_out[0], s0)
            store(out, to_out[1], s1)
            store(out, to_out[2], s2)
            store(out, to_out[3], s3)
            store(out, to_out[4], s4)
            store(out, to_out[5], s5)


@kernel
def sum_codes(place, begin, p, weights, panel, sums):
    """`sums += w*P` of one panel of the channels of `place`, of the window that begins at `begin`.

    p, weights: int32, flat. sums: int64 [LANES].
    """
    run = place.kernel * place.channels
    weight = place.weights + panel * place.kernel * run * LANES
    total = load16(sums, 0)
    for ky in range(place.kernel):
        for i in range(begin + ky * place.row, begin + ky * place.row + run):
            code = np.int64(item(p, i))
            total = total + fill16(code, sums) * to(load16(weights, weight), sums)
            weight += LANES
    store(sums, 0, total)


@kernel
def fire(sample, place, d, real, s):
    """R, V and S of one sample's layer, from the currents that `s.v` holds (V, of integers); as for `forward_layer`."""
    r, v, spikes = s.r[sample], s.v[sample], s.s[sample]
    threshold, one, none = fill16(d.threshold, v), fill16(1, spikes), fill16(0, spikes)
    gamma, r_in, rho = fill16(d.gamma, r), fill16(d.r_in, r), fill16(d.rho, r)
    for n in range(place.neurons, place.neurons + place.height * place.width * place.lanes, LANES):
        x = load16(v, n)
        if real is not None:
            trace = gamma * load16(r, n) + r_in * to(load16(spikes, n), r)
            store(r, n, trace)
            x = x - rho * trace
            store(v, n, x)
        if d.inclusive:
            store(spikes, n, select(greater_equal(x, threshold), one, none))
        else:
            store(spikes, n, select(greater_equal(threshold, x), none, one))


@kernel
def fire_codes(sample, place, d, f, p, weights, biases, s, step, keys):
    """R and V of one sample's layer, in integers, arguments as for `forward_layer`. p: its traces. keys: of draws."""
    r, v, spikes = s.r[sample], s.v[sample], s.s[sample]
    sums = np.zeros(LANES, np.int64)
    for y in range(place.height):
        for x in range(place.width):
            begin = place.inputs + y * place.row + x * place.channels
            for panel in range(place.lanes // LANES):
                sums[:] = 0
                sum_codes(place, begin, p, weights, panel, sums)
                first = place.neurons + (y * place.width + x) * place.lanes + panel * LANES
                for k in range(LANES):
                    n = first + k
                    sum_r = d.gamma * np.int64(r[n]) + d.r_in * (spikes[n] * f.unit)
                    new = dropped(sum_r, f.r_down, f.mode, step, n, keys[2])
                    s.lost[sample, 2] += outside(new, f.r_high)
                    r[n] = within(new, f.r_high)
                    bias = np.int64(biases[place.biases + panel * LANES + k]) << f.bias_up
                    current = (sums[k] << f.sum_up) + bias - ((d.rho * np.int64(r[n])) << f.r_up)
                    code = dropped(current, f.v_down, f.mode, step, n, keys[3])
                    s.lost[sample, 3] += outside(code, f.v_high)
                    v[n] = within(code, f.v_high)
                    s.v_real[sample, n] = np.float32(v[n]) * f.v_step


@kernel
def pool_spikes(place, spikes, emitted):
    """Whether any neuron of each pool spikes: if one does, that of the highest V does. place: a Place.

    spikes: of neurons, flat. emitted: of pools, flat, written.
    """
    feature, side = place.features, place.pool
    for y in range(0, place.height - side + 1, side):
        for x in range(0, place.width - side + 1, side):
            corner = place.neurons + (y * place.width + x) * place.lanes
            for c in range(0, place.outputs, LANES):
                found = load16(spikes, corner + c)
                for dy in range(side):
                    for dx in range(side):
                        other = load16(spikes, corner + (dy * place.width + dx) * place.lanes + c)
                        found = select(greater_equal(found, other), found, other)
                store_masked(emitted, feature + c, found, place.outputs - c)
            feature += place.outputs


@kernel
def pool(sample, place, s, winners):
    """The pooled spikes of a layer, into `s`; as for `forward_layer`. winners: the neuron of each pool's highest V.

    Without room for winners, of length 0, spikes alone are pooled.
    """
    v, spikes, emitted = s.v[sample], s.s[sample], s.emitted[sample]
    if winners.shape[0] == 0:
        pool_spikes(place, spikes, emitted)
        return
    feature, side = place.features, place.pool
    for y in range(0, place.height - side + 1, side):
        for x in range(0, place.width - side + 1, side):
            for c in range(place.outputs):
                best = place.neurons + (y * place.width + x) * place.lanes + c
                for dy in range(side):
                    for dx in range(side):
                        n = place.neurons + ((y + dy) * place.width + x + dx) * place.lanes + c
                        if v[n] > v[best]:
                            best = n
                emitted[feature] = spikes[best]
                winners[feature] = best
                feature += 1


@kernel
def observe(sample, place, s):
    """The lowest and highest Q, P, R and V of one sample's layer at `place` so far, as stored, into `s.seen`."""
    many = place.height * place.width * place.lanes
    for k, array in enumerate((s.q, s.p)):
        for at in range(place.inputs, place.inputs + place.size):
            widen_range(s.seen[sample], k, np.float32(array[sample, at]))
    for k, array in enumerate((s.r, s.v)):
        for at in range(place.neurons, place.neurons + many):
            widen_range(s.seen[sample], 2 + k, np.float32(array[sample, at]))


@kernel
def widen_range(seen, k, value):
    """The range of variable `k` in `seen` includes a value."""
    seen[2 * k] = min(seen[2 * k], value)
    seen[2 * k + 1] = max(seen[2 * k + 1], value)


@kernel
def keys_of(f, number):
    """The keys of the draws of sample `number`, for Q, P, R and V; zeros where `f` is None (float32)."""
    keys = np.zeros(4, np.uint64)
    if f is not None:
        for k in range(4):
            keys[k] = sample_key(f.seed, Q_DRAWS + k, number)
    return keys


@kernel
def forward_layer(start, stop, place, d, f, real, frames, weights, biases, s, winners, t, numbers):
    """One step of the layer at `place`, samples start..stop-1. frames: uint8 `[samples, steps, H*W*C]`. t: the step.

    d: Dynamics, f: its `fixed`. real: None of integers, else True: what is None leaves no code. weights, biases: flat.
    s: what is stored. winners: int32 `[samples, features]`, written, or `[samples, 0]`. numbers: int64 `[samples]`, on
    which draws depend.
    """
    inputs, neurons = s.p.shape[1], s.v.shape[1]
    for b in range(start, stop):
        keys = keys_of(f, numbers[b])
        below = frames[b, t] if place.below < 0 else s.emitted[b, place.below :]
        if real is not None:  # noqa: SIM102 - Numba leaves code out only where a test of None stands alone
            if d.filtered:
                filter_currents(b, place, d, below, weights, biases, s)
                continue
        filter_inputs(b, place, d, f, real, below, s, t, keys)
        if f is not None:
            fire_codes(b, place, d, f, s.p[b], weights, biases, s, t, keys)
    if real is not None:  # noqa: SIM102 - as above
        if not d.filtered:
            flat_p, flat_v = s.p.reshape(-1), s.v.reshape(-1)
            add_currents(start, stop, place, inputs, neurons, flat_p, weights, biases, flat_v)
    for b in range(start, stop):
        fire(b, place, d, real, s)
        pool(b, place, s, winners[b])
        if s.seen.shape[1] > 0:
            observe(b, place, s)
