"""Whole samples of Diehl & Cook's original network against loops, in float32 and integers; and that it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from naive import diehl_cook_original as naive
from qpsnn_core.common.errors import ConfigError, DataError, LoweringError
from qpsnn_core.local_learning import (
    STDP,
    AdaptiveLIF,
    Conductances,
    DiehlCook,
    InhibitoryLIF,
    LocalModel,
    NeuronFormats,
    NumberFormats,
    SpikeTrains,
    initialise,
    label_neurons,
    learn,
    memory_bits,
    present_spikes,
    quantized,
    respond,
)
from qpsnn_core.local_learning.arithmetic import arithmetic
from qpsnn_core.local_learning.deployment import lower_local
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.local_learning.plain_form import from_plain, to_plain
from qpsnn_core.quantization.fixed_point import FixedPoint

INPUTS, NEURONS, STEPS = 20, 5, 60
Q = FixedPoint.parse


def network(**changes):
    settings = {
        "neuron": AdaptiveLIF(threshold=-72.0, theta=20.0, theta_tau=2e3, refractory=4),
        "inhibitory": InhibitoryLIF(refractory=4, excitation=10.4),
        "trains": SpikeTrains(steps=STEPS, intensity=200.0),
        "rule": STDP(pre=0.02, post=0.2, mu=0.0, total=12.0, slow=40.0),
        "conductances": Conductances(),
        "dt": 0.5,
    }
    return DiehlCook(INPUTS, NEURONS, "three", 3.0, **(settings | changes))


def formats(rounding, weights="Q1.8"):
    neurons = NeuronFormats(Q("Q7.8"), Q("Q7.8"), Q("Q7.1"), Q("Q1.8"), Q("Q5.8"))
    return NumberFormats(Q(weights) if weights else None, neurons, rounding)


FORMS = {"float32": FLOAT, "nearest": formats("nearest"), "stochastic": formats("stochastic")}


def model_of(form):
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.1, 0.9, (INPUTS, NEURONS)).astype(np.float32)
    model = LocalModel(network(), FLOAT, weights, np.full(NEURONS, 20, np.float32), 5)
    return model if form == FLOAT else quantized(model, form)


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_a_sample_is_the_twins(name, learning):
    model = model_of(FORMS[name])
    spikes = (np.random.default_rng(3).random((STEPS, INPUTS)) < 0.4).astype(np.uint8)
    layers, _ = arithmetic(model.network, model.formats, model.seed)
    events = [np.flatnonzero(one).tolist() for one in spikes]
    history, weights, adaptation, lost = naive.sample(events, model.weights, model.adaptation, layers, learning, 17)
    found = present_spikes(model, spikes, learning=learning, sample=17)
    assert found.winners.tolist() == [one[0] if one else -1 for one in history]
    assert found.counts.tolist() == [sum(j in one for one in history) for j in range(NEURONS)]
    np.testing.assert_array_equal(found.model.weights, weights)
    np.testing.assert_array_equal(found.model.adaptation, adaptation)
    assert found.saturated.tolist() == lost
    assert max(map(len, history)) > 1  # several spike at once
    assert max(found.counts) > 1  # triplets need two
    assert (weights != model.weights).any() == learning


def bars(count, seed=0):
    """Two classes: the upper or the lower half of 20 pixels is bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 40, (count, 4, 5)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 180
    return images, labels


@pytest.mark.parametrize("name", ["float32", "nearest"])
def test_it_learns_two_classes(name):
    images, labels = bars(120)
    trains = SpikeTrains(steps=200, intensity=300.0)
    model = initialise(network(trains=trains, rule=STDP(pre=1e-3, post=0.05, mu=0.0, total=8.0, slow=40.0)), FLOAT, 3)
    assert (model.adaptation == 20).all()
    model, _ = learn(model if name == "float32" else quantized(model, FORMS[name]), images)
    named = label_neurons(respond(model, images).counts, labels, 2)
    test, truth = bars(60, seed=9)
    assert (named.all_activity(respond(model, test).counts) == truth).mean() > 0.9


def test_a_sample_with_few_spikes_is_shown_again_and_brighter():
    images, _ = bars(6)
    dim = initialise(network(trains=SpikeTrains(steps=STEPS, intensity=20.0)), FLOAT, 3)
    again = replace(dim.network.trains, least=5, brighter=100.0, times=8)
    shown = replace(dim, network=replace(dim.network, trains=again))
    assert respond(dim, images).counts.sum(1).max() < 5
    assert respond(shown, images).counts.sum(1).min() >= 5
    never = replace(dim, network=replace(dim.network, trains=replace(again, times=1)))
    np.testing.assert_array_equal(respond(never, images).counts, respond(dim, images).counts)


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"DiehlCook\.form: expected 'three'"):
        replace(network(), form="single", inhibitory=None)
    with pytest.raises(ConfigError, match=r"STDP\.slow: expected ms"):
        network(rule=STDP(total=None))
    with pytest.raises(ConfigError, match=r"STDP\.slow: expected None"):
        network(conductances=None)
    with pytest.raises(ConfigError, match=r"DiehlCook\.dt: expected at most 1 ms"):
        network(dt=2.0)
    with pytest.raises(ConfigError, match=r"SpikeTrains\.least"):
        network(conductances=None, rule=STDP(total=None), trains=SpikeTrains(least=5))
    with pytest.raises(ConfigError, match=r"SpikeTrains\.times"):
        SpikeTrains(times=2)
    with pytest.raises(ConfigError, match=r"Conductances\.inhibitory"):
        Conductances(inhibitory=1.0)
    neurons = FORMS["nearest"].neurons
    with pytest.raises(ConfigError, match=r"NeuronFormats\.conductance: expected a format"):
        initialise(network(), NumberFormats(Q("Q1.8"), replace(neurons, conductance=None), "nearest"), 1)
    plain = network(conductances=None, rule=STDP(total=None), neuron=AdaptiveLIF())
    with pytest.raises(ConfigError, match=r"NeuronFormats\.conductance: expected None"):
        initialise(plain, FORMS["nearest"], 1)
    fine = replace(neurons, membrane=Q("Q7.22"), conductance=Q("Q5.22"))
    with pytest.raises(ConfigError, match="bits fewer"):
        initialise(network(), NumberFormats(Q("Q1.8"), fine, "nearest"), 1)
    with pytest.raises(LoweringError, match=r"DiehlCook\.conductances"):
        lower_local(model_of(FORMS["nearest"]))
    with pytest.raises(DataError, match="winners"):
        present_spikes(
            model_of(FLOAT), np.zeros((STEPS, INPUTS), np.uint8), learning=False, winners=np.zeros(STEPS, int)
        )


def test_it_is_written_and_read_and_other_networks_are_written_as_before():
    net = network()
    assert from_plain(to_plain(net), DiehlCook) == net
    assert from_plain(to_plain(FORMS["nearest"]), NumberFormats) == FORMS["nearest"]
    plain = to_plain(DiehlCook(100, 2, "single", 17.5))
    assert "conductances" not in plain
    assert not {"theta", "slow", "least"} & {*plain["neuron"], *plain["rule"], *plain["trains"]}
    assert memory_bits(net, FORMS["nearest"]) == INPUTS * NEURONS * 10 + NEURONS * (16 + 16 + 9 + 10 + 2 * 14)
    assert memory_bits(net, FLOAT) == INPUTS * NEURONS * 32 + NEURONS * 6 * 32
