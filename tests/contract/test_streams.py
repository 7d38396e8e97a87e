"""Sums, concatenations and upsampling of currents: the builder, pruning, filters, units, NIR, the lift and Loihi."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import LoweringError, ShapeError, UnsupportedError
from qpsnn_core.compression.channels.rates import prunable
from qpsnn_core.compression.channels.remove import coupled_groups
from qpsnn_core.compression.weights.hessian import filters
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.lowering.shares import shares
from qpsnn_core.integer.lowering.units import components
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.layers import LIF, AvgPool, Conv, Linear, MaxPool, Sum, Upsample
from qpsnn_core.network import nodes

SHAPE = (4, 6, 2)
IMAGES = np.random.default_rng(4).integers(0, 256, (6, *SHAPE)).astype(np.uint8)


def network(*, sum_alone=False):
    """A stem and two convolutions of its spikes; their sum beside a third, pooled; what is coarse made fine again."""
    builder = qp.Builder(SHAPE, steps=3)
    stem = builder.chain(builder.input, Conv(3), LIF(threshold=0.5))
    parts = [builder.add(Conv(4), stem), builder.add(Conv(4, kernel=1), stem)]
    stream = builder.add(Sum(), *parts)
    if sum_alone:
        builder.chain(builder.add(LIF(threshold=0.6), stream), AvgPool(None), Linear(3))
        return builder.network()
    wide = builder.concat(builder.add(Conv(2, kernel=1), stem), stream)
    inner = builder.chain(wide, MaxPool(2), LIF(threshold=0.5), Conv(5), Upsample())
    builder.chain(builder.add(LIF(threshold=0.5), inner), AvgPool(None), Linear(3))
    return builder.network()


NET = network()
MODEL = qp.recalibrate(qp.initialise(NET, 5), IMAGES)


def test_the_builder_names_them_and_checks_what_they_read():
    assert NET["sum1"] == nodes.Sum("sum1", ("conv2", "conv3"))
    assert NET["concat1"].sources == ("conv4", "sum1")
    assert {name: NET.shape(name) for name in ("concat1", "pool1", "upsample1")} == {
        "concat1": (4, 6, 6),
        "pool1": (2, 3, 6),
        "upsample1": (4, 6, 5),
    }
    with pytest.raises(ShapeError, match=r"sum1 \(from lif1\): expected current, got 'spikes'"):
        qp.sequential(SHAPE, [Conv(3), LIF(), qp.layers.Branches([Conv(3)], []), Sum(), LIF(), Linear(2)])
    with pytest.raises(qp.errors.ConfigError, match=r"^up\.factor: expected an integer of at least 2, got 1$"):
        nodes.Upsample("up", "x", 1)


def test_a_neuron_that_reads_a_concatenation_is_pruned_by_its_channels():
    """Its channels 0 and 1 are conv4's, the others the stream's, which conv2 and conv3 add up."""
    assert coupled_groups(NET) == (("lif1",), ("lif2",), ("lif3",))
    assert prunable(NET, prune_last=True) == ("lif1", "lif2", "lif3")
    kept = qp.remove_channels(MODEL, {"lif2": [1, 2, 5]})
    for name, channels in {"conv4": [1], "conv2": [0, 3], "conv3": [0, 3]}.items():
        np.testing.assert_array_equal(kept.params[name]["weight"], MODEL.params[name]["weight"][..., channels])
        np.testing.assert_array_equal(kept.state[name]["var"], MODEL.state[name]["var"][channels])
    np.testing.assert_array_equal(kept.params["conv5"]["weight"], MODEL.params["conv5"]["weight"][:, :, [1, 2, 5]])
    assert forward(kept, IMAGES).logits.shape == (3, 6, 3)


def test_the_filter_of_a_current_is_that_of_the_neurons_behind_it():
    for name in ("conv2", "conv4"):
        (found,) = filters(NET, NET[name])
        np.testing.assert_array_equal(found, [[1, 0, 0], [0.5, 1, 0], [0.25, 0.5, 1]])


def test_channels_that_meet_have_one_unit():
    """Of lif2 the channels of one synapse, and those of two; integers fire as the trained network does."""
    assert sorted(
        (len(alike.channels[("lif2", 0)]), sorted(name for name, _ in alike.channels))
        for alike in components(NET, shares(NET))
        if ("lif2", 0) in alike.channels
    ) == [(2, ["conv4", "lif2"]), (4, ["conv2", "conv3", "lif2"])]
    integers, _ = qp.lower(MODEL)
    run, done = simulate(integers, IMAGES, record="spikes"), forward(MODEL, IMAGES, save_for_backward=True)
    for name, spikes in run.spikes.items():
        np.testing.assert_array_equal(spikes, done.values[name], name)
        assert 0.05 < spikes.mean() < 0.95


def test_what_cannot_join_currents_says_so():
    integers = qp.lower(MODEL).network
    with pytest.raises(qp.errors.QpsnnError, match=r"^upsample1: the Loihi mapping takes no IntUpsample: several taps"):
        report(integers)
    alone = qp.lower(qp.initialise(network(sum_alone=True), 5)).network
    with pytest.raises(
        UnsupportedError, match=r"^loihi: sum1: .*let the LIF read the currents .*, got a sum of current"
    ):
        report(alone)
    with pytest.raises(LoweringError, match=r"^(conv2: expected one reader|sum1: .*, got a sum of currents$)"):
        qp.lift(integers, IMAGES)


@pytest.mark.exchange
def test_nir_has_sums_of_currents_alone(tmp_path):
    import nir

    from naive import nir as graphs
    from qpsnn_core.exchange.nir_export import save_nir

    model = qp.recalibrate(qp.initialise(network(sum_alone=True), 5), IMAGES)
    save_nir(tmp_path / "a.nir", model)
    frames = np.repeat(IMAGES[None, 0] / 255, 3, 0).transpose(0, 3, 1, 2)
    comp = graphs.run(nir.read(tmp_path / "a.nir"), frames, 1e-4, inclusive=True)
    values = forward(model, IMAGES[:1], save_for_backward=True).values
    for name in ("lif1", "lif2"):
        assert (comp[name] != values[name][:, 0].transpose(0, 3, 1, 2)).mean() < 0.01
    with pytest.raises(UnsupportedError, match=r"^nir: sum1: .*, got a sum of currents$"):
        save_nir(tmp_path / "b.nir", qp.lower(model).network)
    with pytest.raises(UnsupportedError, match="NIR has no node that puts channels side by side"):
        save_nir(tmp_path / "b.nir", MODEL)
