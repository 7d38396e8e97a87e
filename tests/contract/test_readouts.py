"""Networks with several readouts, of maps: every room gives each of them by its name, or refuses several by name."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

import qpsnn_backends
import qpsnn_core as qp
from naive import integer as naive
from oracle import network as oracle
from oracle import tape
from qpsnn_backends.c.export import export
from qpsnn_core.common.errors import ArgumentError, LoweringError, NetworkError, ShapeError, UnsupportedError
from qpsnn_core.compression.channels.rates import last, prunable
from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.lava_lif import chain
from qpsnn_core.integer.simulate import predict, simulate
from qpsnn_core.network import LIF, Concat, Conv, Input, Linear, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.cost import cost
from qpsnn_core.network.graph import Network
from qpsnn_datasets import Dataset

NODES = (
    Input("input", (6, 4, 2)),
    Conv("conv1", "input", 4, stride=2),
    LIF("lif1", ("conv1",), 0.6, 0.25),
    Conv("conv2", "lif1", 4),
    Conv("conv3", "lif1", 4, 1, 1, 0),
    Sum("stream", ("conv2", "conv3")),
    Conv("wider", "lif1", 2, 1, 1, 0),
    Concat("beside", ("wider", "stream")),
    LIF("lif2", ("beside",), 0.6),
    MaxPool("pool", "lif2", 2, 1),
    Conv("coarse", "pool", 3, 1, 1, 0, bias=True, batch_norm=False),
    Upsample("finer", "lif2"),
    Conv("fine", "finer", 2, bias=True, batch_norm=False),
    Readout("map", "fine", places="each"),
    Readout("leaky", "coarse", "max", 0.5, places="each"),
    Linear("classes", "lif1", 3),
    Readout("last", "classes"),
)
NETWORK = Network(NODES, 3)
IMAGES = np.random.default_rng(5).integers(0, 256, (5, 6, 4, 2)).astype(np.uint8)
SHAPES = {"map": (6, 4, 2), "leaky": (2, 1, 3), "last": (3,)}


def made():
    model = qp.recalibrate(qp.initialise(NETWORK, 4), IMAGES)
    rng = np.random.default_rng(6)
    for name in ("coarse", "fine"):
        model.params[name]["bias"][:] = rng.normal(0, 0.3, len(model.params[name]["bias"]))
    return model


MODEL = made()
LOWERED = qp.lower(MODEL)


def test_they_are_in_order_with_their_shapes_and_survive_as_text():
    assert [node.name for node in NETWORK.readouts] == list(SHAPES)
    assert {name: NETWORK.answer_shape(name) for name in SHAPES} == SHAPES
    assert Network.from_json(NETWORK.to_json()) == NETWORK
    assert repr(NETWORK) == "Network(17 nodes, 6x4x2 to 6x4x2, 2x1x3, 1x1x3, T = 3)"
    only = Network((*NODES[:3], NODES[-2], NODES[-1]), 3)
    assert "places" not in json.dumps(json.loads(only.to_json())["nodes"][-1])
    assert forward(MODEL, IMAGES).outputs.keys() == SHAPES.keys()
    counted = {one.name: one for one in cost(NETWORK).nodes}
    assert (counted["leaky"].membrane_bits, counted["leaky"].saved_bits) == (32 * 2 * 1 * 3, 32 * 3)


def test_what_is_about_one_readout_refuses_several_and_maps_by_name():
    several = r"^network\.readout: expected one readout.*, got 3: map, leaky, last$"
    done = forward(MODEL, IMAGES, save_for_backward=True)
    data = Dataset(IMAGES, np.zeros(5, np.int64), ("a", "b", "c"), "five")
    integers = LOWERED.network
    for call in (
        lambda: NETWORK.readout,
        lambda: NETWORK.classes,
        lambda: done.logits,
        lambda: qp.evaluate(MODEL, data),
        lambda: qp.predict(MODEL, IMAGES),
        lambda: qp.train(MODEL, data, qp.TrainConfig(epochs=1)),
        lambda: predict(integers, IMAGES),
        lambda: simulate(integers, IMAGES).readout,
        lambda: backward(MODEL, done, done.outputs["last"]),
    ):
        with pytest.raises(NetworkError, match=several):
            call()
    with pytest.raises(UnsupportedError, match=r"^netx: readouts: expected one readout of one pixel"):
        chain(integers, "netx")
    one_map = Network((*NODES[:9], NODES[11], NODES[12], NODES[13]), 3)
    with pytest.raises(
        NetworkError, match=r"^map\.places: expected classes, .*\(map gives a map, 6x4x2\), got 'each'$"
    ):
        qp.predict(qp.initialise(one_map), IMAGES)
    assert (qp.inspect(MODEL, IMAGES).labels == -1).all()
    assert (qp.inspect(integers, IMAGES).labels == -1).all()


def test_a_readout_is_read_by_none_and_the_last_node():
    with pytest.raises(NetworkError, match=r"^wrong\.source: expected no readout, .*, got last \(Readout\)$"):
        Network((*NODES, Conv("wrong", "last", 2), Readout("end", "wrong", places="each")), 3)
    with pytest.raises(NetworkError, match=r"^network: expected Readout or CurrentReadout, the last node"):
        Network(NODES[:-1], 3)
    with pytest.raises(ShapeError, match=r"^map \(from fine\): expected a shape \(1, 1, classes\), got \(6, 4, 2\)$"):
        NETWORK.change("map", places="one")


def gradients():
    rng = np.random.default_rng(7)
    done = forward(MODEL, IMAGES, train=True, save_for_backward=True)
    return done, {name: rng.normal(0, 1, one.shape).astype(np.float32) for name, one in done.outputs.items()}


def test_gradients_are_those_of_the_sum_of_all_of_them():
    """As the tape has them, of `sum_r sum logits_r * g_r`."""
    done, given = gradients()
    found = backward(MODEL, done, given)
    run = oracle.run(MODEL, IMAGES, train=True)
    products = [run.logits[name] * one.astype(float) for name, one in given.items()]
    terms = [tape.mean(one, tuple(range(one.value.ndim))) * float(one.value.size) for one in products]
    sum(terms[1:], start=terms[0]).backward()
    for node, own in run.leaves.items():
        for name, leaf in own.items():
            scale = np.abs(leaf.gradient).max() + 1e-6
            np.testing.assert_allclose(found[node][name], leaf.gradient, rtol=0, atol=2e-5 * scale, err_msg=node)


def test_a_gradient_for_each_is_asked_for():
    done, given = gradients()
    with pytest.raises(
        ArgumentError, match=r"^backward\.gradient: expected one for each readout, map, leaky, last, got"
    ):
        backward(MODEL, done, {"map": given["map"]})
    with pytest.raises(ShapeError, match=r"^leaky: gradient: expected \[1, 5, 2, 1, 3\], got \[3, 5, 2, 1, 3\]$"):
        backward(MODEL, done, {**given, "leaky": np.zeros((3, 5, 2, 1, 3), np.float32)})


def test_pruning_goes_by_all_of_them():
    assert last(NETWORK) == ("lif1", "lif2")
    assert prunable(NETWORK) == ()
    assert prunable(NETWORK, prune_last=True) == ("lif1", "lif2")
    kept = qp.remove_channels(MODEL, {"lif2": [0, 3, 5]}).network
    widths = {"wider": 1, "conv2": 2, "conv3": 2, "stream": 2, "beside": 3, "lif2": 3, "conv1": 4}
    assert {name: kept.shape(name)[2] for name in widths} == widths


def test_integers_give_each_within_its_rounding(tmp_path):
    integers, report = LOWERED
    run, done = simulate(integers, IMAGES, record="all"), forward(MODEL, IMAGES, save_for_backward=True)
    readouts, spikes, membranes = naive.run_all(integers, IMAGES)
    for lif in NETWORK.neurons:
        np.testing.assert_array_equal(run.spikes[lif.name], spikes[lif.name])
        np.testing.assert_array_equal(run.membranes[lif.name], membranes[lif.name])
        np.testing.assert_array_equal(run.spikes[lif.name], done.values[lif.name])
    for node in integers.readouts:
        assert run.readouts[node.name].shape == (5, *SHAPES[node.name])
        np.testing.assert_array_equal(run.readouts[node.name], readouts[node.name])
        real = run.readouts[node.name] * node.unit(3)
        np.testing.assert_allclose(
            real, done.outputs[node.name].mean(0), rtol=1e-5, atol=report[node.name].rounding + 1e-5
        )
    assert [part["name"] for part in report.to_dict()["readouts"]] == list(SHAPES)
    save_integer(tmp_path / "a.h5", integers)
    assert load_integer(tmp_path / "a.h5").digest() == integers.digest()


def test_a_current_that_a_readout_and_others_read_has_no_integers():
    """Its gain is that of the outputs' unit, or of the neurons'."""
    nodes = (*NODES[:2], LIF("lif1", ("conv1",)), Readout("early", "conv1", places="each"), *NODES[-2:])
    with pytest.raises(
        LoweringError, match=r"^conv1: current: expected to be read by early alone, .*, got lif1, early$"
    ):
        qp.lower(qp.initialise(Network(nodes, 2)))


def assert_same(run, exact):
    assert run.readouts.keys() == exact.readouts.keys()
    for name, array in exact.readouts.items():
        np.testing.assert_array_equal(run.readouts[name], array, name)
    for name, array in exact.spikes.items():
        np.testing.assert_array_equal(run.spikes[name], array, name)


@pytest.mark.once
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_c_gives_each(tmp_path):
    integers = LOWERED.network
    run = qpsnn_backends.get("c").run(integers, IMAGES, record="all")
    assert_same(run, simulate(integers, IMAGES, record="all"))
    export(integers, tmp_path / "c", images=IMAGES)
    done = subprocess.run(["make", "-C", str(tmp_path / "c"), "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "leaky: 2 x 1 x 3 of these, from 48 on" in (tmp_path / "c" / "network.h").read_text()


@pytest.mark.lava
def test_lava_gives_each():
    integers = LOWERED.network
    run = qpsnn_backends.get("lava").run(integers, IMAGES[:2], record="all")
    assert_same(run, simulate(integers, IMAGES[:2], record="all"))
