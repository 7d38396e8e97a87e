"""Diehl & Cook's original network by loops: conductances, triplet STDP, all neurons that cross spike."""

from __future__ import annotations

import numpy as np

from naive.diehl_cook import Numbers, moved, normalised
from naive.fixed_point import word

F = np.float32


class Neuron:
    """One neuron of either layer. c: its constants. keys: of the draws of V, ge and gi."""

    def __init__(self, numbers, c, keys, lost):
        self.n, self.c, self.keys, self.lost = numbers, c, keys, lost
        self.v, zero = (int(c.rest), 0) if numbers.fixed else (c.rest, F(0))
        self.ge, self.gi, self.ready = zero, zero, 0

    def step(self, excited, inhibited, limit, t, j):
        """Whether it spikes."""
        c, n = self.c, self.n
        e, i = n.wide(self.ge, c.g_up) + excited, n.wide(self.gi, c.g_up) + inhibited
        if n.fixed:
            pull = (c.rest - self.v) * 2**c.g_bits + e * (c.excitatory - self.v) + i * (c.inhibitory - self.v)
            x = self.v * 2**c.v_up + c.rate * pull
            left_e, left_i, limit = e * c.keep_e, i * c.keep_i, c.base + limit * 2**c.th_up
        else:
            pull = F(F(c.rest - self.v) + F(e * F(c.excitatory - self.v)))
            x = F(self.v + F(c.rate * F(pull + F(i * F(c.inhibitory - self.v)))))
            left_e, left_i, limit = F(e * c.keep_e), F(i * c.keep_i), F(c.base + limit)
        self.ge = n.keep(left_e, c.conductance, t, j, self.keys[1], self.lost, 0)
        self.gi = n.keep(left_i, c.conductance, t, j, self.keys[2], self.lost, 0)
        if self.ready > 0:
            self.ready -= 1
            return False
        if x >= limit:
            self.ready, self.v = c.refractory, c.reset
            return True
        self.v = n.keep(x, c.membrane, t, j, self.keys[0], self.lost, 0)
        return False


def sample(spikes, weights, v_th, layers, learning, number, again=0):
    """One sample: (spiking neurons of each step, weights, adaptations, saturations)."""
    n, rule, e = Numbers(layers), layers.rule, layers.thresholds
    seed, lost = int(layers.seed), [0, 0, 0]
    keys = [word(number, seed, stream + 16 * again) for stream in (2, 6, 7, 9, 10, 11, 3, 4, 8, 5)]
    inputs, neurons = weights.shape
    w = [[x.item() if n.codes else x for x in row] for row in weights]
    limits = [int(x) if n.fixed else x for x in v_th]
    upper = [Neuron(n, layers.excitatory, keys[0:3], lost) for _ in range(neurons)]
    lower = [Neuron(n, layers.inhibitory, keys[3:6], lost) for _ in range(neurons)]
    pre, post, spiked, relayed, before, history = [None] * inputs, [None] * neurons, [], [], [], []
    none = rule.gain_pre[0] - rule.gain_pre[0]
    nothing = 0 if n.fixed else F(0)
    fired = set()
    for t, now in enumerate(spikes):
        raised = [n.wide(limit, e.adaptation_shift) for limit in limits]
        if learning and e.adapts:
            raised = [n.leaked(limit, e.adaptation_rest, e.adaptation_leak, e.adaptation_shift) for limit in limits]
            limits = [n.keep(x, e.threshold, t, j, keys[6], lost, 1) for j, x in enumerate(raised)]
        crossed = []
        for j in range(neurons):
            total = 0 if n.codes else F(0)
            for k in before:
                total = total + w[k][j]
            braking = sum(1 for other in relayed if other != j)
            inhibited = layers.excitatory.added * (braking if n.fixed else F(braking))
            if upper[j].step(n.current(total), inhibited, limits[j], t, j):
                crossed.append(j)
        excited = [layers.inhibitory.added if j in spiked else nothing for j in range(neurons)]
        relayed = [j for j in range(neurons) if lower[j].step(excited[j], nothing, nothing, t, j)]
        spiked = crossed
        history.append(crossed)
        before = now
        if not learning:
            continue
        for j in crossed:
            limits[j] = n.keep(raised[j] + e.increment, e.threshold, t, j, keys[6], lost, 1)
        for k in now:
            pre[k] = t
            for j in range(neurons):
                if post[j] is not None:
                    w[k][j] = moved(n, w[k][j], rule.gain_post[t - post[j]], none, rule, t, k * neurons + j, keys[7])
        for j in crossed:
            for k in range(inputs):
                if post[j] is not None and pre[k] is not None:
                    slow, gain = layers.slow[t - post[j]], rule.gain_pre[t - pre[k]]
                    up = int(gain) * int(slow) // 2**rule.shift if n.codes else F(gain * slow)
                    w[k][j] = moved(n, w[k][j], none, up, rule, t, k * neurons + j, keys[8])
            post[j] = t
            fired.add(j)
    if learning and rule.total > 0:
        for j in sorted(fired):
            normalised(n, w, j, rule, neurons, keys[9], lost)
    return history, np.array(w, weights.dtype), np.array(limits, v_th.dtype), lost
