"""DECOLLE's kernels against loops, in float32 and integers; gradients against finite differences of a step's loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from naive import decolle as naive
from qpsnn_core.integer.local.decolle_maps import unpacked
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.kernels.neurons.decolle_learning import adamax, move_codes
from qpsnn_core.kernels.neurons.decolle_start import orthogonal_rows
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, DecolleFormats, LocalNeuronFormats, dynamics
from qpsnn_core.local_learning.decolle_lsuv import membranes
from qpsnn_core.local_learning.decolle_model import initialise_decolle, quantized_decolle
from qpsnn_core.local_learning.decolle_run import first_moments, learn_windows, present_windows
from qpsnn_core.quantization.fixed_point import FixedPoint

Q = FixedPoint.parse
STEPS, SAMPLES = 5, 2
LAYERS = (LocalConv(3, 3, 1, 2), LocalConv(17, 2), LocalDense(4))


def formats(rounding, fraction=8, integer=6):
    trace = FixedPoint(integer, fraction)
    shares = [FixedPoint(0, 8)] * 3
    return DecolleFormats(
        Q("Q2.7"), LocalNeuronFormats(FixedPoint(5, fraction), trace, trace, Q("Q2.6"), *shares, Q("Q1.3")), rounding
    )


def model_of(form, kind="plain", dropout=0.5):
    neuron = LocalNeuron(kind, 0.0 if kind == "normalised" else 0.5, 0.8, 0.7, 0.6, inhibition=0.875)
    network = Decolle((5, 4, 2), 3, LAYERS, neuron, dropout=dropout)
    model = initialise_decolle(network, 5)
    biases = tuple(np.linspace(-0.2, 0.3, len(one)).astype(np.float32) for one in model.biases)
    weights = tuple((one * np.float32(2 if kind == "normalised" else 0.5)) for one in model.weights)
    model = replace(model, biases=biases, weights=weights)
    return model if form == DECOLLE_FLOAT else quantized_decolle(model, form)


def frames(seed=1):
    rng = np.random.default_rng(seed)
    return (rng.random((SAMPLES, STEPS, 5, 4, 2)) < 0.4).astype(np.uint8) * rng.integers(
        1, 3, (SAMPLES, STEPS, 5, 4, 2)
    ).astype(np.uint8)


FORMS = {
    "float32": (DECOLLE_FLOAT, "plain"),
    "normalised": (DECOLLE_FLOAT, "normalised"),
    "nearest": (formats("nearest"), "plain"),
    "truncation": (formats("truncation"), "normalised"),
    "stochastic": (formats("stochastic", 5), "plain"),
    "narrow": (formats("nearest", 6, 2), "plain"),
}
EACH = [
    pytest.param(name, marks=pytest.mark.once if name in ("nearest", "truncation", "narrow") else ()) for name in FORMS
]


@pytest.mark.parametrize("name", EACH)
def test_responses_are_the_twins(name):
    model, given = model_of(*FORMS[name]), frames()
    d = dynamics(model.network, model.formats, model.seed)
    plan = [(t, True) for t in range(STEPS)]
    state, answers = present_windows(model, given.reshape(SAMPLES, STEPS, -1), plan, observe=True)
    fired = 0
    for sample in range(SAMPLES):
        layers, ref = naive.respond(model, d, given[sample], TESTED + sample)
        assert answers[sample].tolist() == ref
        lost = np.zeros(4, int)
        for k, layer in enumerate(layers):
            np.testing.assert_array_equal(membranes(model, state)[k][sample], layer.v.astype(state.v.dtype))
            fired += layer.s.sum()
            lost += layer.lost
        assert state.lost[sample].tolist() == lost.tolist()
        lowest, highest = state.seen[sample, 6:]
        assert lowest <= min(layer.v.min() for layer in layers) <= max(layer.v.max() for layer in layers) <= highest
    assert fired > 0
    assert (state.lost.sum() > 0) == (name == "narrow")


@pytest.mark.parametrize("name", ["float32", "normalised"])
def test_spikes_convolved_and_filtered_are_the_twins(name):
    model, given = model_of(*FORMS[name]), frames()
    d = dynamics(model.network, model.formats, model.seed)
    flat, plan = given.reshape(SAMPLES, STEPS, -1), [(t, True) for t in range(STEPS)]
    state, answers = present_windows(model, flat, plan, filtered=True)
    other, same = present_windows(model, flat, plan)
    for sample in range(SAMPLES):
        layers, ref = naive.respond(model, d, given[sample], TESTED + sample, naive.Filtered)
        assert answers[sample].tolist() == ref
        for k, layer in enumerate(layers):
            np.testing.assert_array_equal(membranes(model, state)[k][sample], layer.v.astype(np.float32))
    np.testing.assert_allclose(state.v, other.v, rtol=0, atol=1e-5)
    assert (state.v != other.v).any()
    assert (answers == same).all()


@pytest.mark.parametrize("name", ["float32", "normalised", "nearest"])
def test_gradients_are_the_twins(name):
    """With the largest gradients 0 before, `u = |g| + small`; the move says the sign."""
    model, given, labels = model_of(*FORMS[name]), frames(), np.array([2, 0])
    d = dynamics(model.network, model.formats, model.seed)
    training = LocalTraining(STEPS, STEPS, STEPS - 1, 1, SAMPLES)
    after, moments, losses = learn_windows(model, first_moments(model.network), given, labels, training, 2.0**-6)
    refs = [naive.lesson(model, d, given[sample], sample, labels[sample], SAMPLES)[1] for sample in range(SAMPLES)]
    at = 0
    for k, one in enumerate(model.network.maps):
        np.testing.assert_allclose(losses[0, k], sum(ref[k][0] for ref in refs), rtol=1e-6)
        gradient = sum(ref[k][1] for ref in refs)
        size = one.fan_in * one.lanes
        comp = unpacked(moments.weights[at : at + size], one)
        at += size
        np.testing.assert_allclose(comp, np.abs(gradient) + 1e-8, rtol=1e-4, atol=1e-8)
        sure = np.abs(gradient) > 1e-6
        assert sure.any()
        move = (after.weights[k].astype(float) - model.weights[k])[sure]
        assert (np.sign(move) == -np.sign(gradient[sure])).all()


def test_gradients_are_finite_differences():
    """Of the loss at the last step, the spike replaced by the surrogate's primitive `x / (slope*|x| + 1)`."""
    model, given, label = model_of(DECOLLE_FLOAT, "plain", dropout=0.0), frames(3), 1
    d, n = dynamics(model.network, DECOLLE_FLOAT, model.seed), model.network.neuron
    layers, found = naive.lesson(model, d, given[0], 0, label, 1)

    def smooth(v):
        x = v - n.threshold
        return x / (n.slope * np.abs(x) + 1)

    def loss(k, weights):
        """By float64 sums; P, R and the pools' highest membranes as they are."""
        layer, one = layers[k], layers[k].one
        p = np.pad(layer.p.astype(float), ((one.padding,) * 2, (one.padding,) * 2, (0, 0)))
        out = model.readout_biases[k].astype(float)
        spikes, winners = layer.pool()
        for feature, at in enumerate(np.ndindex(*one.pooled)):
            y, x = winners[at]
            window = p[y : y + one.kernel, x : x + one.kernel]
            v = (
                (window * weights[..., at[2]]).sum()
                + float(layer.b[at[2]])
                - float(d.rho) * float(layer.r[y, x, at[2]])
            )
            spike = spikes[at] + smooth(v) - smooth(float(layer.v[y, x, at[2]]))
            out = out + spike * model.readouts[k][feature].astype(float)
        apart = out - np.eye(len(out))[label]
        return np.where(np.abs(apart) < 1, apart**2 / 2, np.abs(apart) - 0.5).sum() / len(out)

    checked = 0
    for k, (_, gradient, _) in enumerate(found):
        for place in list(np.ndindex(*gradient.shape))[:: max(1, gradient.size // 12)]:
            weights = model.weights[k].astype(float)
            around = []
            for move in (1e-7, -1e-7):
                moved = weights.copy()
                moved[place] += move
                around.append(loss(k, moved))
            difference = (around[0] - around[1]) / 2e-7
            np.testing.assert_allclose(gradient[place], difference, rtol=2e-3, atol=1e-7)
            checked += abs(difference) > 1e-5
    assert checked > 10


def test_adamax_and_rounded_moves_are_their_equations():
    rng = np.random.default_rng(0)
    grads, highest = rng.normal(size=(2, 20)).astype(np.float32), rng.random(20).astype(np.float32)
    before, moves = highest.copy(), np.zeros(20, np.float32)
    adamax(0, 20, grads, highest, moves, np.float32(0.25), np.float32(0.95), np.float32(1e-8))
    total = grads[0] + grads[1]
    np.testing.assert_array_equal(highest, np.maximum(np.float32(0.95) * before, np.abs(total) + np.float32(1e-8)))
    np.testing.assert_array_equal(moves, -(np.float32(0.25) * (total / highest)))
    for mode, name in enumerate(("truncation", "nearest", "stochastic")):
        codes = np.arange(-10, 10).astype(np.int32)
        lost = move_codes(0, 20, codes, moves, 4.0, 8, mode, 3, np.uint64(11))
        for at in range(20):
            wide = at - 10 + float(moves[at]) * 4
            draw = naive.word(3, at, 11) / 2**32
            up = {"truncation": 0.0, "nearest": 0.5, "stochastic": 1.0}[name]
            code = np.floor(wide) + (wide - np.floor(wide) > draw) if up == 1.0 else np.floor(wide + up)
            assert codes[at] == min(max(code, -9), 8)
        assert lost >= 1


def test_rows_become_orthogonal():
    matrix = np.random.default_rng(0).normal(size=(5, 8))
    first = matrix[0] / np.linalg.norm(matrix[0])
    orthogonal_rows(matrix)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(matrix[0], first)
