"""DECOLLE networks agree with PyTorch's convolutions, autograd and Adamax (tests/golden/make_decolle.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qpsnn_core.integer.local.decolle_maps import flat_weights
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT
from qpsnn_core.local_learning.decolle_model import DecolleModel
from qpsnn_core.local_learning.decolle_run import first_moments, learn_windows

FOLDER = Path(__file__).parents[2] / "golden" / "decolle"
RATE, BURNIN = 2e-3, 6
LAYERS = (LocalConv(5, 3, 1, 2), LocalConv(7, 2), LocalDense(9))


def given(name, threshold=None):
    with np.load(FOLDER / f"{name}.npz") as file:
        ref = dict(file)
    normal = 0.0 if name == "normalised" else 1.0
    neuron = LocalNeuron(name, normal if threshold is None else threshold, 0.9, 0.8, 0.6)
    network = Decolle((6, 6, 2), 3, LAYERS, neuron, dropout=0.0)

    def arrays(what):
        return tuple(np.ascontiguousarray(ref[f"{what}{k}"]) for k in range(3))

    model = DecolleModel(
        network, DECOLLE_FLOAT, arrays("w_before"), arrays("b_before"), arrays("readout"), arrays("readout_bias"), 1
    )
    steps = ref["frames"].shape[1]
    training = LocalTraining(steps, steps, BURNIN, 1, 3)
    return ref, model, training, ref["frames"].astype(np.uint8)


@pytest.mark.parametrize("name", ["normalised", "plain"])
def test_it_learns_as_pytorch_does(name):
    ref, model, training, frames = given(name)
    one = (frames[:, : BURNIN + 1], ref["labels"], replace(training, steps=BURNIN + 1, test_steps=BURNIN + 1), RATE)
    _, moments, _ = learn_windows(model, first_moments(model.network), *one)
    gradients = flat_weights([ref[f"w_gradient{k}"] for k in range(3)], model.network.maps)
    np.testing.assert_allclose(moments.weights, np.abs(gradients), rtol=1e-4, atol=3e-8)
    assert np.abs(gradients).max() > 1e-3
    comp, _, losses = learn_windows(model, first_moments(model.network), frames, ref["labels"], training, RATE)
    np.testing.assert_allclose(losses, ref["losses"], rtol=0, atol=2e-6)
    for k in range(3):
        np.testing.assert_allclose(comp.weights[k], ref[f"w_after{k}"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(comp.biases[k], ref[f"b_after{k}"], rtol=0, atol=1e-5)
        assert np.abs(ref[f"w_after{k}"] - ref[f"w_before{k}"]).max() > 0.01
        assert 0.04 < ref[f"spikes{k}"].mean() < 0.96


def test_another_threshold_is_another_network():
    """A negative control."""
    ref, model, training, frames = given("plain", threshold=1.1)
    _, _, losses = learn_windows(model, first_moments(model.network), frames, ref["labels"], training, RATE)
    assert np.abs(losses - ref["losses"]).max() > 1e-3
