"""How high membranes can get: never less than what runs reach, and exact where an image reaches it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common.dead_layers import Reach, dead_layers
from qpsnn_core.engine.reach import dead_in_model, reaches
from qpsnn_core.network import LIF, Input, Linear, Network, Readout
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import RESETS


def one(weights, bias=0.0, beta=0.5, threshold=1.0, steps=4, peak=3, reset="zero", second=1.0):
    """A LIF of one neuron that reads so many pixels, and a LIF that reads it."""
    nodes = (
        Input("in", (1, 1, len(weights)), peak, 1 / peak if peak else 1.0),
        Linear("fc", "in", 1, None),
        LIF("lif", ("fc",), threshold, beta, reset=reset),
        Linear("fc2", "lif", 1, None),
        LIF("lif2", ("fc2",), 1.0, beta, reset=reset),
        Linear("last", "lif2", 2, None),
        Readout("out", "last"),
    )
    weight = np.array(weights, np.float32)[:, None]
    params = {
        "fc": {"weight": weight, "bias": np.full(1, bias, np.float32)},
        "fc2": {"weight": np.full((1, 1), second, np.float32), "bias": np.zeros(1, np.float32)},
        "last": {"weight": np.ones((1, 2), np.float32), "bias": np.zeros(2, np.float32)},
    }
    return Model(Network(nodes, steps), params, {})


def fires(model):
    """Whether any sequence of images makes the first LIF fire."""
    peak, size, steps = model.network.input.peak, model.network.input.shape[2], model.network.steps
    images = np.array(list(product(range(peak + 1), repeat=size)), np.uint8).reshape(-1, 1, 1, size)
    frames = np.array(list(product(range(len(images)), repeat=steps))).T
    done = qp.forward(model, np.ascontiguousarray(images[frames]), save_for_backward=True)
    return bool(done.values["lif"].any())


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("weights", [(0.3, -0.2), (0.3, 0.2), (-0.3, -0.1), (0.7, 0.4)])
@pytest.mark.parametrize("bias", [-0.2, 0.0, 0.3])
def test_a_layer_is_dead_if_and_only_if_no_image_makes_it_fire(weights, bias, beta, reset):
    """One neuron, all sequences of all images: here the bound is reached."""
    for steps in (1, 3):
        model = one(weights, bias, beta, steps=steps, peak=1, reset=reset)
        (reach, _) = reaches(model)
        if abs(reach.high[0] - 1) < 1e-4:
            continue  # a tie: float32 may fall on either side
        assert fires(model) == (not any(layer.name == "lif" for layer in dead_in_model(model)))


@pytest.mark.parametrize("seed", range(4))
def test_no_run_goes_beyond_the_reach(seed):
    """Batch norm, quantizers, shortcuts, pools, sums: an infinite threshold shows the membranes of each layer."""
    made = small.model(seed=seed)
    images = small.dataset(30, seed=seed).images
    for node in made.network.neurons:
        high = {reach.name: reach.high for reach in reaches(made)}[node.name]
        blocked = made._replace(network=made.network.change(node.name, threshold=float(high.max() * 1.0001)))
        assert not qp.forward(blocked, images, save_for_backward=True).values[node.name].any()
        below = made._replace(network=made.network.change(node.name, threshold=float(high.max() / 20)))
        assert qp.forward(below, images, save_for_backward=True).values[node.name].any()


def test_what_lies_behind_a_dead_layer_gets_nothing_from_it():
    dead = dead_in_model(one((0.1, 0.1), second=5.0))
    assert [layer.name for layer in dead] == ["lif", "lif2"]
    assert (dead[1].high, dead[1].threshold) == (0.0, 1.0)
    assert "lif: can never fire within 4 steps: its membrane is at most 0.375 and never reaches" in str(dead[0])
    alive = one((0.1, 0.1), bias=0.9, second=5.0)
    assert dead_in_model(alive) == []


def test_real_inputs_have_a_stated_condition():
    (dead, _) = dead_in_model(one((0.1, -0.1), peak=None))
    assert "given inputs of magnitude up to 1" in dead.why
    assert dead.high == pytest.approx(0.375, rel=1e-4)


def test_a_silent_layer_is_told_from_one_that_cannot_fire():
    reach = [Reach("a", np.array([2.0, 0.5]), np.array([1.0, 1.0]), 4), Reach("b", np.array([0.5]), np.array([1.0]), 4)]
    assert [layer.name for layer in dead_layers(reach)] == ["b"]
    found = dead_layers(reach, {"a": 0, "b": 0}, "9 images")
    assert [layer.name for layer in found] == ["a", "b"]
    assert (
        str(found[0]) == "a: did not fire once in 9 images: its membrane is at most 2 and could reach the threshold 1"
    )
    assert [layer.name for layer in dead_layers(reach, {"a": 1, "b": 0}, "9 images")] == ["b"]


def test_one_channel_that_can_fire_keeps_a_layer_alive():
    made = small.model()
    params = {name: dict(own) for name, own in made.params.items()}
    params["conv3"]["bn_weight"] = np.zeros(8, np.float32)
    params["conv3"]["bn_bias"] = np.array([0.1] * 7 + [1.5], np.float32)
    assert dead_in_model(made._replace(params=params)) == []
    params["conv3"]["bn_bias"] = np.full(8, 0.1, np.float32)
    assert [layer.name for layer in dead_in_model(made._replace(params=params))] == ["lif3"]
    assert replace(made.network.neurons[2]).threshold == 1.0
