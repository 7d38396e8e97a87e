"""DECOLLE by loops over steps, layers, places and channels: float32 with exact sums of products, or Python's integers.

`d` are the constants (Dynamics). Arrays are NumPy's, of objects for integers, `[height, width, channels]`.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from naive.fixed_point import word

F = np.float32


def fused(a, b, c):
    """`a*b + c` of float32, rounded once (half to even)."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = F(float(exact))
    around = [near, np.nextafter(near, F(np.inf)), np.nextafter(near, F(-np.inf))]
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.int32)) & 1))


class Layer:
    def __init__(self, one, weights, biases, d, seed, number, first_input, first_neuron):
        self.one, self.w, self.b, self.d = one, weights, biases, d
        zero = F(0) if d.fixed is None else 0
        self.q, self.p = (np.full(one.inputs, zero, object) for _ in range(2))
        self.r, self.v = (np.full(one.outputs, zero, object) for _ in range(2))
        self.s = np.zeros(one.outputs, int)
        self.keys = [word(number, seed, stream) for stream in range(8, 12)]
        self.first_input, self.first_neuron, self.lost = first_input, first_neuron, [0, 0, 0, 0]

    def stored(self, wide, shift, high, which, step, element):
        mode = self.d.fixed.mode
        exact = Fraction(int(wide), 2**shift)
        if mode == 2 and shift:
            draw = Fraction(word(step, element, self.keys[which]), 2**32)
            exact += Fraction(floor(draw * 2**shift), 2**shift) if shift < 32 else draw
        elif mode == 1 and shift:
            exact += Fraction(1, 2)
        code = floor(exact)
        self.lost[which] += not -high - 1 <= code <= high
        return min(max(code, -high - 1), high)

    def step(self, spikes, t):
        """Pooled spikes, and where each pool's highest membrane is."""
        d, f = self.d, self.d.fixed
        spikes = np.reshape(spikes, self.one.inputs)
        (height, width, channels), pad = self.one.inputs, self.one.padding
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    at, s, q, p = (y, x, c), int(spikes[y, x, c]), self.q[y, x, c], self.p[y, x, c]
                    if f is None:
                        self.q[at] = F(F(d.beta * q) + F(d.q_in * F(s)))
                        self.p[at] = F(F(d.alpha * p) + F(d.p_in * q))
                        continue
                    element = self.first_input + ((y + pad) * (width + 2 * pad) + x + pad) * channels + c
                    sum_q = int(d.beta) * q + int(d.q_in) * s * f.one
                    sum_p = int(d.alpha) * p * 2**f.p_up + int(d.p_in) * q * 2**f.q_up
                    self.q[at] = self.stored(sum_q, f.q_down, f.q_high, 0, t, element)
                    self.p[at] = self.stored(sum_p, f.p_down, f.p_high, 1, t, element)
        out_height, out_width, outputs = self.one.outputs
        for y in range(out_height):
            for x in range(out_width):
                for c in range(outputs):
                    self.neuron(y, x, c, t)
        self.s = np.array(self.v >= d.threshold if d.inclusive else self.v > d.threshold).astype(int)
        return self.pool()

    def neuron(self, y, x, c, t):
        d, f, pad = self.d, self.d.fixed, self.one.padding
        height, width, channels = self.one.inputs
        total = self.b[c] if f is None else 0
        for ky in range(self.one.kernel):
            for kx in range(self.one.kernel):
                py, px = y + ky - pad, x + kx - pad
                if not (0 <= py < height and 0 <= px < width):
                    continue
                for k in range(channels):
                    if f is None:
                        total = fused(self.p[py, px, k], self.w[ky, kx, k, c], total)
                    else:
                        total += int(self.w[ky, kx, k, c]) * self.p[py, px, k]
        if f is None:
            self.r[y, x, c] = F(F(d.gamma * self.r[y, x, c]) + F(d.r_in * F(self.s[y, x, c])))
            self.v[y, x, c] = F(total - F(d.rho * self.r[y, x, c]))
            return
        element = self.first_neuron + (y * self.one.outputs[1] + x) * self.one.lanes + c
        sum_r = int(d.gamma) * self.r[y, x, c] + int(d.r_in) * int(self.s[y, x, c]) * f.unit
        self.r[y, x, c] = self.stored(sum_r, f.r_down, f.r_high, 2, t, element)
        current = total * 2**f.sum_up + int(self.b[c]) * 2**f.bias_up - int(d.rho) * self.r[y, x, c] * 2**f.r_up
        self.v[y, x, c] = self.stored(current, f.v_down, f.v_high, 3, t, element)

    def pool(self):
        height, width, channels = self.one.pooled
        side, found = self.one.pool, np.zeros(self.one.pooled, int)
        winners = np.zeros((*self.one.pooled, 2), int)
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    places = [(y * side + dy, x * side + dx) for dy in range(side) for dx in range(side)]
                    best = places[0]
                    for place in places:
                        if self.v[(*place, c)] > self.v[(*best, c)]:
                            best = place
                    found[y, x, c], winners[y, x, c] = self.s[(*best, c)], best
        return found, winners


class Filtered(Layer):
    """A layer of float32 that keeps `w*Q` and `w*P`."""

    def __init__(self, one, *rest):
        super().__init__(one, *rest)
        self.q, self.p = (np.full(one.outputs, F(0), object) for _ in range(2))

    def step(self, spikes, t):
        d, one, pad = self.d, self.one, self.one.padding
        for n in np.ndindex(*one.outputs):
            old = self.q[n]
            self.q[n], self.p[n] = F(d.beta * old), F(F(d.alpha * self.p[n]) + F(d.p_in * old))
            self.r[n] = F(F(d.gamma * self.r[n]) + F(d.r_in * F(self.s[n])))
            self.v[n] = F(F(self.p[n] + self.b[n[2]]) - F(d.rho * self.r[n]))
        for y, x in np.ndindex(*one.inputs[:2]):
            channels = [c for c in range(one.inputs[2]) if spikes[y, x, c]]
            whole = len(channels) // 4 * 4
            for ky, kx, k in np.ndindex(one.kernel, one.kernel, one.outputs[2]):
                at = (y + pad - ky, x + pad - kx, k)
                if channels and 0 <= at[0] < one.outputs[0] and 0 <= at[1] < one.outputs[1]:
                    parts = [F(0)] * 4
                    for i, c in enumerate(channels):
                        part = i % 4 if i < whole else 0
                        parts[part] = fused(F(spikes[y, x, c]), self.w[ky, kx, c, k], parts[part])
                    total = F(F(parts[0] + parts[1]) + F(parts[2] + parts[3]))
                    self.q[at] = fused(d.q_in, total, self.q[at])
        self.s = np.array(self.v >= d.threshold if d.inclusive else self.v > d.threshold).astype(int)
        return self.pool()


def layers_of(model, d, number, kind=Layer):
    found, inputs, neurons = [], 0, 0
    for one, weights, biases in zip(model.network.maps, model.weights, model.biases, strict=True):
        found.append(kind(one, weights, biases, d, model.seed, number, inputs, neurons))
        height, width, channels = one.inputs
        inputs += (height + 2 * one.padding) * (width + 2 * one.padding) * channels
        neurons += one.outputs[0] * one.outputs[1] * one.lanes
    return found


def kept(model, layer, number, step, feature):
    """Whether the readout of a layer sees a feature, by eight bits of a random word."""
    key = word(number, model.seed, 12 + 8 * layer)
    return (word(step, feature // 4, key) >> (8 * (feature % 4))) % 256 >= 256 * model.network.dropout


def readout(model, layer, spikes, keeps):
    """The readout, float32, features in order. keeps: whether it sees a feature, or None: it sees all."""
    share = 1 if keeps is None else 1 - model.network.dropout
    out = model.readout_biases[layer].copy()
    for feature, spike in enumerate(spikes.reshape(-1)):
        if spike and (keeps is None or keeps(feature)):
            for k in range(len(out)):
                out[k] = F(out[k] + F(F(1 / share) * model.readouts[layer][feature, k]))
    return out


def respond(model, d, frames, number, kind=Layer):
    """The layers after all frames, and the class of the highest readout of each step and layer."""
    layers, answers = layers_of(model, d, number, kind), []
    for t, spikes in enumerate(frames):
        own = []
        for k, layer in enumerate(layers):
            spikes, _ = layer.step(spikes, t)
            own.append(int(np.argmax(readout(model, k, spikes, None))))
        answers.append(own)
    return layers, answers


def lesson(model, d, frames, number, label, samples):
    """Losses and gradients (float64 sums) of each layer's weights and biases at the last frame.

    samples: of the batch, over which loss and gradient are means.
    """
    layers, found = layers_of(model, d, number), []
    slope, share = model.network.neuron.slope, samples * model.network.classes
    for t, spikes in enumerate(frames):
        for k, layer in enumerate(layers):
            spikes, winners = layer.step(spikes, t)
            if t < len(frames) - 1:
                continue

            def keeps(feature, k=k, t=t):
                return kept(model, k, number, t, feature)

            apart = readout(model, k, spikes, keeps).astype(float)
            apart[label] -= 1
            loss = sum(x * x / 2 if abs(x) < 1 else abs(x) - 0.5 for x in apart) / share
            w, b = np.zeros(layer.w.shape), np.zeros(layer.b.shape)
            step = 1 if d.fixed is None else float(d.fixed.v_step)
            p_step = 1 if d.fixed is None else float(d.fixed.p_step)
            for feature, at in enumerate(np.ndindex(*layer.one.pooled)):
                if not keeps(feature):
                    continue
                read = model.readouts[k][feature].astype(float)
                error = sum(np.clip(apart[c], -1, 1) * read[c] for c in range(len(apart))) / share
                y, x, c = (*winners[at], at[2])
                bend = slope * abs(float(layer.v[y, x, c]) * step - model.network.neuron.threshold) + 1
                error /= (1 - model.network.dropout) * bend * bend
                b[c] += error
                for ky, kx, i in np.ndindex(*layer.w.shape[:3]):
                    py, px = y + ky - layer.one.padding, x + kx - layer.one.padding
                    if 0 <= py < layer.one.inputs[0] and 0 <= px < layer.one.inputs[1]:
                        w[ky, kx, i, c] += error * float(layer.p[py, px, i]) * p_step
            found.append((loss, w, b))
    return layers, found
