"""The share of weights that a quantizer cuts off, and who is warned of it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from qpsnn_core.common.errors import ClippedWeightsWarning
from qpsnn_core.engine.clipping import clipped_shares, warn_clipped
from qpsnn_core.engine.passes import initialise
from qpsnn_core.network import LIF, Input, Linear, Network, Quantizer, Readout
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import finetune, train
from qpsnn_datasets import Dataset

IMAGES = np.random.default_rng(1).integers(0, 256, (4, 1, 1, 6), np.uint8)
DATA = Dataset(IMAGES, np.arange(4) % 2, tuple("ab"), "noise")


def network(quantizer, batch_norm=False):
    hidden = Linear("hidden", "x", 50, quantizer, batch_norm=batch_norm)
    return Network((Input("x", (1, 1, 6)), hidden, LIF("l", ("hidden",)), Linear("f", "l", 2), Readout("o", "f")), 1)


def test_shares_are_counted():
    model = initialise(network(Quantizer(gamma="mean")))
    weight = np.array([[1, 1, 1, 5]], np.float32).T @ np.ones((1, 50), np.float32)
    model.params["hidden"]["weight"] = weight
    assert clipped_shares(model) == {"hidden": 0.25, "f": 0.0}


@pytest.mark.parametrize(
    ("quantizer", "batch_norm", "warned"),
    [
        (Quantizer(gamma="mean"), False, True),
        (Quantizer(8, "mean"), False, True),
        (Quantizer(gamma="mean"), True, False),
        (Quantizer(4, "max"), False, False),
        (Quantizer(4, "percentile"), False, False),
        (Quantizer(2, "auto"), False, False),
        (None, False, False),
    ],
)
def test_who_is_warned(quantizer, batch_norm, warned):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert warn_clipped(initialise(network(quantizer, batch_norm))) == (("hidden",) if warned else ())
    assert [one.category for one in found] == [ClippedWeightsWarning] * warned


def test_training_warns_once_and_says_what_helps():
    want = r'^hidden\.quantizer: expected to clip at most 20% of .* got 4\d%; gamma "max" clips none, "auto" chooses'
    with pytest.warns(ClippedWeightsWarning, match=want) as found:
        trained = train(network(Quantizer(gamma="mean")), DATA, TrainConfig(epochs=2, batch=4))
    assert len(found) == 1
    assert found[0].filename == __file__
    with pytest.warns(ClippedWeightsWarning, match=want):
        finetune(trained.model, DATA, TrainConfig(epochs=1, batch=4))


def test_weights_that_grow_beyond_gamma_are_warned_of_at_the_end():
    with pytest.warns(ClippedWeightsWarning) as found:
        train(network(Quantizer(4, "one", ste="pass")).change("hidden", gain=1.0), DATA, TrainConfig(1, 4, lr=1e4))
    assert [str(one.message).split(".")[0] for one in found] == ["hidden"]
