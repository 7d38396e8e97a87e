"""Learning and responding: seeds, threads, parts, progress, errors; and that a small network learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, ShapeError
from qpsnn_core.kernels.threads import set_threads, threads
from qpsnn_core.local_learning import (
    STDP,
    AdaptiveLIF,
    DiehlCook,
    InhibitoryLIF,
    LocalModel,
    NeuronFormats,
    NumberFormats,
    SpikeTrains,
    dequantized,
    initialise,
    label_neurons,
    learn,
    memory_bits,
    present_spikes,
    quantized,
    respond,
)
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.quantization.fixed_point import FixedPoint

Q = FixedPoint.parse


def network(neurons=12, **changes):
    settings = {"trains": SpikeTrains(steps=100, intensity=200.0), "rule": STDP(total=10.0)}
    return DiehlCook(64, neurons, "single", 17.5, **(settings | changes))


def fixed(fraction=8, rounding="nearest", weights="Q1.8"):
    """Each combination of stored types, and of drawing or not, compiles for ten seconds; these are the twins', too."""
    increment = FixedPoint(1, max(fraction, 4))
    neurons = NeuronFormats(FixedPoint(11, fraction), FixedPoint(11, fraction), Q("Q7.0"), increment)
    return NumberFormats(Q(weights), neurons, rounding)


def images(count=40, seed=0):
    """Four classes: a bright quarter of 8x8 pixels, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    found = rng.integers(0, 30, (count, 8, 8)).astype(np.uint8)
    for image, label in zip(found, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 200
    return found, labels


def same(a, b):
    np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(a.adaptation, b.adaptation)
    assert a.seen == b.seen


@pytest.mark.parametrize("formats", [FLOAT, fixed(), fixed(8, "stochastic")], ids=str)
def test_two_parts_are_the_whole_and_seeds_count(formats):
    pixels, _ = images(30)
    model = initialise(network(), formats, 7)
    whole, responses = learn(model, pixels)
    first, _ = learn(model, pixels[:11])
    both, rest = learn(first, pixels[11:])
    same(whole, both)
    np.testing.assert_array_equal(responses.winners[11:], rest.winners)
    assert responses.counts.sum() == (responses.winners >= 0).sum() > 30
    assert (learn(initialise(network(), formats, 8), pixels)[0].weights != whole.weights).any()


def test_what_is_given_is_not_changed():
    pixels, _ = images(5)
    model = initialise(network(), FLOAT, 7)
    weights, adaptation = model.weights.copy(), model.adaptation.copy()
    learn(model, pixels)
    respond(model, pixels)
    np.testing.assert_array_equal(model.weights, weights)
    np.testing.assert_array_equal(model.adaptation, adaptation)


@pytest.mark.parametrize("formats", [FLOAT, fixed(8, "stochastic")], ids=str)
def test_responses_are_the_same_bits_on_any_number_of_threads(formats):
    pixels, _ = images(40)
    model, _ = learn(initialise(network(), formats, 7), pixels)
    before = threads()
    try:
        found = []
        for count in (1, 3):
            set_threads(count)
            found.append(respond(model, pixels))
    finally:
        set_threads(before)
    np.testing.assert_array_equal(found[0].winners, found[1].winners)
    np.testing.assert_array_equal(found[0].saturated, found[1].saturated)
    assert found[0].counts.sum() > 0


@pytest.mark.parametrize("formats", [FLOAT, fixed(), fixed(8, "stochastic")], ids=str)
def test_it_learns_four_classes(formats):
    pixels, labels = images(300)
    model, _ = learn(initialise(network(20), formats, 3), pixels)
    named = label_neurons(respond(model, pixels[:200]).counts, labels[:200], 4)
    right = named.all_activity(respond(model, pixels[200:]).counts) == labels[200:]
    assert right.mean() > 0.9


def test_weights_are_scaled_after_a_sample_and_stay_on_their_grid():
    pixels, _ = images(20)
    model, found = learn(initialise(network(), FLOAT, 7), pixels)
    np.testing.assert_allclose(model.weights.sum(0), 10.0, rtol=1e-5)
    coded, _ = learn(initialise(network(), fixed(), 7), pixels)
    assert coded.weights.dtype == np.int16
    assert coded.weights.min() >= 0
    assert abs(coded.weights.sum(0) / 256 - 10).max() < 64 / 512
    assert found.saturated.sum() == 0


def test_progress_is_told_by_parts():
    told = []
    pixels, _ = images(10)
    learn(initialise(network(), FLOAT, 7), np.concatenate([pixels] * 26), told.append)
    assert [(one.stage, one.batch, one.batches) for one in told] == [("learn", 1, 2), ("learn", 2, 2)]


def test_post_training_quantization_and_back():
    pixels, _ = images(20)
    model, _ = learn(initialise(network(), FLOAT, 7), pixels)
    coded = quantized(model, fixed())
    back = dequantized(coded)
    assert abs(back.weights - model.weights).max() <= 2**-9
    assert abs(back.adaptation - model.adaptation).max() <= 2**-9 + 1e-6
    same(quantized(back, coded.formats), coded)


def test_memory_is_the_papers():
    """Table II: 3.987, 3.94 and 3.194 times less than float32."""
    net = DiehlCook(784, 400, "single", 17.5)

    def formats(weights, fraction):
        neurons = None
        if fraction is not None:
            form = FixedPoint(11, fraction)
            neurons = NeuronFormats(form, form, Q("Q7.0"), Q("Q1.6"))
        return NumberFormats(Q(weights), neurons, "nearest")

    whole = memory_bits(net, FLOAT)
    ratios = [whole / memory_bits(net, formats(*one)) for one in (("Q1.6", 6), ("Q1.6", None), ("Q1.8", 8))]
    assert [round(ratio, 3) for ratio in ratios] == [3.987, 3.94, 3.194]


def test_membranes_do_not_fit_the_thresholds_type():
    """A threshold of 15 bits, a membrane of 20: as with a threshold of 20, which nothing leaves."""
    pixels, _ = images(20)
    found = []
    for threshold in ("Q6.8", "Q11.8"):
        forms = NeuronFormats(Q("Q11.8"), Q(threshold), Q("Q7.0"), Q("Q1.6"))
        net = replace(network(), inhibition=120.0)
        model = initialise(net, NumberFormats(Q("Q1.6"), forms, "nearest"), 1)
        found.append(learn(model, pixels, observe=True))
    same(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1].winners, found[1][1].winners)
    assert found[0][1].seen[0] < -(2**15)


MODEL = initialise(network(), FLOAT, 1)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: learn(MODEL, np.zeros((2, 64))), DataError, "images: expected an array of uint8"),
        (lambda: learn(MODEL, np.zeros((2, 63), np.uint8)), ShapeError, r"samples of 64 numbers.*got \[2, 63\]"),
        (lambda: learn(MODEL, np.zeros((0, 64), np.uint8)), ShapeError, "images: expected samples of 64"),
        (lambda: learn("model", np.zeros((2, 64), np.uint8)), ArgumentError, "model: expected a LocalModel"),
        (
            lambda: learn(initialise(network(), fixed(6, "truncation"), 1), images(2)[0]),
            ConfigError,
            "AdaptiveLIF.theta_tau: expected None with truncation",
        ),
        (lambda: initialise(network(), FLOAT, 2**32), ConfigError, "seed"),
        (lambda: initialise(network(), FLOAT, -1), ConfigError, "seed"),
        (lambda: quantized(quantized(MODEL, fixed()), fixed()), ConfigError, "model.formats: expected float32"),
        (lambda: NumberFormats(Q("Q1.6"), None, None), ConfigError, "NumberFormats.rounding"),
        (lambda: NumberFormats(None, None, "nearest"), ConfigError, "NumberFormats.rounding"),
        (lambda: NumberFormats("Q1.6", None, "nearest"), ArgumentError, "NumberFormats.weights"),
        (lambda: initialise(network(), fixed(6, "nearest", "Q0.7"), 1), ConfigError, "STDP.high: expected a number"),
        (lambda: initialise(network(rule=STDP(mu=0.3)), FLOAT, 1), ConfigError, "STDP.mu: expected a multiple"),
        (lambda: network(inhibitory=InhibitoryLIF()), ConfigError, "DiehlCook.inhibitory"),
        (lambda: DiehlCook(64, 4, "three", 17.5), ConfigError, "DiehlCook.inhibitory"),
        (lambda: DiehlCook(64, 4, "two", 17.5), ConfigError, "DiehlCook.form: expected one of single, three"),
        (lambda: network(rule=STDP(total=78.4)), ConfigError, "STDP.total: expected at most 64, 64 inputs"),
        (lambda: SpikeTrains("poisson"), ConfigError, "SpikeTrains.code"),
        (lambda: network(trains=SpikeTrains("bernoulli", 2000.0)), ConfigError, "SpikeTrains.intensity"),
        (lambda: AdaptiveLIF(theta_tau=-1.0), ConfigError, "AdaptiveLIF.theta_tau"),
        (lambda: AdaptiveLIF(threshold=-70.0), ConfigError, "AdaptiveLIF.threshold"),
        (
            lambda: LocalModel(network(), FLOAT, np.zeros((64, 12)), np.zeros(12, np.float32), 1),
            DataError,
            "LocalModel.weights: expected an array of float32",
        ),
        (
            lambda: LocalModel(network(), FLOAT, np.zeros((64, 11), np.float32), np.zeros(12, np.float32), 1),
            ShapeError,
            r"LocalModel.weights: expected \[64, 12\], got \[64, 11\]",
        ),
        (
            lambda: present_spikes(
                MODEL, np.zeros((100, 64), np.uint8), learning=False, winners=np.zeros(100, np.int32)
            ),
            DataError,
            "winners: expected neurons that reach their thresholds, got 100 that did not",
        ),
        (lambda: present_spikes(MODEL, np.zeros((99, 64), np.uint8), learning=False), ShapeError, "spikes"),
        (lambda: present_spikes(MODEL, np.full((100, 64), 2, np.uint8), learning=False), DataError, "spikes"),
        (
            lambda: present_spikes(
                MODEL, np.zeros((100, 64), np.uint8), learning=False, winners=np.full(100, 12, np.int32)
            ),
            DataError,
            "winners: expected -1 to 11",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_membrane_that_leaves_its_range_is_reported():
    net = DiehlCook(64, 12, "single", 500.0, trains=SpikeTrains(steps=100, intensity=200.0), rule=STDP(total=10.0))
    neurons = NeuronFormats(Q("Q8.6"), Q("Q8.6"), Q("Q7.0"), Q("Q1.6"))
    _, found = learn(initialise(net, NumberFormats(Q("Q1.6"), neurons, "nearest"), 1), images(10)[0])
    assert found.saturated[:, 0].sum() > 0
    assert found.saturated[:, 1:].sum() == 0
