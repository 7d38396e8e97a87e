"""Batch norm's statistics, taken anew from a few images."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError
from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.layers.quantized_weights import used_weights
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, Network, Readout
from qpsnn_datasets import Dataset, Split

SHAPE = (4, 5, 2)


@pytest.fixture(scope="module")
def model():
    nodes = (
        Input("input", SHAPE),
        Conv("conv1", "input", 3, kernel=1, padding=0),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 4),
        LIF("lif2", ("conv2",)),
        AvgPool("average", "lif2", 2),
        Linear("linear", "average", 3),
        Readout("readout", "linear"),
    )
    return initialise(Network(nodes, 2), 1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).integers(0, 256, (20, *SHAPE)).astype(np.uint8)


def test_statistics_are_the_mean_over_batches_of_their_own(model, images):
    found = recalibrate(model, images, batches=3, batch=8)
    effective = used_weights(model.params["conv1"]["weight"], model.network["conv1"].quantizer).effective()[0, 0]
    y = images[:, :, :, :] / 255 @ effective.astype(np.float64)
    parts = [y[:8], y[8:16], y[16:]]
    mean = sum(part.mean((0, 1, 2)) * len(part) for part in parts) / 20
    steps = model.network.steps
    unbiased = [np.repeat(part[None], steps, axis=0).var((0, 1, 2, 3), ddof=1) * len(part) for part in parts]
    np.testing.assert_allclose(found.state["conv1"]["mean"], mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.state["conv1"]["var"], sum(unbiased) / 20, rtol=1e-5)


def test_nothing_else_changes(model, images):
    before = {name: {key: array.copy() for key, array in own.items()} for name, own in model.state.items()}
    found = recalibrate(model, images)
    assert found.network is model.network
    assert found.params is model.params
    for name, own in before.items():
        for key, array in own.items():
            np.testing.assert_array_equal(model.state[name][key], array)
    again = recalibrate(found, images)
    for name, own in found.state.items():
        for key, array in own.items():
            np.testing.assert_array_equal(array, again.state[name][key])


def test_evaluation_is_then_as_training_sees_it(model, images):
    found = recalibrate(model, images, batches=1, batch=20)
    trained = forward(model, images, train=True).logits
    assert np.abs(forward(model, images).logits - trained).max() > 0.001
    np.testing.assert_allclose(forward(found, images).logits.mean(0), trained.mean(0), atol=0.01)


def test_datasets_splits_and_frames(model, images):
    want = recalibrate(model, images).state["conv2"]["var"]
    dataset = Dataset(images, np.arange(20) % 3, ("a", "b", "c"), "made up")
    frames = np.repeat(images[:, None], 2, axis=1)
    for given in (dataset, Split(dataset, dataset.take([0])), frames):
        np.testing.assert_allclose(recalibrate(model, given).state["conv2"]["var"], want, rtol=1e-6)


def test_progress_and_seed(model, images):
    told = []
    first = recalibrate(model, images, batches=2, batch=6, seed=1, progress=told.append)
    assert [(p.stage, p.batch, p.batches) for p in told] == [("recalibrate", 1, 2), ("recalibrate", 2, 2)]
    other = recalibrate(model, images, batches=2, batch=6, seed=2)
    assert (first.state["conv1"]["mean"] != other.state["conv1"]["mean"]).any()


def test_wrong_arguments(model, images):
    with pytest.raises(ConfigError, match=r"recalibrate\.batches: expected an integer of at least 1, got 0"):
        recalibrate(model, images, batches=0)
    with pytest.raises(DataError, match=r"recalibrate\.images"):
        recalibrate(model, images[:0])
    with pytest.raises(ShapeError, match=r"recalibrate\.images"):
        recalibrate(model, images[0])
