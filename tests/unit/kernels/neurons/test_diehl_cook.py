"""Whole samples of Diehl & Cook's network against loops over steps, neurons and synapses, in float32 and integers."""

from __future__ import annotations

import numpy as np
import pytest

from naive import diehl_cook as naive
from qpsnn_core.kernels.neurons.diehl_cook import history_for, present_one
from qpsnn_core.local_learning import (
    STDP,
    AdaptiveLIF,
    DiehlCook,
    InhibitoryLIF,
    LocalModel,
    NeuronFormats,
    NumberFormats,
    SpikeTrains,
    quantized,
)
from qpsnn_core.local_learning.arithmetic import arithmetic
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.quantization.fixed_point import FixedPoint

INPUTS, NEURONS, STEPS = 30, 7, 60


def network(form="single", mu=1.0, theta_tau=1e3, inhibition=17.5):
    inhibitory = InhibitoryLIF() if form == "three" else None
    neuron = AdaptiveLIF(theta_tau=theta_tau, refractory=2)
    rule = STDP(pre=0.02, post=0.2, mu=mu, total=12.0)
    return DiehlCook(
        INPUTS,
        NEURONS,
        form,
        inhibition,
        neuron=neuron,
        inhibitory=inhibitory,
        trains=SpikeTrains(steps=STEPS),
        rule=rule,
    )


def formats(weights, neurons, rounding):
    q = FixedPoint.parse
    fraction = int(neurons.rpartition(".")[2]) if neurons else 0
    increment = FixedPoint(1, max(fraction, 5))
    made = NeuronFormats(q(neurons), FixedPoint(8, fraction), FixedPoint(7, 1), increment) if neurons else None
    return NumberFormats(q(weights) if weights else None, made, rounding)


# Stored types, and whether bits are drawn, make a variant each that compiles for ten seconds: one of each kind.
FORMS = {
    "float32": FLOAT,
    "weights": formats("Q1.6", None, "nearest"),
    "neurons": formats(None, "Q11.5", "nearest"),
    "both": formats("Q1.8", "Q11.6", "nearest"),
    "coarse": formats("Q1.4", "Q7.4", "nearest"),
    "stochastic": formats("Q1.8", "Q11.6", "stochastic"),
    "fine": formats("Q1.16", "Q11.16", "stochastic"),
    "truncation": formats("Q1.8", "Q11.6", "truncation"),
}


def model_of(net, forms, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 0.7, (INPUTS, NEURONS)).astype(np.float32)
    theta = rng.uniform(0, 1, NEURONS).astype(np.float32)
    model = LocalModel(net, FLOAT, weights, theta, 5)
    return model if forms == FLOAT else quantized(model, forms)


def both(model, learning, given=None, seed=3, sample=17, kept=0):
    """(twin, kernel), each: winners, weights, adaptations, saturations; with `kept` steps, also of all states."""
    rng = np.random.default_rng(seed)
    spikes = [np.flatnonzero(rng.random(INPUTS) < 0.12).astype(np.int32) for _ in range(STEPS)]
    layers, like = arithmetic(model.network, model.formats, model.seed)
    states, listed = [], [one.tolist() for one in spikes]
    ref = naive.sample(listed, given, model.weights, model.adaptation, layers, learning, sample, states)
    weights, adaptation = model.weights.copy(), model.adaptation.copy()
    first = np.cumsum([0, *map(len, spikes)]).astype(np.int32)
    winners, counts, lost = np.zeros(STEPS, np.int32), np.zeros(NEURONS, np.int64), np.zeros(3, np.int64)
    chosen = np.zeros(0, np.int32) if given is None else given
    events, seen = np.concatenate(spikes), np.array([np.inf, -np.inf, np.inf, -np.inf])
    arrays = (weights, adaptation, layers, like)
    history = history_for(kept, adaptation)
    strange = present_one(first, events, chosen, *arrays, learning, sample, winners, counts, seen, lost, history)
    if kept:
        for k, one in enumerate(history):
            np.testing.assert_array_equal(one, np.array([state[k] for state in states]))
    assert strange == 0
    assert counts.tolist() == [int((winners == j).sum()) for j in range(NEURONS)]
    return ref, (winners.tolist(), weights, adaptation, lost.tolist())


def check(ref, comp):
    assert comp[0] == ref[0]
    np.testing.assert_array_equal(comp[1], ref[1])
    np.testing.assert_array_equal(comp[2], ref[2])
    assert comp[3] == ref[3]
    assert sum(winner >= 0 for winner in ref[0]) >= 3


ONCE = ("weights", "neurons", "coarse", "fine")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.once if name in ONCE else ()) for name in FORMS])
def test_learning_is_the_twins(name):
    theta_tau = None if name == "truncation" else 1e3
    model = model_of(network(theta_tau=theta_tau), FORMS[name], 1)
    ref, comp = both(model, True)
    check(ref, comp)
    assert (comp[1] != model.weights).any()
    assert (comp[2] != model.adaptation).any()


@pytest.mark.parametrize("name", ["float32", "both", "stochastic"])
def test_the_three_layers_are_the_twins_in_every_step(name):
    check(*both(model_of(network("three"), FORMS[name], 2), True, kept=STEPS))


@pytest.mark.parametrize("name", ["float32", "both", "truncation"])
def test_a_network_that_does_not_learn_changes_nothing(name):
    model = model_of(network(), FORMS[name], 4)
    ref, comp = both(model, False)
    check(ref, comp)
    np.testing.assert_array_equal(comp[1], model.weights)
    np.testing.assert_array_equal(comp[2], model.adaptation)


@pytest.mark.parametrize("mu", [0.0, 0.25, 0.5, 1.5, 2.0])
@pytest.mark.parametrize("name", ["float32", "both"])
def test_powers_of_the_weight_are_the_twins(name, mu):
    check(*both(model_of(network(mu=mu), FORMS[name], 6), True))


def test_what_leaves_its_range_is_counted():
    net = network(inhibition=120.0)
    ref, comp = both(model_of(net, FORMS["coarse"], 1), True)
    check(ref, comp)
    assert comp[3][0] > 0


def test_given_winners_spike():
    model = model_of(network(), FLOAT, 1)
    winners = np.array(both(model, True)[1][0], np.int32)
    check(*both(model, True, winners, sample=99))


def test_another_number_of_the_sample_draws_others():
    """A negative control: draws do depend on the counter."""
    model = model_of(network(inhibition=1.0), FLOAT, 1)
    assert both(model, True, sample=1)[1][0] != both(model, True, sample=2)[1][0]


def test_a_leak_that_rounding_undoes_is_left_out():
    for fraction, name in ((6, "Q11.6"), (16, "Q11.16")):
        net = network(theta_tau=1e7)
        layers, _ = arithmetic(net, formats("Q1.6", name, "nearest"), 0)
        assert layers.excitatory.adapts == (fraction == 16)
        c, top = layers.excitatory, 2 ** (8 + fraction) - 1
        rest, leak = int(c.adaptation_rest), int(c.adaptation_leak)
        wide = (top - rest) * leak + (rest << c.adaptation_shift)
        undone = (wide + (1 << (c.adaptation_shift - 1))) >> c.adaptation_shift == top
        assert undone or layers.excitatory.adapts
