"""A finished model with other bits: as good as its weights allow, without training, and ready to train on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.engine.pricing import effective
from qpsnn_core.network import Network, Quantizer
from qpsnn_core.network.model import Model


@pytest.fixture(scope="module")
def trained():
    config = qp.TrainConfig(epochs=6, batch=8, optimizer="adam", lr=0.01)
    return qp.train(small.network(), small.split(samples=120), config).model


def naive(model, bits):
    """The same arrays, with the quantizer for training from scratch."""
    changed = [
        replace(n, quantizer=Quantizer(bits, "mean")) if n in model.network.synapses else n for n in model.network
    ]
    return Model(Network(tuple(changed), model.network.steps), model.params, model.state)


def error(model, other):
    return sum(
        float(((effective(model, a) - effective(other, b)).astype(np.float64) ** 2).sum())
        for a, b in zip(model.network.synapses, other.network.synapses, strict=True)
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_it_begins_from_the_weights_that_are_used_and_errs_less_than_the_mean(trained, bits):
    found = qp.requantize(trained, bits)
    assert error(trained, found.model) < error(trained, naive(trained, bits))
    for layer, node in zip(found.layers, found.model.network.synapses, strict=True):
        assert (layer.name, layer.bits, layer.gamma, layer.zero) == (
            node.name,
            bits,
            node.quantizer.gamma,
            node.quantizer.zero,
        )
        weight, used = effective(trained, trained.network[node.name]), effective(found.model, node)
        off = np.sqrt(((used - weight).astype(np.float64) ** 2).sum() / (weight.astype(np.float64) ** 2).sum())
        assert layer.error == pytest.approx(off, rel=1e-5, abs=1e-9)
        gamma = found.model.state.get(node.name, {}).get("gamma")
        assert gamma is None or (np.abs(found.model.params[node.name]["weight"]) <= gamma).all()


def test_the_same_bits_change_nothing(trained):
    layers = [node.name for node in trained.network.synapses if node.quantizer.bits == 8]
    found = qp.requantize(trained, 8, layers=layers)
    assert [layer.name for layer in found.layers] == layers
    images = small.dataset().images[:8]
    np.testing.assert_allclose(qp.forward(found.model, images).logits, qp.forward(trained, images).logits, atol=1e-4)


def test_it_is_saved_lowered_and_trained_on(trained, tmp_path):
    found = qp.requantize(trained, 3).model
    qp.save_checkpoint(tmp_path / "a.h5", qp.Checkpoint(found))
    again = qp.load_model(tmp_path / "a.h5")
    assert again.network == found.network
    assert qp.lower(again).network.steps == 3
    tuned = qp.finetune(again, small.split(), qp.FinetuneConfig(epochs=1, batch=8)).model
    assert [node.quantizer for node in tuned.network.synapses] == [node.quantizer for node in found.network.synapses]


def test_names_and_bits_are_checked(trained):
    with pytest.raises(ConfigError, match=r"requantize.layers: .*did you mean .*got 'conv'"):
        qp.requantize(trained, 4, layers=["conv"])
    with pytest.raises(ConfigError, match=r"quantizer.bits"):
        qp.requantize(trained, 9)
