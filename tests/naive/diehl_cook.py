"""Diehl & Cook's network by loops over steps, neurons and synapses, in float32 or in Python's integers.

Traces are kept and decay step by step, as the equations say; nothing is done by event. `c` are the constants of the
excitatory layer, `i` of the inhibitory, `rule` of plasticity.
"""

from __future__ import annotations

import numpy as np

from naive.fixed_point import stored, word

F = np.float32


class Numbers:
    """What differs between float32 (a grid is None) and integers."""

    def __init__(self, layers):
        self.layers = layers
        self.fixed = layers.excitatory.membrane is not None
        self.codes = layers.rule.update is not None

    def leaked(self, value, rest, leak, shift):
        if not self.fixed:
            return F(F(leak * F(value - rest)) + rest)
        return (int(value) - int(rest)) * int(leak) + int(rest) * 2**shift

    def wide(self, value, shift):
        return int(value) * 2**shift if self.fixed else value

    def current(self, total):
        c = self.layers.excitatory
        if not self.fixed:
            return F(F(total) * c.charge_unit) if self.codes else total
        return total * 2**c.charge_shift if self.codes else int(np.floor(float(total) * c.charge_unit))

    def keep(self, value, grid, step, element, key, lost, which):
        if grid is None:
            return value
        found = stored(value, grid, step, element, key)
        lost[which] += not grid.low <= found <= grid.high
        return min(max(found, grid.low), grid.high)


def power(distance, quarters, one):
    result = one
    for _ in range(quarters // 4):
        result = result * distance
    if quarters % 4 >= 2:
        result = result * np.sqrt(distance)
    if quarters % 2:
        result = result * np.sqrt(np.sqrt(distance))
    return result


def depends(distance, rule):
    if rule.update is not None:
        return distance if rule.quarters == 4 else int(rule.powers[min(max(distance, 0), len(rule.powers) - 1)])
    return distance if rule.quarters == 4 else power(max(distance, F(0)), rule.quarters, F(1))


def sample(spikes, given, weights, v_th, layers, learning, number, states=None):
    """One sample: (winners, weights, adaptations, saturations). spikes: a list of inputs for each step.

    states: a list, to which the variables after each step are appended: those of a History.
    """
    n = Numbers(layers)
    c, i, rule = layers.excitatory, layers.inhibitory, layers.rule
    seed, none = int(layers.seed), rule.gain_pre[0] - rule.gain_pre[0]
    keys = [word(number, seed, stream) for stream in range(6)]
    inputs, neurons = weights.shape
    w = [[w.item() if n.codes else w for w in row] for row in weights]
    limits = [int(x) if n.fixed else x for x in v_th]
    v, ready = [c.rest if not n.fixed else int(c.rest)] * neurons, [0] * neurons
    iv, iready, ispikes = [i.rest if not n.fixed else int(i.rest)] * neurons, [0] * neurons, [False] * neurons
    pre, post = [None] * inputs, [None] * neurons
    fired, spiked, lost, winners, before = set(), -1, [0, 0, 0], [], []
    for t, now in enumerate(spikes):
        currents = []
        for j in range(neurons):
            total = 0 if n.codes else F(0)
            for k in before:
                total = total + w[k][j]
            current = n.current(total)
            braking = int(spiked >= 0 and spiked != j) if i.refractory < 0 else sum(ispikes) - ispikes[j]
            if braking:
                current = current - c.inhibition * (braking if n.fixed else F(braking))
            currents.append(current)
        if i.refractory >= 0:
            for j in range(neurons):
                x = n.leaked(iv[j], i.rest, i.leak, i.membrane_shift)
                if j == spiked and iready[j] <= 0:
                    x = x + i.increment
                iready[j] = max(iready[j] - 1, 0)
                ispikes[j] = bool(x >= i.base)
                if ispikes[j]:
                    iready[j], x = i.refractory, i.reset
                iv[j] = n.keep(x, i.membrane, 0, j, 0, [0], 0)
        crossed = []
        for j in range(neurons):
            limit = n.wide(limits[j], c.adaptation_shift)
            if learning and c.adapts:
                limit = n.leaked(limits[j], c.adaptation_rest, c.adaptation_leak, c.adaptation_shift)
                limits[j] = n.keep(limit, c.threshold, t, j, keys[3], lost, 1)
            x = n.leaked(v[j], c.rest, c.leak, c.membrane_shift)
            if ready[j] <= 0:
                x = x + currents[j]
            ready[j] = max(ready[j] - 1, 0)
            v[j] = n.keep(x, c.membrane, t, j, keys[2], lost, 0)
            if x >= c.base + limit:
                crossed.append(j)
                ready[j] = c.refractory
                v[j] = n.keep(c.reset, c.membrane, t, j, keys[2], [0], 0)
                if learning:
                    limits[j] = n.keep(limit + c.increment, c.threshold, t, j, keys[3], lost, 1)
        spiked = -1
        if given is not None:
            spiked = int(given[t])
            assert spiked < 0 or spiked in crossed
        elif crossed:
            spiked = crossed[word(t, 0, keys[1]) * len(crossed) // 2**32]
        winners.append(spiked)
        if states is not None:
            states.append([list(one) for one in (v, limits, ready, iv, iready, ispikes)])
        if learning:
            for k in now:
                pre[k] = t
            if spiked >= 0:
                post[spiked] = t
                fired.add(spiked)
            for k in range(inputs):
                for j in range(neurons):
                    down = rule.gain_post[t - post[j]] if k in now and post[j] is not None else none
                    up = rule.gain_pre[t - pre[k]] if j == spiked and pre[k] is not None else none
                    if down > 0 or up > 0:
                        w[k][j] = moved(n, w[k][j], down, up, rule, t, k * neurons + j, keys[4])
        before = now
    if learning and rule.total > 0:
        for j in sorted(fired):
            normalised(n, w, j, rule, neurons, keys[5], lost)
    return winners, np.array(w, weights.dtype), np.array(limits, v_th.dtype), lost


def moved(n, w, down, up, rule, t, synapse, key):
    if not n.codes:
        change = -(down * depends(F(w - rule.low), rule)) + up * depends(F(rule.high - w), rule)
        return min(max(F(w + change), rule.low), rule.high)
    wide = w * 2**rule.shift - int(down) * depends(w - rule.low, rule) + int(up) * depends(rule.high - w, rule)
    return min(max(stored(wide, rule.update, t, synapse, key), rule.low), rule.high)


def normalised(n, w, j, rule, neurons, key, lost):
    total = 0 if n.codes else 0.0
    for row in w:
        total += row[j] if n.codes else float(row[j])
    if total <= 0:
        return
    for k, row in enumerate(w):
        if n.codes:
            factor = rule.total * 2**rule.scale.shift // total
            row[j] = n.keep(row[j] * factor, rule.scale, 0, k * neurons + j, key, lost, 2)
        else:
            row[j] = F(row[j] * F(rule.total / total))
