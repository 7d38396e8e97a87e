"""Dropout: masks that are a function of counters, in training alone, and nothing of it in a deployed network."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.engine.passes import Draw, forward
from qpsnn_core.layers import LIF, Branches, Conv, Dropout, Linear, MaxPool, Sum
from qpsnn_core.network import nodes
from qpsnn_core.network.cost import counted
from qpsnn_core.network.dropout import without_dropout

SHAPE = (6, 7, 2)
RNG = np.random.default_rng(4)
IMAGES = RNG.integers(0, 256, (24, *SHAPE)).astype(np.uint8)
DATA = qp.Dataset(IMAGES, np.arange(24) % 3, ("a", "b", "c"), "noise")
LAYERS = [Conv(4), LIF(threshold=0.5), Dropout(0.3), MaxPool(2), Dropout(), Linear(3)]
NETWORK = qp.sequential(SHAPE, LAYERS, steps=3)
MODEL = qp.initialise(NETWORK, 5)


def run(model=MODEL, **options):
    return forward(model, IMAGES, train=True, save_for_backward=True, **options)


def test_masks_are_the_same_at_all_steps_and_by_their_counters_alone():
    first, again, other = (run(draw=draw).values for draw in (Draw(1, 0), Draw(1, 0), Draw(1, 1)))
    before, after = first["lif1"], first["dropout1"]
    gone = (before != after).any(0)
    assert ((after == before) | (after == 0)).all()
    assert not (after & gone).any()
    fired = before.any(0)
    assert gone[fired].mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_array_equal(again["dropout1"], after)
    assert (other["dropout1"] != after).any()
    all_, few = (forward(MODEL, x, save_for_backward=True, draw=Draw(1, 0)).values for x in (IMAGES, IMAGES[:5]))
    np.testing.assert_array_equal(few["dropout1"], all_["dropout1"][:, :5])


def test_what_is_left_counts_for_more():
    assert NETWORK.training_values["dropout1"].scale == pytest.approx(1 / 0.7)
    assert NETWORK.training_values["dropout2"].scale == pytest.approx(1 / 0.7 / 0.5)
    assert NETWORK.values["dropout2"].scale == 1


def test_nothing_is_left_out_but_in_training():
    for train in (False, True):
        values = forward(MODEL, IMAGES, train=train, save_for_backward=True).values
        np.testing.assert_array_equal(values["dropout1"], values["lif1"])


def test_a_deployed_network_has_none():
    plain = qp.sequential(SHAPE, [layer for layer in LAYERS if not isinstance(layer, Dropout)], steps=3)
    assert without_dropout(NETWORK).nodes == plain.nodes
    assert without_dropout(plain) is plain
    model = qp.recalibrate(MODEL, IMAGES)
    integers = qp.lower(model)
    assert integers.network.digest() == qp.lower(model._replace(network=plain)).network.digest()
    assert counted(NETWORK) == ("pool1",)
    found = qp.evaluate(model, DATA)
    assert (
        qp.cost(NETWORK, {"pool1": found.spikes["pool1"]}).sops == qp.cost(plain, {"pool1": found.spikes["pool1"]}).sops
    )
    kept = qp.remove_channels(model, {"lif1": [0, 2]})
    assert kept.network.shape("dropout2")[2] == 2


def test_a_run_is_the_same_again_and_with_another_seed_another():
    config = qp.TrainConfig(epochs=2, batch=8)
    one, two, other = (
        qp.train(NETWORK, DATA, qp.TrainConfig(epochs=2, batch=8, seed=seed)).model for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.params["linear1"]["weight"], two.params["linear1"]["weight"])
    assert config.seed == 0
    plain = qp.train(without_dropout(NETWORK), DATA, config).model
    assert (plain.params["linear1"]["weight"] != one.params["linear1"]["weight"]).any()
    assert (other.params["linear1"]["weight"] != one.params["linear1"]["weight"]).any()


def test_values_of_different_rates_do_not_meet():
    said = r"sum1 \(from lif2\): expected .*at scale 2\.0 \(from dropout1\).*: put one Dropout behind sum1, or"
    with pytest.raises(ShapeError, match=said):
        qp.sequential(SHAPE, [Conv(4), LIF(), Branches([Dropout(0.5)], [Conv(4), LIF()]), Sum(), Linear(3)])


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "0.5"])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ConfigError, match=r"^d\.rate: expected a number from 0 to below 1"):
        nodes.Dropout("d", "x", rate)


def test_a_current_is_refused_with_what_helps():
    with pytest.raises(ShapeError, match=r"dropout1 \(from conv1\): expected spikes or analog, got 'current' \(LIF"):
        qp.sequential(SHAPE, [Conv(4), Dropout(), LIF(), Linear(3)])
