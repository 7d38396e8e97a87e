"""Average-pools at any stride, from training through lowering to every room; overlapping and spaced windows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import small
from alike import assert_equal
from compiled import SANITIZED, needs_cc

import qpsnn_backends
import qpsnn_core as qp
from naive import integer as naive
from naive import loihi as cores
from naive import trained as loops
from qpsnn_backends.loihi.populations import populations
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import ConfigError, ShapeError, UnsupportedError
from qpsnn_core.integer.nodes import IntLIF, IntSumPool
from qpsnn_core.layers import LIF, AvgPool, Conv, Linear, MaxPool
from qpsnn_core.network import AvgPool as Node
from qpsnn_core.network import MaxPool as MaxNode
from qpsnn_core.network import Network, ValueSpec
from qpsnn_datasets import Dataset

STRIDES = {"over": (3, 1), "steps": (3, 2), "apart": (2, 3)}


def images_of(samples):
    """Noise 8x9x2, of three classes."""
    images = np.floor((small.uniform((samples, 8, 9, 2), 1) + 1) * 127).astype(np.uint8)
    return Dataset(images, np.arange(samples) % 3, ("a", "b", "c"), "noise")


@pytest.fixture(scope="module", params=STRIDES)
def made(request):
    """(model, its integers, images): two pools behind neurons, one read by a convolution, one by a linear layer."""
    size, stride = STRIDES[request.param]
    layers = [Conv(4), LIF(), AvgPool(size, stride), Conv(4), LIF(), AvgPool(2, 1), Linear(3)]
    network = qp.sequential((8, 9, 2), layers, steps=3)
    data = images_of(24)
    done = qp.train(network, data, qp.TrainConfig(epochs=1, batch=8))
    model = qp.recalibrate(done.model, data.images)
    return model, qp.lower(model).network, data.images[:4]


def test_a_model_counts_as_the_loops(made):
    model, _, images = made
    ref = loops.run(model, images)
    comp = qp.forward(model, images, save_for_backward=True)
    for name, spikes in ref[1].items():
        np.testing.assert_array_equal(comp.values[name], spikes)
    np.testing.assert_allclose(comp.logits.mean(0), ref[0], atol=1e-4)


def test_integers_are_those_of_the_loops(made):
    _, network, images = made
    assert [(node.size, node.stride) for node in network.of(IntSumPool)][1] == (2, 1)
    readout, spikes, membranes = naive.run(network, images)
    comp = qp.simulate(network, images, record="all")
    np.testing.assert_array_equal(comp.readout, readout)
    for name in spikes:
        np.testing.assert_array_equal(comp.spikes[name], spikes[name])
        np.testing.assert_array_equal(comp.membranes[name], membranes[name])
    assert any(one.any() for one in spikes.values())


@needs_cc
def test_it_runs_in_c(made):
    _, network, images = made
    ref = qpsnn_backends.get("exact").run(network, images, record="all")
    assert_equal(ref, qpsnn_backends.get("c", flags=SANITIZED).run(network, images, record="all"))


@pytest.mark.lava
def test_it_runs_on_lava(made):
    _, network, images = made
    ref = qpsnn_backends.get("exact").run(network, images, record="all")
    assert_equal(ref, qpsnn_backends.get("lava").run(network, images, record="all"))


def test_files_and_the_lift_keep_the_stride(made, tmp_path):
    model, network, images = made
    pools = [(node.size, node.stride) for node in model.network.of(Node)]
    assert Network.from_json(model.network.to_json()) == model.network
    qp.save_integer(tmp_path / "net.h5", network)
    again = qp.load_integer(tmp_path / "net.h5")
    assert [(node.size, node.stride) for node in again.of(IntSumPool)] == pools
    np.testing.assert_array_equal(qp.simulate(again, images).readout, qp.simulate(network, images).readout)
    lifted = qp.lift(network, images_of(24))
    assert [(node.size, node.stride) for node in lifted.network.of(Node)] == pools


def test_files_without_a_stride_are_as_they_were():
    """What older versions wrote loads, and keeps its text."""
    network = qp.sequential((8, 9, 2), [Conv(4), LIF(), AvgPool(2), Linear(3)])
    (pool,) = (node for node in json.loads(network.to_json())["nodes"] if node["kind"] == "AvgPool")
    assert pool == {"kind": "AvgPool", "name": "average1", "source": "lif1", "size": 2}


@pytest.mark.exchange
def test_nir_keeps_a_max_pools_stride(tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    network = qp.sequential((8, 9, 2), [Conv(4), LIF(), MaxPool(3, 2), Linear(3)], steps=3)
    save_nir(tmp_path / "max.nir", qp.initialise(network, 0))
    (pool,) = load_nir(tmp_path / "max.nir", steps=3).network.of(MaxNode)
    assert (pool.size, pool.step, pool.padding) == (3, 2, 0)


@pytest.mark.exchange
def test_nir_keeps_the_stride_both_ways(made, tmp_path):
    import nir

    from naive import nir as graphs
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    model, network, images = made
    save_nir(tmp_path / "model.nir", model)
    back = load_nir(tmp_path / "model.nir", steps=3)
    assert [(node.size, node.step) for node in back.network.of(Node)] == [
        (node.size, node.step) for node in model.network.of(Node)
    ]
    save_nir(tmp_path / "exact.nir", network, exact=True)
    frames = np.repeat(images[None, 0], 3, 0).transpose(0, 3, 1, 2).astype(float)
    comp = graphs.run(nir.read(tmp_path / "exact.nir"), frames, 1.0)
    ref = qp.simulate(network, images[:1], record="spikes")
    for node in network.of(IntLIF):
        spikes = ref.spikes[node.name][:, 0].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(comp[node.name].reshape(spikes.shape), spikes)
    np.testing.assert_array_equal(comp["readout"].sum(0), ref.readout[0])


def test_loihi_refuses_windows_that_overlap(made):
    _, network, _ = made
    with pytest.raises(UnsupportedError, match=r"loihi: average\d: expected windows of a sum that do not overlap"):
        report(network)


def test_loihi_folds_windows_that_lie_apart():
    network = qp.sequential((8, 9, 2), [Conv(4), LIF(), AvgPool(2, 3), Conv(4), LIF(), Linear(3)], steps=3)
    data = images_of(24)
    integers = qp.lower(qp.recalibrate(qp.initialise(network, 0), data.images)).network
    found = {population.name: population for population in populations(integers)}
    (projection,) = found["lif2"].projections
    height, width, channels = found["lif2"].shape
    listed = [
        one
        for y in range(height)
        for x in range(width)
        for c in range(channels)
        for _, one in cores.read_by(integers, "lif2", y, x, c)
    ]
    assert projection.synapses == len(listed)
    assert int(projection.fanout.sum()) == len(listed)


def test_a_stride_is_checked_and_what_fits_no_window_refused():
    with pytest.raises(ConfigError, match=r"a\.stride: expected an integer of at least 0, got -1"):
        Node("a", "x", 2, -1)
    with pytest.raises(ShapeError, match="expected a map of at least 3 pixels, got 2"):
        Node("a", "x", 3, 1).output(ValueSpec("spikes", (2, 2, 1), 1))
    assert Node("a", "x", 3, 2).output(ValueSpec("spikes", (8, 7, 5), 1)).shape == (3, 3, 5)
    assert Node("a", "x", 3, 2).output(ValueSpec("spikes", (8, 7, 5), 2)).max_count == 18
