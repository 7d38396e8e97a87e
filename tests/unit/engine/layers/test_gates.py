"""Targets, losses and noise of gates against loops and by hand; that a test skips and training computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive_conv
from naive import gates as naive
from oracle import networks
from qpsnn_core.common.errors import ConfigError, NetworkError, ShapeError
from qpsnn_core.engine import passes
from qpsnn_core.engine.gates import gate_terms, gated_additions
from qpsnn_core.engine.layers import gates
from qpsnn_core.engine.layers.lif import potentials
from qpsnn_core.kernels import threads
from qpsnn_core.network import ChannelGate, Conv, MembraneQuantizer, SpatialGate
from qpsnn_core.network.cost import cost, counted, sops
from qpsnn_core.network.zoo.gated import GateOptions, with_gates
from qpsnn_core.network.zoo.vgg import vgg_small

NET = networks.network("gates")


def test_targets_hold_the_share_of_the_activation():
    rng = np.random.default_rng(1)
    activation = rng.integers(0, 9, (2, 30, 1, 1, 6))
    activation[0, 0] = 0
    activation[0, 1] = (0, 0, 90, 1, 1, 1)
    for size, share in ((1, 0.85), (2, 0.5), (3, 1.0)):
        node = ChannelGate("g", "a", size, share)
        comp = gates.targets(node, activation, (2, 30, 1, 1, 6 // size))
        ref = [naive.target(row.tolist(), size, share) for row in activation.reshape(-1, 6)]
        np.testing.assert_array_equal(comp.reshape(60, -1), ref)


def test_targets_of_places_hold_the_share_of_those_that_each_number_serves():
    rng = np.random.default_rng(2)
    activation = rng.integers(0, 9, (2, 5, 5, 7, 1)).astype(float)
    activation[1, 3] = 0
    node = SpatialGate("g", "a", (5, 7), target=0.6)
    comp = gates.targets(node, activation, (2, 5, 2, 3, 1))
    for t, b in np.ndindex(2, 5):
        cells = np.zeros((2, 3))
        for y, x in np.ndindex(5, 7):
            cells[y * 2 // 5, x * 3 // 7] += activation[t, b, y, x, 0]
        assert comp[t, b].reshape(-1).tolist() == naive.target(cells.reshape(-1).tolist(), 1, 0.6)


def test_gates_begin_open():
    """As far above 0 as `start` says; a predictor without shifts cannot."""
    net = with_gates(vgg_small(width=0.25, steps=2), GateOptions(places=True))
    shifts = [
        passes.initialise(net).params[f"{gate.name.removesuffix('.places')}.where"]["bn_bias"]
        for gate in net.of(SpatialGate)
    ]
    assert {float(one[0]) for one in shifts} == {2.0}
    images = np.random.default_rng(0).integers(0, 256, (8, *net.input.shape)).astype(np.uint8)
    done = passes.forward(passes.initialise(net), images, train=True, save_for_backward=True)
    assert min(done.values[gate.name].mean() for gate in net.of(SpatialGate)) > 0.7
    assert all(done.values[gate.name].all() for gate in net.of(ChannelGate))
    with pytest.raises(ConfigError, match=r"c\.initial_shift: expected 0, as it has neither"):
        Conv("c", "a", 1, batch_norm=False, initial_shift=1.0)


def test_the_noise_is_a_function_of_seed_draw_and_place():
    comp = gates.logistic(5, 7, (2, 1, 3, 1, 1))
    ref = [naive.logistic(7, element, 5) for element in range(6)]
    np.testing.assert_allclose(comp.reshape(-1), ref, rtol=1e-12)


def test_every_training_pass_draws_anew_and_any_thread_the_same():
    model, images = networks.model(NET), networks.images(NET)
    before, found = threads.threads(), []
    try:
        for count in (1, 2):
            threads.set_threads(count)
            first = passes.forward(model, images, train=True, save_for_backward=True)
            later = passes.forward(model._replace(state=first.state), images, train=True, save_for_backward=True)
            found.append((first.values["places"], later.values["places"]))
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0][0] != found[0][1]).any()


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("levels", [None, MembraneQuantizer(-3, 1)], ids=["real", "levels"])
def test_what_a_neuron_stores_is_what_its_next_membrane_begins_with(reset, levels):
    net = networks.network("gates", neuron={"reset": reset, "membrane": levels, "beta": 0.75})
    model, images = networks.model(net), networks.images(net)
    done = passes.forward(model, images, save_for_backward=True)
    for node in net.neurons:
        cache = done.caches[node.name]
        kept = gates.stored(node, cache, done.values[node.name])
        current = sum(
            np.broadcast_to(one.acc * one.scale.astype(np.float64) + one.shift, kept.shape) for one in cache.currents
        )
        following = potentials(node, cache)[1:]
        np.testing.assert_allclose(0.75 * kept[:-1] + current[1:], following, atol=1e-5)
        assert levels is None or set(np.unique(kept)) <= {-3, -2, -1, 0, 1}


def test_without_noise_the_skipping_pass_is_the_computing_one():
    """In a test the kernel skips; where no batch norm looks at the batch, training computes all and masks."""
    model, images = networks.model(NET), networks.images(NET)
    done = passes.forward(model, images, save_for_backward=True)
    node = NET["conv2"]
    full = passes.forward(model, images, save_for_backward=True).caches["conv2"].inner
    mask = done.values["channels"]
    assert 0 < mask.mean() < 1
    x = done.values[node.source]
    weight = full.weights.codes
    acc = np.stack([naive_conv.forward(step, weight, 1, 1) for step in x]) * mask.astype(np.int64)
    np.testing.assert_array_equal(full.acc, acc)


def test_additions_are_counted_spike_by_spike():
    model, images = networks.model(NET), networks.images(NET)
    values = passes.forward(model, images, save_for_backward=True).values
    comp = gated_additions(NET, values)
    assert set(comp) == {"conv2", "conv3", "conv4", "conv5"}
    for name, total in comp.items():
        node = NET[name]
        x = values[node.source].astype(np.int64) * (values[node.input_gate] if node.input_gate else 1)
        ones = np.ones((node.kernel, node.kernel, x.shape[-1], node.channels), np.int64)
        seen = np.stack([naive_conv.forward(step, ones, node.stride, node.padding) for step in x])
        np.testing.assert_array_equal(total, (seen * (values[node.gate] if node.gate else 1)).sum((0, 1)))
        assert 0 < total.sum() <= seen.sum()
    firing = {name: (comp[name] if name in comp else values[name].sum((0, 1))) for name in counted(NET)}
    done = sops(NET, firing)
    assert {name: done[name] for name in comp} == {name: float(total.sum()) for name, total in comp.items()}
    assert cost(NET, firing).sops == sum(done.values())


def test_the_terms_of_a_gate_are_its_share_of_right_decisions_and_its_cross_entropy():
    model, images = networks.model(NET), networks.images(NET)
    done = passes.forward(model, images, train=True, save_for_backward=True)
    term = gate_terms(NET, done)["channels"]
    logits = done.caches["channels"].logits
    read = (done.caches["conv2"].activation, _spikes(done))
    goals = [gates.targets(NET["channels"], one, logits.shape) for one in read]
    right = sum(int(((logits > 0) == (goal > 0)).sum()) for goal in goals)
    chance = 1 / (1 + np.exp(-logits))
    entropy = sum(-np.where(goal > 0, np.log(chance), np.log(1 - chance)).mean() for goal in goals)
    assert (term.right, term.decided) == (right, 2 * logits.size)
    assert term.loss == pytest.approx(0.7 * entropy, rel=1e-12)


def _spikes(done):
    return done.values["lif2"].sum((2, 3), dtype=np.int64, keepdims=True)


def test_gates_that_fit_nothing_are_refused_by_name():
    with pytest.raises(ShapeError, match=r"conv3 \(from places\): expected a place mask \(6, 7, 1\)"):
        NET.change("places", shape=(5, 7))
    with pytest.raises(ShapeError, match=r"conv2 \(from mean\): expected channel mask or place mask, got 'spikes'"):
        NET.change("conv2", gate="mean")
    with pytest.raises(NetworkError, match=r"prior.source: expected a LIF, which has a membrane, got mean \(AvgPool\)"):
        NET.change("prior", source="mean")
    with pytest.raises(NetworkError, match=r"conv2.source: expected the name of a node, got 'nobody'"):
        NET.change("conv2", gate="nobody")


def test_a_gate_trains_its_predictor_alone():
    """With no gradient of the task, what moves is what gates alone read."""
    model = networks.model(NET)
    done = passes.forward(model, networks.images(NET), train=True, save_for_backward=True)
    found = passes.backward(model, done, np.zeros_like(done.logits))
    moved = {name for name, own in found.items() if any(np.any(array) for array in own.values())}
    assert moved == {"which", "groups", "where", "inside"}
