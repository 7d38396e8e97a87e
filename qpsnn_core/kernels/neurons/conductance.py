"""One step of neurons with conductances (Diehl & Cook 2015, the original), by Euler's method.

`V += dt/tau*((rest - V) + ge*(excitatory - V) + gi*(inhibitory - V))`. In floating point every number is a float32. In
fixed point V, ge and gi are integers; a step computes in int64, and each is rounded once. What is None in the one form
is a number in the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.fixed_point import outside, rounded, saturated
from qpsnn_core.kernels.neurons.adaptive_lif import widened
from qpsnn_core.kernels.neurons.stdp import moved_code, moved_real
from qpsnn_core.kernels.threads import kernel


class ConductanceConstants(NamedTuple):
    """What the neurons of a layer share.

    rest, reset, excitatory, inhibitory: potentials, as V is stored. rate: `dt/tau`. keep_e, keep_i: what is left of a
    conductance after a step. added: what a spike of the other layer adds to a conductance, wide. base: of thresholds,
    in the fraction bits of a wide V; in fixed point 0 where thresholds are stored. refractory: steps. g_up, g_bits: a
    wide conductance has `g_up` more fraction bits than a stored one, `g_bits` in all. v_up, th_up: what a wide V has
    more than V and than a threshold. None in floating point: g_up, g_bits, v_up, th_up. charge_unit, charge_shift: as
    of NeuronConstants. membrane, conductance: a Grid, or None.
    """

    rest: Any
    reset: Any
    excitatory: Any
    inhibitory: Any
    rate: Any
    keep_e: Any
    keep_i: Any
    added: Any
    base: Any
    refractory: int
    g_up: Any
    g_bits: Any
    v_up: Any
    th_up: Any
    charge_unit: Any
    charge_shift: Any
    membrane: Any
    conductance: Any


@kernel
def pulled(v, ge, gi, c, up):
    """V after a step, wide. v: as stored. ge, gi: wide conductances. c: ConductanceConstants; up: its `v_up`."""
    if up is None:
        return v + c.rate * (((c.rest - v) + ge * (c.excitatory - v)) + gi * (c.inhibitory - v))
    x = np.int64(v)
    pull = ((c.rest - x) << c.g_bits) + ge * (c.excitatory - x) + gi * (c.inhibitory - x)
    return (x << up) + c.rate * pull


@kernel
def faded(wide, keep, grid, step, element, key, lost):
    """A stored conductance after its decay: `keep` of a `wide` one. The others: as for `rounded`; lost: counted up."""
    code = rounded(wide * keep, grid, step, element, key)
    lost[0] += outside(code, grid)
    return saturated(code, grid)


@kernel
def leap(v, ge, gi, ready, excited, inhibited, v_th, fired, c, step, keys, lost):
    """All neurons of a layer take a step; how many spike (`fired`, uint8, written).

    v, ge, gi: stored, changed. ready: int32, steps of refractoriness left, in which V stays at its reset. excited,
    inhibited: wide, what is added to ge and gi. v_th: stored adaptations. c: ConductanceConstants. step, keys: counter
    and keys of the draws, of V, ge and gi. lost: int64, counted up at 0: what saturates.
    """
    count = 0
    for j in range(v.shape[0]):
        e = widened(ge[j], c.g_up) + excited[j]
        i = widened(gi[j], c.g_up) + inhibited[j]
        x = pulled(v[j], e, i, c, c.v_up)
        ge[j] = faded(e, c.keep_e, c.conductance, step, j, keys[1], lost)
        gi[j] = faded(i, c.keep_i, c.conductance, step, j, keys[2], lost)
        held = ready[j] > 0
        ready[j] = max(ready[j] - 1, 0)
        fired[j] = (not held) and x >= c.base + widened(v_th[j], c.th_up)
        if fired[j]:
            count += 1
            ready[j] = c.refractory
            v[j] = c.reset
        elif not held:
            code = rounded(x, c.membrane, step, j, keys[0])
            lost[0] += outside(code, c.membrane)
            v[j] = saturated(code, c.membrane)
    return count


@kernel
def raise_thresholds(v_th, wide, fired, e, step, key, lost):
    """Thresholds of the neurons that `fired` rise.

    v_th, wide: stored and wide. e: NeuronConstants. step, key: of the draws of `rounded`. lost: int64 [3].
    """
    for j in range(v_th.shape[0]):
        if fired[j]:
            code = rounded(wide[j] + e.increment, e.threshold, step, j, key)
            lost[1] += outside(code, e.threshold)
            v_th[j] = saturated(code, e.threshold)
            wide[j] = widened(v_th[j], e.adaptation_shift)


@kernel
def strengthen_triplet(weights, touched, count, neuron, last_pre, slow, rule, shift, step, key):
    """The synapses to a neuron that spikes, from all inputs with a trace: `w += rate*x_pre*y*(high - w)**mu`.

    weights: `[inputs, neurons]`, changed. touched: int32, of which the first `count` are the inputs that have spiked in
    this sample; last_pre: int32 `[inputs]`, when. slow: y, the slow trace of the neuron's spike before; float32, or
    int64 with `shift` fraction bits. rule: Plasticity, and its shift. step: t. key: of the draws.
    """
    neurons = weights.shape[1]
    none = rule.gain_post[0] - rule.gain_post[0]
    for a in range(count):
        i = touched[a]
        gain = rule.gain_pre[step - last_pre[i]]
        if shift is None:
            weights[i, neuron] = moved_real(weights[i, neuron], none, gain * slow, rule)
        else:
            up = (gain * slow) >> shift
            weights[i, neuron] = moved_code(weights[i, neuron], none, up, rule, step, i * neurons + neuron, key)
