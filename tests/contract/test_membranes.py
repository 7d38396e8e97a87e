"""Membranes of few levels, from a recipe through training and lowering to every backend: the same bits, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import small
from alike import assert_equal
from compiled import SANITIZED, needs_cc

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_backends.c.export import export
from qpsnn_backends.lava import stock
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import UnsupportedError
from qpsnn_core.compression.weights.hessian import hessians
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.experiments.audit_gradients import trace
from qpsnn_core.experiments.audit_neurons import neuron_errors
from qpsnn_core.integer.nodes import IntLevels, IntLIF
from qpsnn_core.integer.stateful import StatefulSimulator
from qpsnn_core.kernels.neurons.learned import settled, thresholds
from qpsnn_core.network.membranes import MembraneQuantizer


def trained_with(**neuron):
    """A recipe's network after two epochs, its model and its integers; images of its set."""
    network = {"name": "vgg_small", "width": 0.1, "steps": 4, "bits": 4, **neuron}
    recipe = qp.recipe_from_dict({"network": network, "train": {"epochs": 2, "batch": 8}})
    assert qp.recipe_from_dict(recipe.to_dict()) == recipe
    data = small.dataset(40, peak=255)
    done = qp.train(recipe.network.build((6, 6, 2), 3), data, recipe.train)
    model = qp.recalibrate(done.model, data.images)
    return model, qp.lower(model).network, data.images[:6]


@pytest.fixture(scope="module", params=["zero", "subtract"])
def trained(request):
    return trained_with(reset=request.param, membrane={"low": -3, "high": 1})


def test_lowering_keeps_the_levels_and_nearly_every_spike(trained):
    model, network, images = trained
    assert {node.membrane for node in network.of(IntLIF)} == {IntLevels(-3, 1)}
    found = qp.forward(model, images, save_for_backward=True)
    run = qpsnn_backends.get("exact").run(network, images, record="all")
    for name, spikes in run.spikes.items():
        assert (found.values[name] != spikes).mean() < 0.01
        theta = network.arrays[name]["threshold"]
        assert (run.membranes[name] % theta == 0).all()
        assert set(np.unique(run.membranes[name] // theta)) <= {-3, -2, -1, 0, 1}
        assert 0 < spikes.mean() < 1


def test_the_gradients_are_those_of_the_audit(trained):
    model, _, images = trained
    seen = trace(model, images[None].repeat(4, 0) if images.ndim == 4 else images, np.zeros(len(images), np.int64))
    errors = dict(neuron_errors(model, seen))
    assert len(errors) == len(model.network.neurons)
    assert max(errors.values()) < 1e-5


@needs_cc
def test_what_a_recipe_trains_runs_in_c(trained, tmp_path):
    """Where a membrane took 16 or 32 bits, its level takes 4."""
    _, network, images = trained
    ref = qpsnn_backends.get("exact").run(network, images, record="all")
    assert_equal(ref, qpsnn_backends.get("c", flags=SANITIZED).run(network, images, record="all"))
    exported = export(network, tmp_path / "c")
    shapes = [network.shape(node.name) for node in network.of(IntLIF)]
    packed = sum(height * width * -(-channels // 2) for height, width, channels in shapes)
    assert exported.state == packed + 8 * network.classes


@pytest.mark.lava
def test_what_a_recipe_trains_runs_on_lava(trained):
    _, network, images = trained
    ref = qpsnn_backends.get("exact").run(network, images, record="all")
    assert_equal(ref, qpsnn_backends.get("lava").run(network, images, record="all"))


def test_a_run_goes_on_where_it_ended(trained):
    """Two pieces of two steps, bit for bit the four of one run."""
    _, network, images = trained
    frames = np.broadcast_to(images, (4, *images.shape))
    ref = qpsnn_backends.get("exact").run(network, frames, record="all")
    kept = StatefulSimulator(network, 2, keep=True)
    pieces = [kept.run(np.ascontiguousarray(frames[start : start + 2])) for start in (0, 2)]
    assert {array.dtype for array in kept.membranes.values()} == {np.dtype(np.int8)}
    for name in ref.spikes:
        np.testing.assert_array_equal(np.concatenate([piece.membranes[name] for piece in pieces]), ref.membranes[name])


def test_a_lifted_model_has_the_levels(trained):
    _, network, images = trained
    lifted = qp.lift(network, images)
    assert {node.membrane for node in lifted.network.neurons} == {MembraneQuantizer(-3, 1)}
    again = qp.lower(lifted).network
    ref, comp = (qpsnn_backends.get("exact").run(one, images, record="spikes") for one in (network, again))
    assert all((ref.spikes[name] != comp.spikes[name]).mean() < 0.01 for name in ref.spikes)


def test_loihi_counts_their_bits(trained):
    """Five levels take 3 bits, a whole state 24; Loihi 1 has no such neuron."""
    _, network, _ = trained
    neurons = sum(int(np.prod(network.shape(node.name))) for node in network.of(IntLIF))
    on_host = int(np.prod(network.shape(network.of(IntLIF)[0].name)))
    (bits,) = (use.used for use in report(network, "loihi2").totals if use.resource == "membrane bits")
    assert bits in (3 * neurons, 3 * (neurons - on_host))
    assert any("rounds its membrane to levels" in one for one in report(network, "loihi1").refused)


def test_others_refuse_them_by_name(trained, tmp_path):
    model, network, _ = trained
    want = r"lif\w*.membrane: expected None: no LIF of Lava"
    with pytest.raises(UnsupportedError, match=rf"netx: {want}|a chain of layers|takes no IntMaxPool"):
        save_netx(tmp_path / "a.net", network)
    for node in network.of(IntLIF):
        with pytest.raises(UnsupportedError, match=rf"^me: {node.name}.membrane: expected None"):
            stock.check_whole(node, "me")
    nir = pytest.importorskip("qpsnn_core.exchange.nir_export", reason="NIR is not installed")
    for one in (model, network):
        with pytest.raises(UnsupportedError, match=r"^nir: \w+.membrane: expected None: no neuron of NIR"):
            nir.save_nir(tmp_path / "a.nir", one)


@pytest.fixture(scope="module")
def learned():
    """Thresholds of each channel, and five levels that are multiples of them."""
    return trained_with(learn=("threshold",), learn_per="channel", membrane={"low": -3, "high": 1})


def test_learned_thresholds_are_lowered(learned):
    model, network, images = learned
    moved = [model.params[node.name]["log_threshold"] for node in model.network.neurons]
    assert all(
        one.shape == (model.network.shape(n.name)[2],) for one, n in zip(moved, model.network.neurons, strict=True)
    )
    assert all(one.any() for one in moved)
    found = qp.forward(model, images, save_for_backward=True)
    run = qpsnn_backends.get("exact").run(network, images, record="all")
    for name, spikes in run.spikes.items():
        assert (found.values[name] != spikes).mean() < 0.01
        inspected = qp.inspect(model, images, name).thresholds[name]
        np.testing.assert_array_equal(inspected, thresholds(model.network[name], model.params[name]).astype(np.float64))
    errors = dict(neuron_errors(model, trace(model, images[None].repeat(4, 0), np.zeros(len(images), np.int64))))
    assert max(errors.values()) < 1e-5


def test_settled_neurons_compute_the_same_bits():
    """Threshold and leak of each layer become plain numbers; integers and Lava's leak are those of these numbers."""
    model, network, images = trained_with(learn=("threshold", "leak"), reset="subtract")
    plain = settled(model)
    assert not any(node.learn for node in plain.network.neurons)
    assert all(p.beta != q.beta for p, q in zip(plain.network.neurons, model.network.neurons, strict=True))
    np.testing.assert_array_equal(qp.forward(plain, images).logits, qp.forward(model, images).logits)
    assert qp.lower(plain).network.digest() == network.digest()
    assert qp.cost(model.network).parameters == qp.cost(plain.network).parameters + 2 * len(plain.network.neurons)
    keep = {model.network.neurons[0].name: [0]}
    pruned = qp.remove_channels(model, keep)
    assert pruned.params[model.network.neurons[0].name]["logit_leak"].shape == (1,)


def test_leaks_of_each_channel_are_refused_by_name():
    """They train; the integer network, NIR and the filter of membranes have one for a layer."""
    recipe = qp.recipe_from_dict({"network": {"learn": ["leak"], "learn_per": "channel", "width": 0.1}})
    model = qp.initialise(recipe.network.build((6, 6, 2), 3))
    with pytest.raises(UnsupportedError, match=r"learn_per: expected \"layer\", .*: the integer network has one leak"):
        qp.lower(model)
    with pytest.raises(UnsupportedError, match=r"the filter of membranes has one leak for a layer, got 'channel'"):
        hessians(model, [np.zeros((1, 6, 6, 2), np.uint8)])
