"""Answers for images: those that evaluate counts, with any batches and on any backend; probabilities by the formula."""

from __future__ import annotations

import numpy as np
import pytest
import small
from compiled import needs_cc

from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, ShapeError
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.inference import predict as predicting
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.inference.predict import predict, softmax
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.layers import LIF, Linear
from qpsnn_core.network.builder import sequential
from qpsnn_datasets import Dataset, Split

MODEL = small.model(3)
INTEGERS = lower(MODEL).network
DATA = small.dataset(23)


@pytest.mark.parametrize("model", [MODEL, INTEGERS], ids=["model", "integers"])
def test_labels_are_those_that_evaluate_counts(model):
    found = predict(model, DATA)
    np.testing.assert_array_equal(found.labels, evaluate(model, DATA).predictions)
    assert (found.labels.dtype, found.logits.shape, found.probabilities.shape) == (np.int64, (23, 3), (23, 3))
    assert found.classes == DATA.classes
    assert found.names == tuple(DATA.classes[label] for label in found.labels)
    assert repr(found) == "Prediction(23 images, 3 classes)"


def test_logits_are_means_over_steps_and_scaled_readouts():
    np.testing.assert_allclose(predict(MODEL, DATA).logits, forward(MODEL, DATA.images).logits.mean(0), rtol=1e-6)
    readout = simulate(INTEGERS, DATA.images).readout
    np.testing.assert_array_equal(predict(INTEGERS, DATA).logits, readout * (INTEGERS.readout.scale / 3))


def test_probabilities_are_the_softmax_of_the_logits():
    logits = np.array([[0.0, np.log(3.0)], [1000.0, -1000.0], [5.0, 5.0]])
    np.testing.assert_allclose(softmax(logits), [[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    found = predict(MODEL, DATA)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    np.testing.assert_array_equal(found.probabilities.argmax(1), found.labels)


def test_batches_and_forms_of_the_images_change_nothing(monkeypatch):
    want = predict(MODEL, DATA)
    ways = [predict(MODEL, DATA.images), predict(MODEL, Split(DATA.take([0]), DATA)), predict(MODEL, DATA, batch=5)]
    monkeypatch.setattr(predicting, "MEMORY", 1)
    ways.append(predict(MODEL, DATA))
    for found in ways:
        for one, other in zip(found[:3], want[:3], strict=True):
            np.testing.assert_array_equal(one, other)
    assert predict(MODEL, DATA.images).names == tuple(map(str, want.labels))


def test_frames_have_the_samples_first():
    frames = small.dataset(5, frames=3)
    found = predict(MODEL, frames.images)
    want = forward(MODEL, np.ascontiguousarray(frames.images.swapaxes(0, 1))).logits.mean(0)
    np.testing.assert_allclose(found.logits, want, rtol=1e-6)
    np.testing.assert_array_equal(predict(INTEGERS, frames).labels, evaluate(INTEGERS, frames).predictions)


@pytest.mark.parametrize(
    "backend",
    [pytest.param("c", marks=needs_cc), pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.slow])],
)
def test_every_backend_gives_the_exact_answers(backend):
    found, want = predict(INTEGERS, DATA.images[:6], backend=backend), predict(INTEGERS, DATA.images[:6])
    np.testing.assert_array_equal(found.logits, want.logits)


def test_progress_is_told_after_every_batch():
    told = []
    predict(MODEL, DATA, batch=10, progress=told.append)
    assert [(one.stage, one.batch, one.batches) for one in told] == [("predict", k, 3) for k in (1, 2, 3)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: predict(MODEL, DATA.images[0]),
            ShapeError,
            "(one image alone is images[None])",
        ),
        (lambda: predict(MODEL, DATA.images[:, :5]), ShapeError, "predict.images: expected [N, 6, 6, 2]"),
        (lambda: predict(MODEL, DATA.images[:0]), ShapeError, "predict.images: expected at least one image"),
        (
            lambda: predict(MODEL, DATA.images / 15),
            DataError,
            "image: images: expected integers 0..15, got float64 (data.train.input_range.quantize",
        ),
        (lambda: predict(MODEL, [[1]]), ArgumentError, "predict.images: expected images as an array [N, H"),
        (
            lambda: predict(MODEL, DATA, backend="lava"),
            ConfigError,
            "backend: expected 'exact' for a network",
        ),
        (lambda: predict(INTEGERS, DATA, backend="b"), ConfigError, "backend: expected one of exact, lava, c, got 'b'"),
        (lambda: predict(MODEL, DATA, batch=0), ConfigError, "predict.batch: expected a whole number of at least 1"),
        (lambda: predict(lower(MODEL), DATA), ArgumentError, "(its .network is one)"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_class_names_of_a_set_with_other_classes_are_not_taken():
    other = Dataset(DATA.images, DATA.labels * 0, ("only",), "other")
    assert predict(MODEL, other).classes == ()


def test_arrays_are_named_where_the_names_are_given():
    named = predict(MODEL, DATA.images, classes=["x", "y", "z"])
    assert named.classes == ("x", "y", "z")
    assert named.names == tuple("xyz"[label] for label in named.labels)
    assert predict(MODEL, DATA, classes=("x", "y", "z")).classes == ("x", "y", "z")
    for wrong in (("x", "y"), "xyz", (1, 2, 3)):
        with pytest.raises(ConfigError, match=r"^predict\.classes: expected (3 names, one for each|names, in order)"):
            predict(MODEL, DATA.images, classes=wrong)


def test_counts_of_spikes_are_no_labels():
    network = sequential((6, 6, 2), [Linear(3), LIF()], steps=3)
    with pytest.raises(ConfigError, match=r"^predict: readout: expected a readout of currents or membranes for multil"):
        predict(initialise(network), DATA.images, task="multilabel")
    with pytest.raises(
        ConfigError, match=r"got counts of spikes \(from lif1\), whose probabilities are all 1/2 or more"
    ):
        predict(lower(initialise(network)).network, DATA.images, task="multilabel")
    marks = Dataset(DATA.images, np.zeros((23, 3), np.uint8), ("a", "b", "c"), "marks", task="multilabel")
    with pytest.raises(ConfigError, match=r"^marks: readout: expected a readout of currents"):
        evaluate(initialise(network), marks)
