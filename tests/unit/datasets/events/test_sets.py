"""Sets of events by name; recipes that name them; the whole way to integers."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.experiments.demo import DIGITS_EVENTS
from qpsnn_core.experiments.stages import data_for, network_for, prune_as, score_as
from qpsnn_core.inference.agreement import agreement, deviation
from qpsnn_core.recipes.recipe import load_recipe
from qpsnn_datasets import load_data
from qpsnn_datasets.events.frames import frames_in_bins
from qpsnn_datasets.events.saccades import saccade

TINY = replace(
    DIGITS_EVENTS,
    network=replace(DIGITS_EVENTS.network, width=0.25, steps=3),
    data=replace(DIGITS_EVENTS.data, limit=200),
    train=replace(DIGITS_EVENTS.train, epochs=10, batch=20),
    finetune=replace(DIGITS_EVENTS.finetune, epochs=8, batch=20),
)


def test_the_examples_recipe_is_the_demos(root):
    assert load_recipe(root / "examples" / "digits-events.toml") == DIGITS_EVENTS


def test_digits_as_events_are_the_same_everywhere():
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    images, (train, test) = load_data("digits", limit=30), load_data("digits-events", limit=30)
    assert train.images.shape == test.images.shape == (30, 4, 10, 10, 2)
    assert (train.name, test.name) == ("digits-events.train", "digits-events.test")
    assert train.classes == images.train.classes
    for part, still in zip((train, test), images, strict=True):
        np.testing.assert_array_equal(part.labels, still.labels)
        for frames, image in zip(part.images, still.images, strict=True):
            np.testing.assert_array_equal(frames, frames_in_bins(saccade(image), 4, span=(0, 300_000)))
    assert hashlib.sha256(test.images.tobytes()).hexdigest()[:16] == "09b58fc44df3cdf6"


def test_mnist_as_events(tmp_path):
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (2, 3, 28, 28)).astype(np.uint8), np.array([[1, 7, 9], [2, 0, 3]])
    for part, prefix in enumerate(("train", "t10k")):
        head = struct.pack(">HBBIII", 0, 8, 3, 3, 28, 28)
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(head + pictures[part].tobytes())
        head = struct.pack(">HBBI", 0, 8, 1, 3)
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(head + labels[part].astype(np.uint8).tobytes())
    train, test = load_data("mnist-events", tmp_path, steps=2)
    assert train.images.shape == (3, 2, 30, 30, 2)
    assert test.labels.tolist() == [2, 0, 3]
    np.testing.assert_array_equal(test.images[1], frames_in_bins(saccade(pictures[1, 1]), 2, span=(0, 300_000)))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("digits-events", "somewhere"), {}, r"digits-events\.path: expected no path"),
        (("mnist-events",), {}, r"mnist-events\.path: expected the folder or file"),
        (("digits-event",), {}, r"did you mean 'digits-events'\?"),
        (("digits-events",), {"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        (("digits-events",), {"limit": 0}, "limit"),
    ],
)
def test_what_is_wrong_is_named(arguments, options, message):
    with pytest.raises(ConfigError, match=message):
        load_data(*arguments, **options)


def test_a_recipes_data_has_as_many_frames_as_its_network_has_steps():
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    data = data_for(TINY)
    assert data.train.sample_shape == (3, 10, 10, 2)
    network = network_for(TINY, data)
    assert network.input.spikes
    assert network.input.shape == (10, 10, 2)
    other = load_data("digits-events", limit=5, steps=4)
    with pytest.raises(ConfigError, match=r"network\.steps: expected 4, a step for each frame of .*train, got 3"):
        network_for(TINY, other)
    with pytest.raises(
        ShapeError, match=r"digits-events\.train\.images: expected .*\[3, 10, 10, 2\].*\[4, 10, 10, 2\]"
    ):
        qp.train(network, load_data("digits-events", limit=50, steps=4), TINY.train)


@pytest.fixture(scope="module")
def tuned():
    """Trained, pruned and fine-tuned on events."""
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    data = data_for(TINY)
    trained = qp.train(network_for(TINY, data), data, TINY.train)
    scores = score_as(TINY, trained.model, data.train)
    pruned = prune_as(TINY, trained.model, scores, data.train)
    return trained, pruned, qp.finetune(pruned.model, data, TINY.finetune).model, data


def test_events_go_the_whole_way_to_integers(tuned):
    trained, pruned, model, data = tuned
    losses = [epoch.loss for epoch in trained.history]
    assert losses[-1] < 0.8 * losses[0]
    assert trained.history[-1].validation > 0.3
    assert all(len(kept) == pruned.model.network.shape(name)[2] for name, kept in pruned.kept.items())
    lowered = qp.lower(model)
    found = deviation(model, lowered.network, data.test.images)
    assert found.spikes > 100_000
    assert found.spike_mismatches <= 5
    exact, ours = qp.evaluate(lowered.network, data.test), qp.evaluate(model, data.test)
    assert abs(exact.accuracy - ours.accuracy) <= 0.01
    assert ours.accuracy > 0.2


@pytest.mark.lava
def test_lava_fires_as_the_exact_simulator_on_frames_of_events(tuned):
    *_, model, data = tuned
    found, _ = agreement(qp.lower(model).network, data.test.limited(5), "lava")
    assert (found.spike_mismatches, found.membrane_mismatches, found.readout_mismatches) == (0, 0, 0)
    assert found.images == 5
