"""Whole samples of Diehl & Cook's original network: conductances, every neuron that crosses spikes, triplet STDP.

Every connection delays by one step. Order within a step: conductances of both layers take the spikes of the step
before; membranes follow; all that reach their thresholds spike; STDP, first of the inputs that spike, then of the
neurons. A sample with too few spikes is shown again, brighter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import sample_key
from qpsnn_core.kernels.neurons.adaptive_lif import adapt, charge, widened
from qpsnn_core.kernels.neurons.conductance import leap, raise_thresholds, strengthen_triplet
from qpsnn_core.kernels.neurons.diehl_cook import MEMBRANES, SCALES, SPIKES, THRESHOLDS, WEIGHTS, observe
from qpsnn_core.kernels.neurons.spike_sums import add_rows
from qpsnn_core.kernels.neurons.stdp import normalise, weaken
from qpsnn_core.kernels.spike_trains import Intervals, encode
from qpsnn_core.kernels.threads import kernel

EXCITED, INHIBITED, TRIPLETS, INHIBITORY, AGAIN = 6, 7, 8, 9, 16
"""Streams of random words: of ge, gi, weights at a postsynaptic spike, the inhibitory layer (three), and by how much
they grow when a sample is shown again.
"""


class OriginalLayers(NamedTuple):
    """The network in one number format.

    thresholds: NeuronConstants, of which the adaptation counts. excitatory, inhibitory: ConductanceConstants. rule:
    Plasticity. slow: `[steps]`, by age: the slow trace of a neuron's spike, as `Plasticity.gain_pre`. least: spikes
    below which a sample is shown again. seed: as of Layers.
    """

    thresholds: Any
    excitatory: Any
    inhibitory: Any
    rule: Any
    slow: Any
    least: Any
    seed: Any


class OriginalScratch(NamedTuple):
    """What a sample needs. v, ge, gi, none: `[2, neurons]`, of both layers, as stored; none: zeros.

    totals, sums: `[neurons]`, of weights. wide, excited, inhibited: wide, `[neurons]`. ready: int32, fired: uint8 `[2,
    neurons]`. last_post, active: int32 `[neurons]`; last_pre, touched: int32 `[inputs]`.
    """

    v: Any
    ge: Any
    gi: Any
    none: Any
    totals: Any
    sums: Any
    wide: Any
    excited: Any
    inhibited: Any
    ready: Any
    fired: Any
    last_post: Any
    active: Any
    last_pre: Any
    touched: Any


@kernel
def original_scratch(inputs, v_th, totals, wide, sums):
    """An OriginalScratch for so many `inputs`; v_th `[neurons]`, totals, wide, sums: arrays of its types."""
    n = v_th.shape[0]
    return OriginalScratch(
        np.zeros((2, n), v_th.dtype),
        np.zeros((2, n), v_th.dtype),
        np.zeros((2, n), v_th.dtype),
        np.zeros(n, v_th.dtype),
        np.zeros(n, totals.dtype),
        np.zeros(n, sums.dtype),
        np.zeros(n, wide.dtype),
        np.zeros(n, wide.dtype),
        np.zeros(n, wide.dtype),
        np.zeros((2, n), np.int32),
        np.zeros((2, n), np.uint8),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros(inputs, np.int32),
        np.zeros(inputs, np.int32),
    )


@kernel
def original_keys(seed, sample, again):
    """The keys of a sample's draws from `seed`, the `again`-th time.

    V, ge, gi of both layers, thresholds, weights (three).
    """
    keys = np.zeros(10, np.uint64)
    streams = (MEMBRANES, EXCITED, INHIBITED, INHIBITORY, INHIBITORY + 1, INHIBITORY + 2, THRESHOLDS, WEIGHTS, TRIPLETS)
    for k in range(9):
        keys[k] = sample_key(seed, streams[k] + AGAIN * again, sample)
    keys[9] = sample_key(seed, SCALES + AGAIN * again, sample)
    return keys


@kernel
def learn_step(t, start, stop, events, weights, layers, s, touched, active, keys):
    """STDP of one step: `touched` inputs and `active` neurons, with those of this step.

    start, stop, events: the inputs that spike. weights: changed. layers, s: as for `present_original`. keys: as from
    `original_keys`.
    """
    rule = layers.rule
    for k in range(start, stop):
        if s.last_pre[events[k]] < 0:
            s.touched[touched] = events[k]
            touched += 1
        s.last_pre[events[k]] = t
    weaken(weights, events, start, stop, s.active, active, -1, s.last_post, rule, rule.shift, t, keys[7])
    for j in range(weights.shape[1]):
        if not s.fired[0, j]:
            continue
        last = s.last_post[j]
        if last >= 0:
            slow = layers.slow[t - last]
            strengthen_triplet(weights, s.touched, touched, j, s.last_pre, slow, rule, rule.shift, t, keys[8])
        else:
            s.active[active] = j
            active += 1
        s.last_post[j] = t
    return touched, active


@kernel
def present_original(first, events, weights, v_th, layers, s, learning, sample, again, winners, counts, seen, lost):
    """One sample, shown for the `again`-th time; how many spikes there were.

    first, events: the input spikes, as from `encode`. weights: `[inputs, neurons]`, and v_th: `[neurons]`, changed if
    `learning`. layers: OriginalLayers. s: OriginalScratch. sample: the number that random words depend on. winners:
    int32 `[steps]`, written: the first neuron that spiked, or -1. counts: int64 `[neurons]`, written: spikes. seen: as
    for `present`. lost: int64 [3], counted up: membranes and conductances, thresholds, weights.
    """
    e, x, i = layers.thresholds, layers.excitatory, layers.inhibitory
    keys = original_keys(layers.seed, sample, again)
    s.v[0] = x.rest
    s.v[1] = i.rest
    s.ge[:] = 0
    s.gi[:] = 0
    s.ready[:] = 0
    s.fired[:] = 0
    s.last_pre[:] = -1
    s.last_post[:] = -1
    for j in range(v_th.shape[0]):
        s.wide[j] = widened(v_th[j], e.adaptation_shift)
    counts[:] = 0
    touched, active, relayed, total = 0, 0, 0, 0
    for t in range(winners.shape[0]):
        start, stop = first[t], first[t + 1]
        add_rows(s.totals, weights, events, first[max(t - 1, 0)], start)
        charge(s.excited, s.totals, x.charge_unit, x.charge_shift)
        for j in range(v_th.shape[0]):
            s.inhibited[j] = x.added * (relayed - np.int64(s.fired[1, j]))
        if learning and e.adapts:
            adapt(v_th, s.wide, e, t, keys[6], lost)
        for j in range(v_th.shape[0]):
            s.fired[1, j] = s.fired[0, j]  # for now: who excites the inhibitory layer
        leap(s.v[0], s.ge[0], s.gi[0], s.ready[0], s.excited, s.inhibited, v_th, s.fired[0], x, t, keys[0:3], lost)
        for j in range(v_th.shape[0]):
            s.excited[j] = i.added * s.fired[1, j]
            s.inhibited[j] = 0
        relayed = leap(
            s.v[1], s.ge[1], s.gi[1], s.ready[1], s.excited, s.inhibited, s.none, s.fired[1], i, t, keys[3:6], lost
        )
        if learning:
            raise_thresholds(v_th, s.wide, s.fired[0], e, t, keys[6], lost)
            touched, active = learn_step(t, start, stop, events, weights, layers, s, touched, active, keys)
        if seen.shape[0] > 0:
            observe(s.v[0], v_th, seen)
        winners[t] = -1
        for j in range(v_th.shape[0] - 1, -1, -1):
            if s.fired[0, j]:
                winners[t] = j
                counts[j] += 1
                total += 1
    if learning and layers.rule.total > 0:
        lost[2] += normalise(weights, s.sums, s.active, active, layers.rule, layers.rule.shift, keys[9])
    return total


@kernel
def present_original_all(
    start, stop, images, intervals, weights, v_th, layers, like, learning, before, winners, counts, seen, lost
):
    """Samples start..stop-1, one after the other; each again while it has fewer than `layers.least` spikes.

    images: uint8 `[samples, inputs]`. intervals: Intervals of each presentation, `[presentations, ...]`. like, before:
    as for `present_all`. winners: int32 `[samples, steps]`. counts: int64 `[samples, neurons]`. lost: int64 `[samples,
    3]`. The others: as for `present_original`.
    """
    inputs, steps = images.shape[1], winners.shape[1]
    s = original_scratch(inputs, v_th, like[0], like[1], like[2])
    first = np.zeros(steps + 1, np.int32)
    events = np.zeros(inputs * steps, np.int32)
    times = np.zeros(inputs * steps, np.int32)
    pixels = np.zeros(inputs, np.int32)
    trains = np.zeros(inputs, np.int32)
    words = np.zeros(inputs, np.uint64)
    for n in range(start, stop):
        lost[n] = 0
        for again in range(intervals.chances.shape[0]):
            key = sample_key(layers.seed, SPIKES + AGAIN * again, before + n)
            table = Intervals(intervals.chances[again], intervals.guide[again])
            encode(images[n], table, key, first, events, times, pixels, trains, words)
            out = (winners[n], counts[n], seen, lost[n])
            found = present_original(first, events, weights, v_th, layers, s, learning, before + n, again, *out)
            if found >= layers.least:
                break


@kernel
def present_original_one(first, events, weights, v_th, layers, like, learning, sample, winners, counts, seen, lost):
    """`present_original` with a scratch of its own. As for it; like: as for `present_all`."""
    s = original_scratch(weights.shape[0], v_th, like[0], like[1], like[2])
    return present_original(first, events, weights, v_th, layers, s, learning, sample, 0, winners, counts, seen, lost)
