"""Layers that learn locally (DECOLLE), backward: readouts, their errors, three-factor gradients, and Adamax.

No error passes from layer to layer and none goes back in time: a gradient is the product of the readout's error at this
step, the surrogate at the membrane, and the trace P of the input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import WORD, random_word, sample_key
from qpsnn_core.kernels.fixed_point import NEAREST, STOCHASTIC
from qpsnn_core.kernels.neurons.decolle import forward_layer
from qpsnn_core.kernels.neurons.decolle_layout import DROPOUT, LANES, ROWS, place_of
from qpsnn_core.kernels.simd.vector import fill16, item, load16, multiply_add, store
from qpsnn_core.kernels.threads import kernel

SHARES = 256
"""The chance of dropout is a number of so many parts: a random word decides for four features."""


class Parameters(NamedTuple):
    """weights, biases: float32 or int32, flat. readouts `[features, classes]`, readout_biases `[layers, classes]`."""

    weights: Any
    biases: Any
    readouts: Any
    readout_biases: Any


class Lesson(NamedTuple):
    """What learning needs. labels: int64 `[samples]`. dropped: of 256 features of a layer, how many its readout misses.

    share: `1 / (samples * classes)` of the whole batch. slope: of the surrogate `1 / (slope*|V - threshold| + 1)**2`.
    threshold: float32. seed: uint64.
    """

    labels: Any
    dropped: Any
    share: Any
    slope: Any
    threshold: Any
    seed: Any


class Gradients(NamedTuple):
    """For each chunk of samples: weights, biases, float32, flat; losses: float64 `[layers]`; errors, scratch.

    errors: float32 `[samples, neurons]`.
    """

    weights: Any
    biases: Any
    losses: Any
    errors: Any


@kernel
def keeps(word, feature, dropped):
    """Whether a feature is not dropped, by its eight bits of the random word: at least `dropped` of 256."""
    return (np.int64(word) >> (8 * (feature & 3))) & 255 >= dropped


@kernel
def read_out(spikes, first, count, readouts, outputs, dropped, scale, step, key):
    """`outputs += scale * readout of the spikes that are kept`. first, count: of the layer's features.

    spikes: uint8; readouts: float32 `[features, classes]`; outputs: float32 `[classes]`. dropped: as in a Lesson.
    step, key: of the draws.
    """
    word = np.uint64(0)
    for at in range(count):
        if dropped > 0 and at % 4 == 0:
            word = random_word(step, at // 4, key)
        if spikes[first + at] and (dropped == 0 or keeps(word, at, dropped)):
            for k in range(outputs.shape[0]):
                outputs[k] += scale * readouts[first + at, k]


@kernel
def smooth_l1(outputs, label, share, errors):
    """The sum of `x*x/2` where |x| < 1, else `|x| - 1/2`, of the distances x from the target, which is 1 at the label.

    outputs: float32 `[classes]`. errors: likewise, written: the gradient, `share` times -1 to 1. The sum is float64.
    """
    loss = 0.0
    for k in range(outputs.shape[0]):
        x = outputs[k] - np.float32(k == label)
        far = abs(x)
        loss += 0.5 * np.float64(x) * np.float64(x) if far < 1 else np.float64(far) - 0.5
        errors[k] = share * min(max(x, np.float32(-1)), np.float32(1))
    return loss


@kernel
def spread_errors(first, count, winners, errors, readouts, v, lesson, scale, step, key, out):
    """The gradient at each membrane that is its pool's highest; zeros elsewhere were there before.

    first, count, readouts, scale, step, key: as for `read_out`. winners: int32, neurons of features. errors: float32
    `[classes]`. v: float32. lesson: a Lesson. out: float32, written.
    """
    word = np.uint64(0)
    for at in range(count):
        if lesson.dropped > 0 and at % 4 == 0:
            word = random_word(step, at // 4, key)
        if lesson.dropped > 0 and not keeps(word, at, lesson.dropped):
            continue
        total = np.float32(0)
        for k in range(errors.shape[0]):
            total += errors[k] * readouts[first + at, k]
        n = winners[first + at]
        bend = lesson.slope * abs(v[n] - lesson.threshold) + np.float32(1)
        out[n] = scale * total / (bend * bend)


@kernel
def add_weight_gradients(start, stop, place, inputs, neurons, p, errors, out):
    """`out[panel, row, column, channel, lane] += sum of P * error` of the layer at `place`, samples start..stop-1.

    inputs, neurons: of one sample. p, errors, out: float32, flat. A sum runs over samples, then rows, then columns.
    """
    run = place.kernel * place.channels
    for panel in range(place.lanes // LANES):
        for ky in range(place.kernel):
            for first in range(0, run, ROWS):
                last = run - first - 1
                weight = place.weights + ((panel * place.kernel + ky) * run + first) * LANES
                i1, i2, i3, i4, i5 = min(1, last), min(2, last), min(3, last), min(4, last), min(5, last)
                zero = fill16(np.float32(0), out)
                s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
                for b in range(start, stop):
                    for y in range(place.height):
                        at = b * inputs + place.inputs + (y + ky) * place.row + first
                        error = b * neurons + place.neurons + y * place.width * place.lanes + panel * LANES
                        for _ in range(place.width):
                            line = load16(errors, error)
                            s0 = multiply_add(fill16(item(p, at), out), line, s0)
                            s1 = multiply_add(fill16(item(p, at + i1), out), line, s1)
                            s2 = multiply_add(fill16(item(p, at + i2), out), line, s2)
                            s3 = multiply_add(fill16(item(p, at + i3), out), line, s3)
                            s4 = multiply_add(fill16(item(p, at + i4), out), line, s4)
                            s5 = multiply_add(fill16(item(p, at + i5), out), line, s5)
                            at += place.channels
                            error += place.lanes
                store(out, weight, s0)
                store(out, weight + i1 * LANES, s1)
                store(out, weight + i2 * LANES, s2)
                store(out, weight + i3 * LANES, s3)
                store(out, weight + i4 * LANES, s4)
                store(out, weight + i5 * LANES, s5)


@kernel
def add_bias_gradients(start, stop, place, errors, out):
    """`out[lane] = sum of errors` of the layer at `place`, samples start..stop-1. errors: `[samples, neurons]`."""
    for lane in range(place.lanes):
        out[place.biases + lane] = 0
    for b in range(start, stop):
        for position in range(place.height * place.width):
            first = place.neurons + position * place.lanes
            for lane in range(place.lanes):
                out[place.biases + lane] += errors[b, first + lane]


@kernel
def features_of(place):
    """How many pooled spikes the layer at `place` has."""
    return (place.height // place.pool) * (place.width // place.pool) * place.outputs


@kernel
def advance(
    start, stop, size, steps, table, d, f, real, parameters, frames, numbers, s, winners, lesson, grads, answers
):
    """Some steps of all layers, samples start..stop-1 (chunk start // size); if `grads` has chunks, with gradients.

    steps: (first, last + 1). table: int64 `[layers, fields of a Place]`. d: Dynamics; f, real: as for `forward_layer`.
    numbers: int64 `[samples]`, of each in the whole run, on which draws depend. winners: int32 `[samples, features]`,
    scratch, or `[samples, 0]` without gradients. lesson: Lesson. grads: Gradients `[chunks, ...]`, written for one
    step. answers: int32 `[samples, steps, layers]`, the class of the highest readout, written unless of length 0.
    """
    classes = parameters.readouts.shape[1]
    outputs, errors = np.zeros(classes, np.float32), np.zeros(classes, np.float32)
    inputs, neurons = s.p.shape[1], s.v.shape[1]
    chunk = start // size
    learns = grads.losses.shape[0] > 0
    for t in range(steps[0], steps[1]):
        for layer in range(table.shape[0]):
            place = place_of(table, layer)
            count = features_of(place)
            forward_layer(
                start, stop, place, d, f, real, frames, parameters.weights, parameters.biases, s, winners, t, numbers
            )
            if learns:
                grads.losses[chunk, layer] = 0
            if not learns and answers.shape[0] == 0:
                continue
            missing = lesson.dropped if learns else 0
            scale = np.float32(SHARES / (SHARES - missing))
            for b in range(start, stop):
                key = sample_key(lesson.seed, DROPOUT + 8 * layer, numbers[b])
                outputs[:] = parameters.readout_biases[layer]
                read_out(s.emitted[b], place.features, count, parameters.readouts, outputs, missing, scale, t, key)
                if not learns:
                    answers[b, t, layer] = np.argmax(outputs)
                    continue
                grads.losses[chunk, layer] += smooth_l1(outputs, lesson.labels[b], lesson.share, errors)
                own = grads.errors[b]
                own[place.neurons : place.neurons + place.height * place.width * place.lanes] = 0
                spread_errors(
                    place.features,
                    count,
                    winners[b],
                    errors,
                    parameters.readouts,
                    s.v_real[b],
                    lesson,
                    scale,
                    t,
                    key,
                    own,
                )
            if learns:
                flat_p, flat_errors = s.p_real.reshape(-1), grads.errors.reshape(-1)
                add_weight_gradients(start, stop, place, inputs, neurons, flat_p, flat_errors, grads.weights[chunk])
                add_bias_gradients(start, stop, place, grads.errors, grads.biases[chunk])


@kernel
def adamax(start, stop, grads, highest, moves, rate, decay, small):
    """The moves of parameters start..stop-1: `u = max(decay*u, |g| + small)`, `-rate * g / u` (momentum 0).

    grads: float32 `[chunks, parameters]`, added in their order. highest: u, changed. moves: float32, written.
    """
    for at in range(start, stop):
        total = grads[0, at]
        for chunk in range(1, grads.shape[0]):
            total += grads[chunk, at]
        highest[at] = max(decay * highest[at], abs(total) + small)
        moves[at] = -(rate * (total / highest[at]))


@kernel
def move_codes(start, stop, codes, moves, scale, high, mode, step, key):
    """Codes start..stop-1 after their moves, rounded once, within -high - 1..high; how many saturated.

    codes: int32, changed. moves: float32. scale: `2**f`. mode: TRUNCATION, NEAREST or STOCHASTIC. step, key: of draws.
    """
    lost = 0
    for at in range(start, stop):
        exact = np.float64(codes[at]) + np.float64(moves[at]) * scale
        below = np.floor(exact)
        rest = exact - below
        up = mode == NEAREST and rest >= 0.5
        if mode == STOCHASTIC:
            up = np.float64(np.int64(random_word(step, at, key))) < rest * 2.0**WORD
        code = np.int64(below) + np.int64(up)
        lost += np.int64(code > high or code < -high - 1)
        codes[at] = min(max(code, -high - 1), high)
    return lost
