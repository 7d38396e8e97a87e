"""One step of leaky neurons with adaptive thresholds, of which one that crosses its threshold spikes (Diehl & Cook).

In floating point every number is a float32. In fixed point, stored variables are integers, each with its own fraction
bits, and the step computes in int64 with F fraction bits; each stored variable is rounded once, at the end of the step.
What is None in the one form is a number in the other, so that Numba compiles a variant for each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import one_of
from qpsnn_core.kernels.fixed_point import outside, rounded, saturated
from qpsnn_core.kernels.threads import kernel


class NeuronConstants(NamedTuple):
    """What the neurons of a layer share.

    rest: of the membrane, as stored. leak: what is left of `V - rest` after a step; in fixed point with F - f_V bits.
    reset, increment, inhibition: wide numbers: the membrane after a crossing, what a crossing adds to the threshold,
    what a spike of inhibition takes from a membrane. base: added to the adaptation to give the threshold (0 in fixed
    point, where the sum is stored). adaptation_rest, adaptation_leak: likewise of the adaptation. adapts: whether it
    leaks. refractory: steps. membrane_shift, adaptation_shift: F - f of each; None in floating point. charge_unit,
    charge_shift: what makes a wide number of a sum of weights: both None if both are float32; the unit alone if the
    neurons are in floating point, the shift alone if both are integers; both, the unit counting, if only weights are
    float32. membrane, threshold: a Grid, or None.
    """

    rest: Any
    leak: Any
    reset: Any
    increment: Any
    inhibition: Any
    base: Any
    adaptation_rest: Any
    adaptation_leak: Any
    adapts: bool
    refractory: int
    membrane_shift: Any
    adaptation_shift: Any
    charge_unit: Any
    charge_shift: Any
    membrane: Any
    threshold: Any


@kernel
def leaked(stored, rest, leak, shift):
    """`leak*(stored - rest) + rest`, wide. shift: fraction bits of `leak`; None: all are float32.

    In fixed point the difference and the leak are int32, of which processors multiply many at once.
    """
    if shift is None:
        return leak * (stored - rest) + rest
    return np.int64(np.int32(stored - rest)) * np.int64(leak) + (np.int64(rest) << shift)


@kernel
def widened(stored, shift):
    """A `stored` number as a wide one, which has `shift` more fraction bits; None: it is float32 and stays."""
    if shift is None:
        return stored
    return np.int64(stored) << shift


@kernel
def charge(currents, totals, unit, shift):
    """Sums of weights (`totals`) as wide numbers (`currents`, written); unit, shift: as in NeuronConstants."""
    for j in range(totals.shape[0]):
        if shift is None:
            if unit is None:
                currents[j] = totals[j]
            else:
                currents[j] = np.float32(totals[j]) * unit
        elif unit is None:
            currents[j] = np.int64(totals[j]) << shift
        else:
            currents[j] = np.int64(np.floor(np.float64(totals[j]) * unit))


@kernel
def brake(currents, inhibited, inhibition):
    """Take `inhibition` from `currents` so many times: `inhibited`, of each; all in the type of wide numbers."""
    for j in range(currents.shape[0]):
        currents[j] -= inhibition * inhibited[j]


@kernel
def adapt(v_th, wide, constants, step, key, saturations):
    """The adaptation leaks: `wide` is written before rounding, `v_th` after it. As for `cross`."""
    count = 0
    for j in range(v_th.shape[0]):
        wide[j] = leaked(v_th[j], constants.adaptation_rest, constants.adaptation_leak, constants.adaptation_shift)
        code = rounded(wide[j], constants.threshold, step, j, key)
        count += outside(code, constants.threshold)
        v_th[j] = saturated(code, constants.threshold)
    saturations[1] += count


@kernel
def integrate(v, currents, ready, wide, crossed, constants, step, key, saturations):
    """Membranes leak and integrate; `crossed` marks those that reach their threshold; their number. As for `cross`.

    currents: wide numbers, `[neurons]`.
    """
    count = 0
    lost = 0
    for j in range(v.shape[0]):
        x = leaked(v[j], constants.rest, constants.leak, constants.membrane_shift)
        x = x + currents[j] if ready[j] <= 0 else x
        ready[j] = max(ready[j] - 1, 0)
        over = x >= constants.base + wide[j]
        crossed[j] = over
        count += over
        code = rounded(x, constants.membrane, step, j, key)
        lost += outside(code, constants.membrane)
        v[j] = saturated(code, constants.membrane)
    saturations[0] += lost
    return count


@kernel
def drift(v, totals, currents, shift, braking, spared, ready, wide, crossed, constants, step, key, saturations):
    """`charge`, `brake` and `integrate` in one pass, where neurons inhibit each other; the number that cross.

    totals: sums of weights, `[neurons]`, float32 if neurons are, else integers; shift: of `constants`, by which they
    are widened. currents: of the type of wide numbers. braking: what is taken from all but the neuron `spared`, wide;
    None: nothing. The others: as for `integrate`.
    """
    count = 0
    lost = 0
    for j in range(v.shape[0]):
        current = currents.dtype.type(totals[j])
        if shift is not None:
            current = current << shift
        if braking is not None:
            current = current - (braking if j != spared else braking - braking)
        x = leaked(v[j], constants.rest, constants.leak, constants.membrane_shift)
        x = x + current if ready[j] <= 0 else x
        ready[j] = max(ready[j] - 1, 0)
        over = x >= constants.base + wide[j]
        crossed[j] = over
        count += over
        code = rounded(x, constants.membrane, step, j, key)
        kept = saturated(code, constants.membrane)
        lost += code != kept
        v[j] = kept
    saturations[0] += lost
    return count


@kernel
def cross(v, v_th, ready, wide, crossed, constants, learning, step, keys, chosen, saturations):
    """All that crossed are reset, rest and raise their thresholds; the `chosen`-th of them is returned.

    v, v_th: the stored membranes and adaptations `[neurons]`, float32 or int32. ready: int32, steps of refractoriness
    left. wide: the adaptations as wide numbers. crossed: uint8. constants: NeuronConstants. learning: thresholds rise.
    step, keys: counters and keys of the draws, of membranes and thresholds. saturations: int64 [3],
    counted up: membranes, thresholds, weights.
    """
    winner = -1
    passed = 0
    for j in range(v.shape[0]):
        if crossed[j]:
            ready[j] = constants.refractory
            code = rounded(constants.reset, constants.membrane, step, j, keys[0])
            v[j] = saturated(code, constants.membrane)
            if learning:
                code = rounded(wide[j] + constants.increment, constants.threshold, step, j, keys[1])
                saturations[1] += outside(code, constants.threshold)
                v_th[j] = saturated(code, constants.threshold)
                wide[j] = widened(v_th[j], constants.adaptation_shift)
            if passed == chosen:
                winner = j
            passed += 1
    return winner


@kernel
def relay(v, ready, excited, spikes, constants):
    """One step of the inhibitory layer, whose neurons each have one input; the number of its `spikes` (uint8, written).

    v, ready: as for `cross`. excited: the neuron whose input spiked, or -1. constants: NeuronConstants, of which
    `increment` is here the wide number that a spike adds, and `base` the wide threshold.
    """
    count = 0
    for j in range(v.shape[0]):
        x = leaked(v[j], constants.rest, constants.leak, constants.membrane_shift)
        if j == excited and ready[j] <= 0:
            x = x + constants.increment
        ready[j] = max(ready[j] - 1, 0)
        fired = x >= constants.base
        spikes[j] = fired
        count += fired
        if fired:
            ready[j] = constants.refractory
            x = constants.reset
        v[j] = saturated(rounded(x, constants.membrane, 0, j, np.uint64(0)), constants.membrane)
    return count


@kernel
def winner_of(count, given, step, key):
    """Which of `count` neurons that crossed spikes, drawn; -1 where none crossed, or winners are `given`.

    step, key: counter and key of the draw.
    """
    if count == 0 or given.shape[0] > 0:
        return -1
    return one_of(count, step, key)
