"""Readouts of spikes and of membranes: from a list of layers to C, Loihi, NetX and NIR, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compiled import needs_cc
from generators.chains import chain

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_backends.lava import stock
from qpsnn_backends.loihi.populations import populations
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import ConfigError, ShapeError, UnsupportedError
from qpsnn_core.compression.channels.rates import last, prunable
from qpsnn_core.engine.passes import forward
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntReadout
from qpsnn_core.integer.stateful import StatefulSimulator, check_unbounded
from qpsnn_core.layers import LIF, Conv, Linear, Readout
from qpsnn_core.network import nodes
from qpsnn_core.network.values import ValueSpec

SHAPE = (5, 4, 2)
IMAGES = np.random.default_rng(4).integers(0, 256, (6, *SHAPE)).astype(np.uint8)


def made(*end):
    """A network of two layers that ends so, with lively parameters."""
    network = qp.sequential(SHAPE, [Conv(4), LIF(), Linear(3), *end], steps=3)
    model = qp.recalibrate(qp.initialise(network, 5), IMAGES)
    weight = model.params["linear1"]["weight"]
    return model._replace(params={**model.params, "linear1": {**model.params["linear1"], "weight": weight * 4}})


COUNTED = made(LIF(threshold=0.3))
MEMBRANE = {mode: made(Readout(mode, beta=0.75)) for mode in ("mean", "last", "max")}


def test_a_last_lif_is_counted():
    network = COUNTED.network
    assert network.readout == nodes.Readout("readout", "lif2")
    assert network["linear1"].quantizer.bits == 8
    logits = forward(COUNTED, IMAGES, save_for_backward=True)
    np.testing.assert_array_equal(logits.logits, logits.values["lif2"][:, :, 0, 0])
    integers = qp.lower(COUNTED).network
    run = qp.simulate(integers, IMAGES, record="spikes")
    np.testing.assert_array_equal(run.readout, run.spikes["lif2"].sum(0)[:, 0, 0])
    assert 0 < run.readout.mean() < 3


def test_of_equal_counts_the_lowest_class_is_the_answer():
    integers = qp.lower(COUNTED).network
    readout = qp.simulate(integers, IMAGES).readout
    tied = (readout == readout.max(1, keepdims=True)).sum(1) > 1
    assert tied.any()
    np.testing.assert_array_equal(qp.predict(integers, IMAGES).labels, readout.argmax(1))


def test_classes_are_not_pruned():
    network = COUNTED.network
    assert last(network) == ("lif1",)
    assert prunable(network) == ()
    assert prunable(network, prune_last=True) == ("lif1",)
    with pytest.raises(ConfigError, match=r"keep\.lif2: expected all 3"):
        qp.remove_channels(COUNTED, {"lif2": [0, 1]})


@needs_cc
@pytest.mark.parametrize("model", [COUNTED, *MEMBRANE.values()], ids=["counted", *MEMBRANE])
def test_c_streams_them(model):
    integers = qp.lower(model).network
    exact, found = (qpsnn_backends.get(name).run(integers, IMAGES, record="none") for name in ("exact", "c"))
    np.testing.assert_array_equal(found.readout, exact.readout)


def test_spikes_are_counted_outside_the_chip():
    integers = qp.lower(COUNTED).network
    assert [one.name for one in populations(integers)] == ["input", "lif1", "lif2"]
    assert [layer.name for layer in report(integers).layers] == ["lif1", "lif2"]


def test_the_membrane_of_a_readout_is_a_state_on_the_chip():
    uses = {use.resource: use.used for use in report(qp.lower(MEMBRANE["last"]).network).layers[-1].uses}
    integers = qp.lower(MEMBRANE["last"]).network
    assert uses["state"] == int(integers.values["readout"].interval.largest.max())


def counted_chain():
    """A chain whose last neurons are counted."""
    network = chain()
    *first, end, _, _ = network.nodes
    return IntegerNetwork(
        (*first, end, IntReadout("readout", end.name)),
        {
            **{node.name: network.arrays[node.name] for node in (*first, end)},
            "readout": {"bias": np.zeros(7, np.int32)},
        },
        3,
    )


def test_a_file_of_netx_ends_with_the_neurons_that_are_counted(tmp_path):
    integers = counted_chain()
    assert [layer.neuron for layer in save_netx(tmp_path / "a.net", integers)] == ["lif1", "lif2", "lif3"]
    parts = stock.plan(integers, spikes=False).wiring.parts
    assert (parts[-1].name, parts[-1].reads) == ("readout", ("lif3",))


@pytest.mark.parametrize(("mode", "multiplier"), [("last", 0), ("max", 1), ("mean", 1)])
def test_netx_and_a_stream_have_no_membrane_to_read(tmp_path, mode, multiplier):
    network = chain()
    end = replace(network.readout, mode=mode, multiplier=multiplier)
    integers = IntegerNetwork((*network.nodes[:-1], end), network.arrays, 3)
    with pytest.raises(UnsupportedError, match=r"readout\.(mode|multiplier): "):
        save_netx(tmp_path / "a.net", integers)
    assert stock.plan(integers).wiring.of("readout")[0].settings["mode"] == mode
    with pytest.raises(UnsupportedError, match=r"^readout: expected a readout that sums .*, got mode '.*', multiplier"):
        check_unbounded(integers)
    images = np.random.default_rng(1).integers(0, 2, (3, 4, *integers.input.shape)).astype(np.uint8)
    found = StatefulSimulator(integers, 3).run(images).readout
    np.testing.assert_array_equal(found, qp.simulate(integers, images).readout)


@pytest.mark.exchange
@pytest.mark.parametrize("exact", [False, True])
def test_nir_writes_spikes_as_the_output(tmp_path, exact):
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    integers = qp.lower(COUNTED).network
    save_nir(tmp_path / "a.nir", integers, exact=exact)
    found = load_nir(tmp_path / "a.nir")
    assert found.network.readout == nodes.Readout("readout", "lif2")
    np.testing.assert_array_equal(
        forward(found, IMAGES.astype(np.float32) if found.network.input.peak is None else IMAGES).logits.sum(0),
        qp.simulate(integers, IMAGES).readout,
    )
    for source in (MEMBRANE["last"], MEMBRANE["mean"], qp.lower(MEMBRANE["max"]).network):
        with pytest.raises(UnsupportedError, match=r"readout.*: NIR has no word for what is read"):
            save_nir(tmp_path / "b.nir", source)


@pytest.mark.parametrize("model", [COUNTED, *MEMBRANE.values()], ids=["counted", *MEMBRANE])
def test_the_lift_has_the_same_readout(model):
    integers = qp.lower(model).network
    lifted = qp.lift(integers, IMAGES)
    assert lifted.network.readout == model.network.readout
    again = qp.lower(lifted)
    want = qp.simulate(integers, IMAGES).readout * integers.readout.unit(3)
    found = qp.simulate(again.network, IMAGES).readout * again.network.readout.unit(3)
    np.testing.assert_allclose(found, want, atol=4 * again.report.readout.rounding + 1e-3)


CURRENT, SPIKES = ValueSpec("current", (1, 1, 3)), ValueSpec("spikes", (1, 1, 3), 1)


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ({"mode": "last"}, CURRENT, r"^r\.beta: expected a leak for mode='last' .*, got None$"),
        ({"mode": "sum"}, CURRENT, r"^r\.mode: expected one of mean, last, max, got 'sum'$"),
        ({"beta": 1.5}, CURRENT, r"^r\.beta: expected a number from 0 to 1, got 1\.5$"),
        ({"beta": 0.5, "tau": 2.0}, CURRENT, r"^r\.tau: expected beta or tau, not both"),
        ({"mode": "max", "beta": 0.5}, SPIKES, r"^r\.mode: expected 'mean' for spikes, which are counted"),
        ({"beta": 0.5}, SPIKES, r"^r\.beta: expected None for spikes, which are counted"),
    ],
)
def test_a_readout_that_cannot_be_is_refused(options, value, message):
    with pytest.raises((ConfigError, ShapeError), match=message):
        nodes.Readout("r", "x", **options).output(value)


def test_tau_is_kept_as_beta():
    assert nodes.Readout("r", "x", "last", tau=4.0) == nodes.Readout("r", "x", "last", 0.75)


def test_a_readout_as_it_always_was_has_its_old_text():
    network = qp.sequential(SHAPE, [Linear(3)])
    assert '{"kind":"Readout","name":"readout","source":"linear1"}' in network.to_json()
    changed = replace(network, nodes=(*network.nodes[:-1], nodes.Readout("readout", "linear1", "last", 1.0)))
    assert qp.Network.from_json(changed.to_json()) == changed
