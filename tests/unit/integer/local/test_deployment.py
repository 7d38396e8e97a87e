"""Deployed networks of local learning: the exact simulator against training's kernels, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from deployed import (
    STEPS,
    TRAINING,
    decolle_model,
    decolle_network,
    frames,
    named,
    spikes,
    stdp_model,
    stdp_network,
)

from naive import decolle as naive
from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, LoweringError, ShapeError
from qpsnn_core.integer.local.backends import differences, local_backend
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.integer.local.simulate import learn_local, simulate_local
from qpsnn_core.local_learning import dequantized, learn, present_spikes, quantized, respond
from qpsnn_core.local_learning.decolle_model import dequantized_decolle
from qpsnn_core.local_learning.decolle_run import respond_windows
from qpsnn_core.local_learning.deployment import lower_decolle, lower_local, spikes_of
from qpsnn_core.local_learning.formats import NumberFormats


def images(count=5):
    return np.random.default_rng(4).integers(0, 256, (count, 5, 6)).astype(np.uint8)


@pytest.mark.parametrize("form", ["single", "three"])
def test_images_as_spikes_give_what_the_trained_network_does(form):
    model = stdp_model(form)
    found = simulate_local(lower_local(model), spikes_of(model, images()), record="all")
    wanted = respond(model, images())
    np.testing.assert_array_equal(found.answers, wanted.counts)
    np.testing.assert_array_equal(
        found.variables["spikes"].argmax(2)[wanted.winners >= 0], wanted.winners[wanted.winners >= 0]
    )
    np.testing.assert_array_equal(found.variables["counts"][:, -1], wanted.counts)
    assert found.answers.sum() > 5
    assert set(found.variables) == {one.name for one in lower_local(model).variables}
    for one in lower_local(model).variables:
        array = found.variables[one.name]
        assert array.shape == (5, STEPS, *one.shape)
        assert one.low <= array.min() <= array.max() <= one.high


def test_stdp_goes_on_after_deployment_with_the_bits_of_training():
    model = stdp_model()
    half, _ = learn(model, images()[:2])
    whole, responses = learn(half, images()[2:])
    backend = local_backend("exact")
    done = backend.learn(lower_local(half), spikes_of(model, images()[2:], half.seen), "all", half.seen)
    np.testing.assert_array_equal(done.network.weights, whole.weights)
    np.testing.assert_array_equal(done.network.thresholds, whole.adaptation)
    np.testing.assert_array_equal(done.run.answers, responses.counts)
    np.testing.assert_array_equal(done.saturated, responses.saturated.sum(0))
    assert (whole.weights != half.weights).any()
    assert (done.run.variables["thresholds"][-1, -1] == whole.adaptation).all()
    again = learn_local(lower_local(half), spikes_of(model, images()[2:], half.seen + 1), first=half.seen)
    assert (again.network.weights != whole.weights).any()


@pytest.mark.parametrize(("dynamics", "rounding"), [("normalised", "nearest"), ("plain", "stochastic")])
def test_a_layers_variables_are_the_twins(dynamics, rounding):
    model, network = decolle_model(dynamics, rounding), decolle_network(dynamics, rounding)
    samples = frames(2)
    found = simulate_local(network, samples, record="all", first=11)
    for n, sample in enumerate(samples):
        for t in range(network.steps):
            layers, _ = naive.respond(model, network.dynamics, sample[: t + 1], 11 + n)
            for k, layer in enumerate(layers):
                state = {"q": layer.q, "p": layer.p, "r": layer.r, "membranes": layer.v, "spikes": layer.s}
                for name, array in state.items():
                    np.testing.assert_array_equal(found.variables[f"layer{k}.{name}"][n, t], array.astype(int))
    wanted = respond_windows(model, samples, TRAINING).votes(3)[:, -1]
    assert (found.answers.argmax(1) == wanted).all()
    assert (found.answers.sum(1) == network.steps - network.burnin).all()
    assert (found.variables["votes"][:, -1] == found.answers).all()


def test_readouts_are_rounded_to_sixteen_bits():
    model, network = decolle_model(), decolle_network()
    step = 2.0**-network.readout_fraction
    assert 2**14 <= abs(network.readout).max() < 2**15
    assert abs(network.readout * step - model.readouts[-1]).max() <= step / 2
    assert abs(network.readout_bias * step - model.readout_biases[-1]).max() <= step / 2


def test_the_class_is_that_of_all_activity():
    network = stdp_network()
    counts = np.random.default_rng(0).integers(0, 4, (40, 7))
    counts[0] = 0
    assert [network.class_of(one) for one in counts] == named().all_activity(counts).tolist()
    assert lower_local(stdp_model()).class_of(counts[1]) == -1


def test_what_cannot_be_deployed_is_refused_by_name():
    model = stdp_model()
    both = model.formats
    real = dequantized(model)
    with pytest.raises(LoweringError, match=r"formats\.weights: expected weights in fixed point"):
        lower_local(quantized(real, NumberFormats(None, both.neurons, "nearest")))
    with pytest.raises(LoweringError, match=r"formats\.neurons: expected neurons in fixed point"):
        lower_local(quantized(real, NumberFormats(both.weights, None, "nearest")))
    with pytest.raises(LoweringError, match="formats: expected weights and neurons in fixed point"):
        lower_decolle(dequantized_decolle(decolle_model()), TRAINING)
    with pytest.raises(LoweringError, match=r"train\.burnin_form"):
        lower_decolle(decolle_model(), replace(TRAINING, burnin_form="public"))
    leaking = replace(model.network, neuron=replace(model.network.neuron, theta_tau=1e3))
    truncated = quantized(replace(real, network=leaking), NumberFormats(both.weights, both.neurons, "truncation"))
    with pytest.raises(ConfigError, match=r"AdaptiveLIF\.theta_tau"):
        learn_local(lower_local(truncated), spikes())
    with pytest.raises(ArgumentError, match="network"):
        learn_local(decolle_network(), frames())


def test_samples_are_checked():
    network = stdp_network()
    with pytest.raises(ShapeError, match=r"samples: expected \[samples, 25, 30\]"):
        simulate_local(network, spikes()[:, :-1])
    with pytest.raises(DataError, match="0 to 1, got 2"):
        simulate_local(network, 2 * spikes())
    with pytest.raises(DataError, match="uint8"):
        simulate_local(network, spikes().astype(float))
    with pytest.raises(ConfigError, match="record"):
        simulate_local(network, spikes(), record="spikes")
    with pytest.raises(ConfigError, match="first"):
        simulate_local(network, spikes(), first=2**32 - 1)
    with pytest.raises(ConfigError, match="one of exact, lava, c, got 'cc'"):
        local_backend("cc")


def test_the_digest_tells_networks_apart_and_draws_depend_on_the_number():
    network = stdp_network()
    assert network.digest == stdp_network().digest
    assert network.digest != replace(network, thresholds=network.thresholds + 1).digest
    assert network.digest != stdp_network(rounding="truncation").digest
    assert decolle_network().digest == decolle_network().digest != decolle_network("plain").digest
    one = simulate_local(network, spikes(), record="all")
    other = simulate_local(network, spikes(), record="all", first=TESTED + 9)
    assert differences(other, one)["spikes"] > 0
    assert set(differences(one, one).values()) == {0}


def test_a_recorded_sample_is_that_of_training():
    model = stdp_model("three", "stochastic")
    found = simulate_local(stdp_network("three", "stochastic"), spikes(), first=7)
    for n, one in enumerate(spikes()):
        assert (present_spikes(model, one, learning=False, sample=7 + n).counts == found.answers[n]).all()
