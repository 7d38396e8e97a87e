"""Spike-timing-dependent plasticity (Q-SpiNN, Eq. 1) of the synapses that a step touches, and their normalisation.

A trace is 1 at a spike and decays since: it is a function of the spike's age, so that only ages are kept, and
`rate*trace` is read from a table. A weight is float32, or an integer with f fraction bits that is updated in int64 with
`shift` more and rounded once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.fixed_point import outside, rounded, saturated
from qpsnn_core.kernels.threads import kernel


class Plasticity(NamedTuple):
    """The rule of learning.

    gain_pre, gain_post: `[steps]`, by age: the rate at a postsynaptic spike times the presynaptic trace, and the rate
    at a presynaptic spike times the postsynaptic trace; float32, or int64 with `shift` fraction bits. low, high: the
    smallest and largest weight. quarters: 4*mu of Eq. 1. powers: int64, `distance**mu` of every distance of a weight
    from a bound, with f fraction bits; of length 0 if mu is 1; None: weights are float32. total: the sum of a neuron's
    weights after normalisation, float64, or an integer with f fraction bits; 0: no normalisation. shift: None: weights
    are float32. update, scale: a Grid for the update and for normalisation, or None.
    """

    gain_pre: Any
    gain_post: Any
    low: Any
    high: Any
    quarters: int
    powers: Any
    total: Any
    shift: Any
    update: Any
    scale: Any


@kernel
def power(x, quarters, one):
    """`x**(quarters/4)`, x >= 0, by products and square roots, which all processors round alike. one: 1 in x's type."""
    result = one
    for _ in range(quarters // 4):
        result = result * x
    if quarters % 4 >= 2:
        result = result * np.sqrt(x)
    if quarters % 2:
        result = result * np.sqrt(np.sqrt(x))
    return result


@kernel
def dependence(distance, quarters):
    """`distance**mu` of Eq. 1, float32; below 0 it counts as 0, unless mu is 1. quarters: 4*mu."""
    if quarters == 4:
        return distance
    return power(max(distance, np.float32(0)), quarters, np.float32(1))


@kernel
def moved_real(w, down, up, rule):
    """A weight `w`, float32, after `-down*(w - low)**mu + up*(high - w)**mu`, within its bounds. rule: Plasticity."""
    change = -(down * dependence(w - rule.low, rule.quarters)) + up * dependence(rule.high - w, rule.quarters)
    return min(max(w + change, rule.low), rule.high)


@kernel
def moved_code(w, down, up, rule, step, synapse, key):
    """As `moved_real`, an integer, rounded once. down, up: int64. step, synapse, key: counters and key of the draw."""
    code = np.int64(w)
    below, above = code - rule.low, rule.high - code
    if rule.quarters != 4:
        last = rule.powers.shape[0] - 1
        below, above = rule.powers[min(max(below, 0), last)], rule.powers[min(max(above, 0), last)]
    wide = (code << rule.shift) - down * below + up * above
    return min(max(rounded(wide, rule.update, step, synapse, key), rule.low), rule.high)


@kernel
def weaken(weights, events, start, stop, active, count, winner, last_post, rule, shift, step, key):
    """The synapses from inputs that spike to all neurons with a trace, but to the winner of this step.

    weights: `[inputs, neurons]`, changed. events: inputs; start, stop: those of this step. active: int32, of which the
    first `count` are the neurons that have spiked in this sample. winner: the neuron that spikes now, or -1. last_post:
    int32 `[neurons]`, the step of each neuron's last spike. rule: Plasticity, and its shift. step: t. key: of the
    draws.
    """
    neurons = weights.shape[1]
    none = rule.gain_post[0] - rule.gain_post[0]
    for e in range(start, stop):
        i = events[e]
        row = weights[i]
        for a in range(count):
            j = active[a]
            gain = rule.gain_post[step - last_post[j]]
            if j != winner and gain > 0:
                if shift is None:
                    row[j] = moved_real(row[j], gain, none, rule)
                else:
                    row[j] = moved_code(row[j], gain, none, rule, step, i * neurons + j, key)


@kernel
def strengthen(weights, touched, count, winner, last_pre, rule, shift, step, key):
    """The synapses to the winner, from all inputs with a trace; from inputs that spike now, both ways at once.

    touched: int32, of which the first `count` are the inputs that have spiked in this sample. last_pre: int32
    `[inputs]`, the step of each input's last spike. weights, winner, rule, shift, step, key: as for `weaken`.
    """
    neurons = weights.shape[1]
    none = rule.gain_post[0] - rule.gain_post[0]
    for a in range(count):
        i = touched[a]
        age = step - last_pre[i]
        up = rule.gain_pre[age]
        down = rule.gain_post[0] if age == 0 else none
        if shift is None:
            weights[i, winner] = moved_real(weights[i, winner], down, up, rule)
        else:
            weights[i, winner] = moved_code(weights[i, winner], down, up, rule, step, i * neurons + winner, key)


@kernel
def normalise(weights, sums, active, count, rule, shift, key):
    """The weights of some neurons scaled so that their sum is `rule.total`; how many saturated.

    weights: `[inputs, neurons]`, changed. sums: float64 or int64 `[neurons]`, scratch. active: int32, of which the
    first `count` are the neurons. rule: Plasticity, and its shift. key: of the draws, with the counters (0, synapse).
    The factor in fixed point is floored, and has as many fraction bits as `rule.scale` drops.
    """
    inputs, neurons = weights.shape
    for a in range(count):
        sums[a] = 0
    for i in range(inputs):
        for a in range(count):
            sums[a] += weights[i, active[a]]
    for a in range(count):
        if sums[a] > 0:
            if shift is None:
                sums[a] = rule.total / sums[a]
            else:
                sums[a] = (rule.total << rule.scale.shift) // sums[a]
    lost = 0
    for i in range(inputs):
        for a in range(count):
            j = active[a]
            if sums[a] <= 0:
                continue
            if shift is None:
                weights[i, j] = weights[i, j] * np.float32(sums[a])
            else:
                code = rounded(np.int64(weights[i, j]) * sums[a], rule.scale, 0, i * neurons + j, key)
                lost += outside(code, rule.scale)
                weights[i, j] = saturated(code, rule.scale)
    return lost
