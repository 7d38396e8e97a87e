"""DECOLLE networks: what they learn, threads, windows, burn-in, LSUV, memory, files, and errors."""

from __future__ import annotations

import math
from dataclasses import replace

import h5py
import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, ShapeError
from qpsnn_core.integer.local.decolle_maps import packed, unpacked
from qpsnn_core.kernels.threads import set_threads, threads
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_file import DecolleCheckpoint, load_decolle, save_decolle
from qpsnn_core.local_learning.decolle_formats import (
    DECOLLE_FLOAT,
    DecolleFormats,
    LocalNeuronFormats,
    decolle_memory_bits,
)
from qpsnn_core.local_learning.decolle_lsuv import lsuv, membranes
from qpsnn_core.local_learning.decolle_model import (
    dequantized_decolle,
    initialise_decolle,
    quantized_decolle,
)
from qpsnn_core.local_learning.decolle_run import first_moments, learn_windows, present_windows, respond_windows
from qpsnn_core.quantization.fixed_point import FixedPoint

Q = FixedPoint.parse
NEURON = LocalNeuron("normalised", 0.0, 0.9, 0.8)
NETWORK = Decolle((6, 6, 2), 4, (LocalConv(8, 3, 1, 2), LocalDense(20)), NEURON)
TRAINING = LocalTraining(20, 20, 4, 1, 12)
SHARE = Q("Q0.12")
FIXED = DecolleFormats(
    Q("Q4.10"),
    LocalNeuronFormats(Q("Q7.10"), Q("Q2.12"), Q("Q2.12"), Q("Q1.12"), SHARE, SHARE, SHARE, Q("Q1.12")),
    "nearest",
)


def data(count=24, seed=0):
    """Four classes: events in a quarter of 6x6 places, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    frames = (rng.random((count, 20, 6, 6, 2)) < 0.03).astype(np.uint8)
    for one, label in zip(frames, labels, strict=True):
        y, x = 3 * (label // 2), 3 * (label % 2)
        one[:, y : y + 3, x : x + 3] += (rng.random((20, 3, 3, 2)) < 0.3).astype(np.uint8)
    return frames, labels


def learnt(model, frames, labels, rounds=1, rate=4e-3):
    moments, losses = first_moments(model.network), []
    for _ in range(rounds):
        for at in range(0, len(frames), 12):
            model, moments, found = learn_windows(
                model, moments, frames[at : at + 12], labels[at : at + 12], TRAINING, rate
            )
            losses.append(found)
    return model, moments, losses


@pytest.mark.slow
@pytest.mark.parametrize("form", [DECOLLE_FLOAT, FIXED], ids=str)
def test_it_learns_four_classes_and_quantizes_after(form):
    frames, labels = data(48)
    model = lsuv(initialise_decolle(NETWORK, 1), frames[:12], TRAINING)
    model, _, losses = learnt(quantized_decolle(model, form), frames, labels, rounds=6)
    assert losses[0].shape == (16, 2)
    assert losses[-1].mean() < 0.8 * losses[0].mean()
    test, truth = data(40, seed=9)
    found = respond_windows(model, test, TRAINING)
    assert found.steps.shape == (40, 16, 2)
    assert (found.votes(4)[:, -1] == truth).mean() > 0.9
    assert found.lost.sum() == 0
    if form == DECOLLE_FLOAT:
        small = respond_windows(quantized_decolle(model, FIXED), test, TRAINING, observe=True)
        assert (small.votes(4)[:, -1] == truth).mean() > 0.85
        sparse = respond_windows(model, test, TRAINING, filtered=True)
        assert (sparse.votes(4) == found.votes(4)).mean() > 0.95
        assert 0 <= small.seen[2] < small.seen[3] <= 2**12


@pytest.mark.slow
@pytest.mark.parametrize("form", [DECOLLE_FLOAT, replace(FIXED, rounding="stochastic")], ids=str)
def test_the_same_bits_on_any_number_of_threads_and_from_parts(form):
    frames, labels = data(12)
    model = quantized_decolle(initialise_decolle(NETWORK, 1), form)
    before, found = threads(), []
    try:
        for count in (1, 3):
            set_threads(count)
            found.append((*learnt(model, frames, labels)[:2], respond_windows(model, frames, TRAINING).steps))
    finally:
        set_threads(before)
    for k in range(2):
        np.testing.assert_array_equal(found[0][0].weights[k], found[1][0].weights[k])
        assert (found[0][0].weights[k] != model.weights[k]).any()
    np.testing.assert_array_equal(found[0][1].weights, found[1][1].weights)
    np.testing.assert_array_equal(found[0][2], found[1][2])
    assert (found[0][0].seen, found[0][1].updates) == (12, 16)
    other = replace(model, seed=2)
    assert (learnt(other, frames, labels)[0].weights[0] != found[0][0].weights[0]).any()


def test_burn_in_is_run_through_or_leapt_over():
    assert TRAINING.plan(7) == [(0, False), (1, False), (2, False), (3, False), (4, True), (5, True), (6, True)]
    public = replace(TRAINING, burnin_form="public")
    assert public.plan(6) == [(0, False), (4, True), (5, True)]
    assert replace(public, burnin=0).plan(2) == [(0, True), (1, True)]


def test_rates_fall_from_an_epoch_on():
    training = replace(TRAINING, lr=0.5, every=3, factor=5.0)
    assert [training.rate(epoch) for epoch in (0, 2, 3, 5, 6)] == [0.5, 0.5, 0.1, 0.1, 0.05]


def test_lsuv_gives_unit_variance_at_the_last_step():
    frames, _ = data(12)
    model = lsuv(initialise_decolle(NETWORK, 1), frames, TRAINING)
    plan = TRAINING.plan(20)
    for values in membranes(model, present_windows(model, frames.reshape(12, 20, -1), plan)[0]):
        assert abs(values.astype(float).var(ddof=1) - 1) <= 0.1
        assert abs(values.astype(float).mean()) <= 0.2 + 1e-6


def test_networks_begin_orthogonal_with_bounded_readouts():
    model = initialise_decolle(NETWORK, 3)
    for one, weights, readouts in zip(NETWORK.maps, model.weights, model.readouts, strict=True):
        matrix = weights.reshape(one.fan_in, -1).astype(float)
        square = matrix.T @ matrix if one.fan_in >= one.outputs[2] else matrix @ matrix.T
        np.testing.assert_allclose(square, np.eye(len(square)), atol=1e-5)
        bound = 0.5 / math.sqrt(one.features)
        assert 0.9 * bound < np.abs(readouts).max() <= bound
        np.testing.assert_array_equal(unpacked(packed(weights, one), one), weights)
    assert (initialise_decolle(NETWORK, 4).weights[0] != model.weights[0]).any()


def test_memory_is_counted_by_parameter():
    """Weights and biases; P, Q of inputs; R, V of neurons; four constants a layer."""
    weights, inputs, neurons = (18 + 1) * 8 + (72 + 1) * 20, 72 + 72, 288 + 20
    assert decolle_memory_bits(NETWORK, DECOLLE_FLOAT) == 32 * (weights + 2 * inputs + 2 * neurons + 2 * 4)
    found = decolle_memory_bits(NETWORK, FIXED)
    assert found == 15 * weights + 30 * inputs + (14 + 18) * neurons + 2 * (3 * 13 + 14)


def test_files_hold_all_of_it(tmp_path):
    frames, labels = data(12)
    model, moments, _ = learnt(initialise_decolle(NETWORK, 1), frames, labels)
    saved = DecolleCheckpoint(model, moments, ((0.5, 0.25),), {"train": {"lr": 1.0}}, {"minutes": 2})
    save_decolle(tmp_path / "a.h5", saved)
    found = load_decolle(tmp_path / "a.h5")
    assert (found.model.network, found.model.formats, found.model.seen) == (NETWORK, DECOLLE_FLOAT, 12)
    for name in ("weights", "biases", "readouts", "readout_biases"):
        for one, other in zip(getattr(found.model, name), getattr(model, name), strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
    np.testing.assert_array_equal(found.moments.weights, moments.weights)
    assert (found.moments.updates, found.losses, found.recipe) == (16, saved.losses, saved.recipe)
    coded = quantized_decolle(lsuv(model, frames, replace(TRAINING, lsuv=0)), FIXED)
    save_decolle(tmp_path / "b.h5", DecolleCheckpoint(coded))
    again = load_decolle(tmp_path / "b.h5")
    assert (again.moments, again.model.formats) == (None, FIXED)
    np.testing.assert_array_equal(again.model.weights[0], coded.weights[0], strict=True)
    back = dequantized_decolle(again.model)
    assert max(abs(x - y).max() for x, y in zip(back.weights, model.weights, strict=True)) <= 2**-11
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["arrays/weights.0"][0, 0, 0, 0] += 1
    with pytest.raises(FormatError, match="checksum"):
        load_decolle(tmp_path / "b.h5")


MODEL = initialise_decolle(NETWORK, 1)
LARGE = replace(MODEL, weights=tuple(99 * one for one in MODEL.weights))
FRAMES = np.zeros((2, 20, 6, 6, 2), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: respond_windows(MODEL, FRAMES[0], TRAINING), DataError, "windows: expected an array of uint8"),
        (
            lambda: respond_windows(MODEL, FRAMES[:, :, :5], TRAINING),
            ShapeError,
            r"windows: expected frames \[6, 6, 2\]",
        ),
        (lambda: respond_windows(MODEL, FRAMES, TRAINING, filtered=True, observe=True), ConfigError, "filtered"),
        (
            lambda: learn_windows(MODEL, first_moments(NETWORK), FRAMES, np.array([0, 4]), TRAINING, 0.1),
            DataError,
            "labels: expected 0 to 3, got 4",
        ),
        (lambda: Decolle((6, 6, 2), 4, (LocalConv(8, 7),), NEURON), ShapeError, r"layers\[0\].kernel: .* at most 6"),
        (lambda: Decolle((6, 6, 2), 4, (LocalConv(8, 3, 0, 5),), NEURON), ShapeError, r"layers\[0\].pool: .* 4"),
        (lambda: Decolle((6, 6, 2), 4, (), NEURON), ConfigError, "Decolle.layers"),
        (lambda: replace(NETWORK, dropout=0.3), ConfigError, "Decolle.dropout: expected a multiple of 1/256"),
        (lambda: replace(NEURON, alpha=1.0), ConfigError, "LocalNeuron.alpha"),
        (lambda: replace(NEURON, dynamics="eq2"), ConfigError, "LocalNeuron.dynamics"),
        (lambda: replace(TRAINING, burnin=20), ConfigError, "LocalTraining.burnin"),
        (lambda: replace(FIXED, neurons=None), ConfigError, "DecolleFormats"),
        (lambda: quantized_decolle(quantized_decolle(MODEL, FIXED), FIXED), ConfigError, "model.formats"),
        (
            lambda: quantized_decolle(LARGE, FIXED),
            ConfigError,
            r"weights\[0\]: expected numbers that Q4.10 holds, got \d+ beyond",
        ),
        (
            lambda: quantized_decolle(
                MODEL, replace(FIXED, weights=Q("Q4.26"), neurons=replace(FIXED.neurons, p=Q("Q9.22")))
            ),
            ConfigError,
            "DecolleFormats: expected sums of at most 62 bits",
        ),
        (lambda: replace(MODEL, weights=MODEL.weights[:1]), ShapeError, "weights: expected 2 arrays"),
        (lambda: replace(MODEL, biases=MODEL.biases[::-1]), ShapeError, r"biases\[0\]"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
