"""Layers that learn locally (DECOLLE), forward: traces of inputs, membranes, spikes and their pools, step by step.

Flat arrays hold all layers: those of inputs (P, Q) `[samples, inputs]`, with the zeros around each map of a
convolution; those of neurons (R, S, V) `[samples, neurons]`, channels last, filled up to a multiple of LANES; the
pooled spikes `[samples, features]`. `Layout` says where each layer's part is. Weights lie in panels of LANES channels:
`[panel, kernel row, kernel column, input channel, LANES]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.fixed_point import STOCHASTIC, dither
from qpsnn_core.kernels.simd.vector import fill16, item, load16, multiply_add, store, to
from qpsnn_core.kernels.threads import kernel

LANES = 16
ROWS = 6
"""Positions that are summed at once, in registers."""

Q_DRAWS, P_DRAWS, R_DRAWS, V_DRAWS, DROPOUT, WEIGHT_DRAWS = range(8, 14)
"""The streams of random words."""


class Place(NamedTuple):
    """One layer. inputs, neurons, features, weights, biases, readouts: where its parts begin in the flat arrays.

    channels, row, pad: input channels, numbers in a row of the padded map, and zeros around it. kernel: its side.
    height, width, outputs, lanes: of the map of neurons, its channels, and those with what fills them up. pool: side of
    a pool, 1: none. below: where the input of a layer is in the features; -1: it is the frame. low: rows of the map
    below.
    """

    inputs: Any
    neurons: Any
    features: Any
    weights: Any
    biases: Any
    readouts: Any
    channels: Any
    row: Any
    pad: Any
    kernel: Any
    height: Any
    width: Any
    outputs: Any
    lanes: Any
    pool: Any
    below: Any
    size: Any
    in_height: Any
    in_width: Any


class Dynamics(NamedTuple):
    """`Q' = beta*Q + q_in*S; P' = alpha*P + p_in*Q; R' = gamma*R + r_in*S; V = w*P' + b - rho*R'`, old Q and S.

    A neuron spikes at `V > threshold`, or, if inclusive, at `V >= threshold`. float32, or integers (then `fixed` is a
    Fixed, else None).
    """

    alpha: Any
    beta: Any
    gamma: Any
    q_in: Any
    p_in: Any
    r_in: Any
    rho: Any
    threshold: Any
    inclusive: Any
    fixed: Any


class Fixed(NamedTuple):
    """Of integers: by how many bits terms are moved up before sums, and sums down afterwards; the largest codes.

    one: a spike in Q's format. unit: the same in R's. p_up, q_up: of P and Q in the sum P'. q_down, p_down, r_down,
    v_down: what is dropped. bias_up, sum_up, r_up: of a bias, a sum of products and rho*R in the sum V. q_high, p_high,
    r_high, v_high: largest codes; the lowest are `-high - 1`. mode: TRUNCATION, NEAREST or STOCHASTIC. p_step, v_step:
    what a code of P and V stands for, float32. seed: uint64 below 2**32.
    """

    one: Any
    unit: Any
    p_up: Any
    q_up: Any
    q_down: Any
    p_down: Any
    r_down: Any
    v_down: Any
    bias_up: Any
    sum_up: Any
    r_up: Any
    q_high: Any
    p_high: Any
    r_high: Any
    v_high: Any
    mode: Any
    p_step: Any
    v_step: Any
    seed: Any


class State(NamedTuple):
    """q, p `[samples, inputs]`, r, v `[samples, neurons]`: float32 or int32. s, emitted: uint8, spikes and pooled ones.

    p_real, v_real: float32, of p and v; the same arrays where those are float32. lost: int64 `[samples, 4]`, how often
    Q, P, R and V left their ranges. seen: float32 `[samples, 8]`: lowest and highest Q, P, R, V, or `[samples, 0]`.
    """

    q: Any
    p: Any
    r: Any
    v: Any
    s: Any
    emitted: Any
    p_real: Any
    v_real: Any
    lost: Any
    seen: Any


@kernel
def place_of(table, layer):
    """The Place of a layer: a row of `table`, int64."""
    t = table[layer]
    return Place(
        t[0],
        t[1],
        t[2],
        t[3],
        t[4],
        t[5],
        t[6],
        t[7],
        t[8],
        t[9],
        t[10],
        t[11],
        t[12],
        t[13],
        t[14],
        t[15],
        t[16],
        t[17],
        t[18],
    )  # fmt: skip - one line would not fit, and a line for each says nothing


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
    """P and Q of one sample's layer. spikes: uint8, from 0 on, `[in_height, in_width, channels]`.

    f, real: as for `forward_layer`. step, keys: counters and keys of the draws.
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
    """1 where the code is beyond that range, else 0."""
    return np.int64(code > high or code < -high - 1)


@kernel
def add_currents(start, stop, place, inputs, neurons, p, weights, biases, out):
    """`out = w*P + b` of a layer, samples start..stop-1; all float32 and flat. inputs, neurons: of one sample.

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
    """`sums += w*P` of one panel of channels where a window begins; p, weights: int32, flat. sums: int64 [LANES]."""
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
    """R, V and S of one sample's layer, from the currents that `s.v` holds (integers: V is there). real: as below."""
    r, v, spikes = s.r[sample], s.v[sample], s.s[sample]
    for n in range(place.neurons, place.neurons + place.height * place.width * place.lanes):
        if real is not None:
            r[n] = d.gamma * r[n] + d.r_in * np.float32(spikes[n])
            v[n] = v[n] - d.rho * r[n]
        spikes[n] = v[n] >= d.threshold if d.inclusive else v[n] > d.threshold


@kernel
def fire_codes(sample, place, d, f, p, weights, biases, s, step, keys):
    """R and V of one sample's layer, in integers. p: this sample's. f: `d.fixed`. step, keys: of the draws."""
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
def pool(sample, place, s, winners):
    """The pooled spikes of one sample's layer; winners: int32, the neuron of the highest V of each pool, written."""
    v, spikes, emitted = s.v[sample], s.s[sample], s.emitted[sample]
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
    """The lowest and highest Q, P, R and V so far, as stored, into `s.seen`."""
    many = place.height * place.width * place.lanes
    for k, array in enumerate((s.q, s.p)):
        for at in range(place.inputs, place.inputs + place.size):
            widen_range(s.seen[sample], k, np.float32(array[sample, at]))
    for k, array in enumerate((s.r, s.v)):
        for at in range(place.neurons, place.neurons + many):
            widen_range(s.seen[sample], 2 + k, np.float32(array[sample, at]))


@kernel
def widen_range(seen, k, value):
    """The range of variable `k` includes a value."""
    seen[2 * k] = min(seen[2 * k], value)
    seen[2 * k + 1] = max(seen[2 * k + 1], value)


@kernel
def keys_of(f, number):
    """The keys of one sample's draws, for Q, P, R and V; zeros of float32."""
    keys = np.zeros(4, np.uint64)
    if f is not None:
        for k in range(4):
            keys[k] = sample_key(f.seed, Q_DRAWS + k, number)
    return keys


@kernel
def forward_layer(start, stop, place, d, f, real, frames, weights, biases, s, winners, t, numbers):
    """One step of one layer, samples start..stop-1. frames: uint8 `[samples, steps, H*W*C]`. t: the step.

    f: `d.fixed`. real: None of integers, else True: what is None leaves no code. winners: int32 `[samples, features]`,
    written. numbers: int64 `[samples]`, what draws depend on.
    """
    inputs, neurons = s.p.shape[1], s.v.shape[1]
    for b in range(start, stop):
        keys = keys_of(f, numbers[b])
        below = frames[b, t] if place.below < 0 else s.emitted[b, place.below :]
        filter_inputs(b, place, d, f, real, below, s, t, keys)
        if f is not None:
            fire_codes(b, place, d, f, s.p[b], weights, biases, s, t, keys)
    if real is not None:
        flat_p, flat_v = s.p.reshape(-1), s.v.reshape(-1)
        add_currents(start, stop, place, inputs, neurons, flat_p, weights, biases, flat_v)
    for b in range(start, stop):
        fire(b, place, d, real, s)
        pool(b, place, s, winners[b])
        if s.seen.shape[1] > 0:
            observe(b, place, s)
