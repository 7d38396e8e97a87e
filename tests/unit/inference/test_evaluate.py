"""Evaluation: counted by hand, whatever the batches; data that does not fit is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import ConfigError, DataError, DimImagesWarning, LabelError, NumericsError, ShapeError
from qpsnn_core.engine import evaluation as measuring
from qpsnn_core.engine.measures import answers
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference import evaluate as evaluation
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF
from qpsnn_datasets import Dataset


@pytest.fixture(scope="module")
def model():
    return small.model(3)


@pytest.fixture(scope="module")
def data():
    return small.dataset(23)


def test_every_figure_is_what_counting_gives(model, data):
    found = evaluate(model, data)
    done = forward(model, data.images, save_for_backward=True)
    logits = done.logits.astype(np.float64).mean(0)
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    predicted = [int(np.argmax(row)) for row in logits]
    assert found.predictions.tolist() == predicted
    assert (found.images, found.steps) == (23, 3)
    assert found.correct == sum(p == label for p, label in zip(predicted, data.labels, strict=True))
    assert found.accuracy == found.correct / 23
    assert found.loss == pytest.approx(-np.log(odds[np.arange(23), data.labels]).mean(), rel=1e-6)
    for true in range(3):
        for said in range(3):
            pairs = zip(data.labels, predicted, strict=True)
            assert found.confusion[true, said] == sum(pair == (true, said) for pair in pairs)
    assert found.neurons == ("lif1", "lif2", "lif3")
    assert set(found.spikes) == {"lif1", "lif2", "sum", "pool", "lif3", "average"}
    for name, counts in found.spikes.items():
        np.testing.assert_allclose(counts, done.values[name].astype(np.int64).sum((0, 1)) / 23, rtol=1e-12)
        assert counts.shape == model.network.shape(name)
        np.testing.assert_allclose(found.rates[name] * 3, counts)
    total = sum(int(done.values[node.name].sum()) for node in model.network.of(LIF))
    neurons = 2 * 6 * 6 * 6 + 2 * 2 * 8
    assert found.spikes_per_image == pytest.approx(total / 23)
    assert found.firing_rate == pytest.approx(total / 23 / 3 / neurons)
    assert found.firing_rates["lif3"] == pytest.approx(done.values["lif3"].mean())


def same(a, b):
    assert (a.correct, a.images) == (b.correct, b.images)
    assert a.loss == pytest.approx(b.loss, rel=1e-12)
    np.testing.assert_array_equal(a.predictions, b.predictions)
    np.testing.assert_array_equal(a.confusion, b.confusion)
    for name in a.spikes:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name])


@pytest.mark.parametrize("batch", [1, 5, 23, 1000])
def test_the_batch_changes_nothing(model, data, batch):
    same(evaluate(model, data, batch=batch), evaluate(model, data))


def test_a_batch_too_large_for_memory_is_made_smaller(model, data, monkeypatch):
    whole = evaluate(model, data)
    sizes = []
    monkeypatch.setattr(measuring, "MEMORY", 4 * measuring.bytes_of(model.network))
    monkeypatch.setattr(measuring, "forward", lambda m, x, **k: sizes.append(len(x)) or forward(m, x, **k))
    same(evaluate(model, data), whole)
    assert sizes == [4, 4, 4, 4, 4, 3]


def test_frames_are_given_step_by_step(model):
    data = small.dataset(10, frames=3)
    done = forward(model, np.stack([data.images[:, t] for t in range(3)]))
    assert evaluate(model, data, batch=4).predictions.tolist() == answers(done.logits).tolist()


def test_frames_that_are_all_alike_are_an_image(model, data):
    frames = Dataset(np.repeat(data.images[:, None], 3, axis=1), data.labels, data.classes, "frames")
    same(evaluate(model, frames), evaluate(model, data))


def test_of_a_split_the_test_part_is_taken_and_a_limit_keeps_the_classes(model):
    assert evaluate(model, small.split()).images == 15
    found = evaluate(model, small.split(), limit=6)
    assert found.confusion.sum(1).tolist() == [2, 2, 2]


def test_progress_counts_batches_and_ends_with_the_result(model, data):
    told = []
    found = evaluate(model, data, batch=10, progress=told.append)
    assert [(e.stage, e.epoch, e.epochs, e.batch, e.batches) for e in told] == [
        ("evaluate", 1, 1, i, 3) for i in (1, 2, 3)
    ]
    assert told[-1].accuracy == found.accuracy


def test_a_model_is_left_as_it_was(model, data):
    before = {name: array.copy() for name, array in model.state["conv2"].items()}
    evaluate(model, data)
    for name, array in before.items():
        np.testing.assert_array_equal(model.state["conv2"][name], array)


def test_an_integer_network_is_evaluated_alike(model, data):
    network = lower(model).network
    done = simulate(network, data.images, record="spikes")
    found = evaluate(network, data, batch=10)
    assert found.predictions.tolist() == done.readout.argmax(1).tolist()
    assert found.accuracy == (found.predictions == data.labels).mean()
    assert found.neurons == ("lif1", "lif2", "lif3")
    assert set(found.spikes) == {"image", "lif1", "lif2", "sum", "pool", "lif3", "average"}
    for name, spikes in done.spikes.items():
        np.testing.assert_allclose(found.spikes[name], spikes.astype(np.int64).sum((0, 1)) / 23, rtol=1e-12)
    trained = evaluate(model, data)
    assert found.loss == pytest.approx(trained.loss, rel=0.05)
    assert found.firing_rate == pytest.approx(trained.firing_rate, rel=0.05)
    with pytest.raises(
        ConfigError, match=r"backend: expected one of exact, lava, .*got 'exakt' \(did you mean 'exact'\?\)"
    ):
        evaluate(network, data, backend="exakt")
    with pytest.raises(DataError, match=r"expected integers 0\.\.15 \(from image\)"):
        evaluate(network, small.dataset(5, peak=200))


def test_a_backend_that_tells_spikes_alone_gives_those_of_the_neurons(model, data, monkeypatch):
    class Quiet:
        def check(self, network):
            pass

        def run(self, network, images, record):
            return replace(simulate(network, images, record=record), counts={})

    monkeypatch.setattr(evaluation, "get", lambda name: Quiet())
    network = lower(model).network
    found, exact = (evaluate(network, data, backend=name) for name in ("quiet", "exact"))
    assert set(found.spikes) == {"lif1", "lif2", "lif3"}
    for name, spikes in simulate(network, data.images, record="spikes").spikes.items():
        np.testing.assert_allclose(found.spikes[name], spikes.astype(np.int64).sum((0, 1)) / 23, rtol=1e-12)
    assert found.loss == exact.loss


def test_data_that_does_not_fit_is_refused(model, data):
    wide = Dataset(np.zeros((4, 6, 7, 2), np.uint8), np.zeros(4, int), ("a",), "wide")
    with pytest.raises(
        ShapeError, match=r"wide\.images: expected \[6, 6, 2\] or \[3, 6, 6, 2\] \(from image\), got \[6, 7, 2\]"
    ):
        evaluate(model, wide)
    with pytest.raises(ShapeError, match=r"got \[4, 6, 6, 2\]"):
        evaluate(model, small.dataset(5, frames=4))
    labels = Dataset(data.images[:4], np.array([0, 1, 3, 2]), ("a", "b", "c", "d"), "four")
    with pytest.raises(LabelError, match=r"four\.labels\[2\]: expected 0 to 2 \(from readout\), got 3"):
        evaluate(model, labels)
    bright = Dataset(data.images + np.uint8(1), data.labels, data.classes, "bright")
    with pytest.raises(DataError, match=r"bright\.images: expected integers 0\.\.15 \(from image\), got 16"):
        evaluate(model, bright)


def test_settings_that_cannot_be_are_refused(model, data):
    for options in ({"batch": 0}, {"batch": -3}, {"limit": 0}, {"backend": "lava"}):
        with pytest.raises(ConfigError):
            evaluate(model, data, **options)


def test_a_model_with_nan_is_named(model, data):
    broken = {**model.params, "conv2": {**model.params["conv2"], "bn_bias": np.full(6, np.nan, np.float32)}}
    with pytest.raises(NumericsError, match=r"params\.conv2\.bn_bias"):
        evaluate(model._replace(params=broken), data)


def test_spikes_given_to_an_input_of_intensities_are_warned_of():
    data = small.dataset(8)
    bright = small.model()
    network = bright.network.change(bright.network.input.name, peak=255, scale=1 / 255)
    dim = replace(data, images=(data.images > 7).astype(np.uint8))
    with pytest.warns(DimImagesWarning, match=r"expected intensities up to 255 .*, got 0 and 1 alone") as found:
        evaluate(bright._replace(network=network), dim)
    assert found[0].filename == __file__
