"""Whole samples of the unsupervised network of Diehl & Cook: one call for a sample, or for many.

Every connection delays by one step: the spikes of step t reach membranes at t + 1. Order within a step: currents from
the spikes of the step before; adaptations leak; membranes leak, integrate and cross; one of those that crossed spikes;
the inhibitory layer, if there is one; STDP with the new spikes and traces. After a sample the weights of the neurons
that spiked are normalised, if the network learns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.neurons.adaptive_lif import (
    adapt,
    brake,
    charge,
    cross,
    drift,
    integrate,
    relay,
    widened,
    winner_of,
)
from qpsnn_core.kernels.neurons.spike_sums import add_all_rows, add_rows
from qpsnn_core.kernels.neurons.stdp import normalise, strengthen, weaken
from qpsnn_core.kernels.spike_trains import encode
from qpsnn_core.kernels.threads import kernel

SPIKES, WINNERS, MEMBRANES, THRESHOLDS, WEIGHTS, SCALES = range(6)
"""The streams of random words."""


class Layers(NamedTuple):
    """The network in one number format.

    excitatory: NeuronConstants. inhibitory: likewise, of the layer in between; its refractory is -1 where neurons
    inhibit each other directly. rule: Plasticity. seed: uint64 below 2**32, of all draws.
    """

    excitatory: Any
    inhibitory: Any
    rule: Any
    seed: Any


class Scratch(NamedTuple):
    """What a sample needs besides the network.

    v, currents, wide, sums: `[neurons]`, in the types of their quantities. totals: `[steps, neurons]`, of which a
    network that learns uses one row. i_v has v's type, inhibited that of wide; i_ready, ready, last_post, active: int32
    `[neurons]`; crossed, i_spikes: uint8. last_pre, touched: int32 `[inputs]`.
    """

    v: Any
    totals: Any
    currents: Any
    wide: Any
    sums: Any
    ready: Any
    inhibited: Any
    crossed: Any
    last_post: Any
    active: Any
    i_v: Any
    i_ready: Any
    i_spikes: Any
    last_pre: Any
    touched: Any


class History(NamedTuple):
    """What is stored after each step of one sample: each `[steps, neurons]`, or of length 0: not kept.

    v, v_th, i_v: membranes, adaptations and inhibitory membranes, in their types. ready, i_ready: int32. i_spikes:
    uint8.
    """

    v: Any
    v_th: Any
    ready: Any
    i_v: Any
    i_ready: Any
    i_spikes: Any


@kernel
def history_for(steps, v_th):
    """A History of so many `steps`, 0: none; v_th `[neurons]`: an array of the type of membranes and adaptations."""
    shape = (steps, v_th.shape[0])
    return History(
        np.zeros(shape, v_th.dtype),
        np.zeros(shape, v_th.dtype),
        np.zeros(shape, np.int32),
        np.zeros(shape, v_th.dtype),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.uint8),
    )


@kernel
def keep_history(history, step, v_th, s):
    """Write what is stored after a `step` into `history`, if it is kept. v_th: adaptations. s: Scratch."""
    if history.v.shape[0] > 0:
        history.v[step] = s.v
        history.v_th[step] = v_th
        history.ready[step] = s.ready
        history.i_v[step] = s.i_v
        history.i_ready[step] = s.i_ready
        history.i_spikes[step] = s.i_spikes


@kernel
def scratch_for(inputs, steps, v_th, totals, wide, sums):
    """A Scratch for so many `inputs` and `steps`; v_th `[neurons]`, totals, wide, sums: arrays of its types."""
    n = v_th.shape[0]
    return Scratch(
        np.empty_like(v_th),
        np.zeros((steps, n), totals.dtype),
        np.zeros(n, wide.dtype),
        np.zeros(n, wide.dtype),
        np.zeros(n, sums.dtype),
        np.zeros(n, np.int32),
        np.zeros(n, wide.dtype),
        np.zeros(n, np.uint8),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.empty_like(v_th),
        np.zeros(n, np.int32),
        np.zeros(n, np.uint8),
        np.zeros(inputs, np.int32),
        np.zeros(inputs, np.int32),
    )


@kernel
def inhibit(inhibited, direct, winner, spikes, count):
    """How many spikes of inhibition reach each neuron (`inhibited`, written): all but its own.

    direct: neurons inhibit each other; then the last `winner` (or -1) does, else the `count` inhibitory `spikes` do.
    """
    if direct:
        inhibited[:] = 1 if winner >= 0 else 0
        if winner >= 0:
            inhibited[winner] = 0
        return
    for j in range(inhibited.shape[0]):
        inhibited[j] = count - spikes[j]


@kernel
def present(
    first, events, given, weights, v_th, layers, s, learning, sample, winners, counts, seen, saturations, history
):
    """One sample; how often a given winner had not crossed its threshold (then nobody spikes).

    first, events: the input spikes, as from `encode`. given: int32 `[steps]`, the neuron that spikes at each step, or
    -1; or of length 0: it is drawn. weights: `[inputs, neurons]`, and v_th: `[neurons]`, changed if `learning`.
    layers: Layers. s: Scratch. sample: the number that random words depend on. winners: int32 `[steps]`, written: who
    spiked, or -1. counts: int64 `[neurons]`, written: spikes. seen: float64 `[0]`, or `[4]`: the lowest and highest
    membrane and threshold so far, as stored. saturations: int64 [3], counted up. history: a History, written.
    """
    e, rule = layers.excitatory, layers.rule
    draw = sample_key(layers.seed, WINNERS, sample)
    v_key = sample_key(layers.seed, MEMBRANES, sample)
    th_key = sample_key(layers.seed, THRESHOLDS, sample)
    w_key = sample_key(layers.seed, WEIGHTS, sample)
    direct = layers.inhibitory.refractory < 0
    s.v[:] = e.rest
    s.i_v[:] = layers.inhibitory.rest
    for array in (s.ready, s.i_ready):
        array[:] = 0
    s.i_spikes[:] = 0
    s.inhibited[:] = 0
    for array in (s.last_pre, s.last_post):
        array[:] = -1
    for j in range(v_th.shape[0]):
        s.wide[j] = widened(v_th[j], e.adaptation_shift)
    counts[:] = 0
    if not learning:
        add_all_rows(s.totals, weights, events, first)
    winner, relayed, touched, active, strange = -1, 0, 0, 0, 0
    for t in range(winners.shape[0]):
        start, stop = first[t], first[t + 1]
        totals = s.totals[0 if learning else max(t - 1, 0)]
        if learning:
            add_rows(totals, weights, events, first[max(t - 1, 0)], start)
        apart = e.charge_unit is not None or t == 0 or relayed > 0
        if apart:
            charge(s.currents, totals, e.charge_unit, e.charge_shift)
            if t == 0:
                s.currents[:] = 0
            inhibit(s.inhibited, direct, winner, s.i_spikes, relayed)
            brake(s.currents, s.inhibited, e.inhibition)
        if not direct:
            relayed = relay(s.i_v, s.i_ready, winner, s.i_spikes, layers.inhibitory)
        if learning and e.adapts:
            adapt(v_th, s.wide, e, t, th_key, saturations)
        if apart:
            count = integrate(s.v, s.currents, s.ready, s.wide, s.crossed, e, t, v_key, saturations)
        elif direct and winner >= 0:
            rest = (s.ready, s.wide, s.crossed, e, t, v_key, saturations)
            count = drift(s.v, totals, s.currents, e.charge_shift, e.inhibition, winner, *rest)
        else:
            rest = (s.ready, s.wide, s.crossed, e, t, v_key, saturations)
            count = drift(s.v, totals, s.currents, e.charge_shift, None, -1, *rest)
        winner = -1
        if given.shape[0] > 0 and given[t] >= 0:
            if s.crossed[given[t]]:
                winner = given[t]
            else:
                strange += 1
        if count > 0:
            chosen = winner_of(count, given, t, draw)
            drawn = cross(s.v, v_th, s.ready, s.wide, s.crossed, e, learning, t, (v_key, th_key), chosen, saturations)
            winner = drawn if given.shape[0] == 0 else winner
        if seen.shape[0] > 0:
            observe(s.v, v_th, seen)
        keep_history(history, t, v_th, s)
        winners[t] = winner
        if winner >= 0:
            counts[winner] += 1
        if not learning:
            continue
        for k in range(start, stop):
            if s.last_pre[events[k]] < 0:
                s.touched[touched] = events[k]
                touched += 1
            s.last_pre[events[k]] = t
        weaken(weights, events, start, stop, s.active, active, winner, s.last_post, rule, rule.shift, t, w_key)
        if winner >= 0:
            if s.last_post[winner] < 0:
                s.active[active] = winner
                active += 1
            s.last_post[winner] = t
            strengthen(weights, s.touched, touched, winner, s.last_pre, rule, rule.shift, t, w_key)
    if learning and rule.total > 0:
        key = sample_key(layers.seed, SCALES, sample)
        saturations[2] += normalise(weights, s.sums, s.active, active, rule, rule.shift, key)
    return strange


@kernel
def observe(v, v_th, seen):
    """The range of membranes `v` and adaptations `v_th` so far, into `seen`: lowest and highest of each."""
    for j in range(v.shape[0]):
        seen[0] = min(seen[0], v[j])
        seen[1] = max(seen[1], v[j])
        seen[2] = min(seen[2], v_th[j])
        seen[3] = max(seen[3], v_th[j])


@kernel
def present_all(
    start, stop, images, intervals, weights, v_th, layers, like, learning, before, winners, counts, seen, lost
):
    """Samples start..stop-1, one after the other; each from its image to the spikes.

    images: uint8 `[samples, inputs]`. intervals: as for `encode`. like: arrays of length 0 in the types of sums of
    weights, wide numbers and sums of columns. before: how many samples were presented before the first of these.
    winners: int32 `[samples, steps]`. counts: int64 `[samples, neurons]`. lost: int64 `[samples, 3]`, saturations,
    written. The others: as for `present`.
    """
    inputs, steps = images.shape[1], winners.shape[1]
    s = scratch_for(inputs, steps, v_th, like[0], like[1], like[2])
    first = np.zeros(steps + 1, np.int32)
    events = np.zeros(inputs * steps, np.int32)
    times = np.zeros(inputs * steps, np.int32)
    pixels = np.zeros(inputs, np.int32)
    trains = np.zeros(inputs, np.int32)
    words = np.zeros(inputs, np.uint64)
    given = np.zeros(0, np.int32)
    history = history_for(0, v_th)
    for n in range(start, stop):
        sample = before + n
        key = sample_key(layers.seed, SPIKES, sample)
        encode(images[n], intervals, key, first, events, times, pixels, trains, words)
        lost[n] = 0
        out = (winners[n], counts[n], seen, lost[n], history)
        present(first, events, given, weights, v_th, layers, s, learning, sample, *out)


@kernel
def present_one(
    first, events, given, weights, v_th, layers, like, learning, sample, winners, counts, seen, lost, history
):
    """`present` with a Scratch of its own. As for `present`; like: as for `present_all`; lost: saturations."""
    s = scratch_for(weights.shape[0], winners.shape[0], v_th, like[0], like[1], like[2])
    out = (winners, counts, seen, lost, history)
    return present(first, events, given, weights, v_th, layers, s, learning, sample, *out)
