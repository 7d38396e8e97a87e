"""Pools of images and of currents, in windows of any shape: pruning, lowering, NIR, the lift and Loihi."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import ConfigError, LoweringError, UnsupportedError
from qpsnn_core.compression.weights.hessian import filters
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.nodes import IntSumPool
from qpsnn_core.layers import LIF, AvgPool, Conv, Linear, MaxPool
from qpsnn_core.network import nodes

SHAPE = (7, 6, 2)
IMAGES = np.random.default_rng(4).integers(0, 256, (6, *SHAPE)).astype(np.uint8)


def made(*layers):
    network = qp.sequential(SHAPE, [*layers], steps=3)
    return qp.recalibrate(qp.initialise(network, 5), IMAGES)


MEAN = made(Conv(4), AvgPool((2, 3), 1), LIF(threshold=0.5), Conv(5), LIF(threshold=0.5), Linear(3))
LARGEST = made(MaxPool((2, 1)), Conv(4), MaxPool(2), LIF(), Linear(3))


def test_a_layer_of_the_whole_map_needs_no_square():
    (pool,) = qp.sequential(SHAPE, [Conv(4), LIF(), AvgPool(None), Linear(3)]).of(nodes.AvgPool)
    assert pool.size == (7, 6)


@pytest.mark.parametrize("stride", [(0, 1), -1, (1,), 1.5])
def test_strides_that_cannot_be_are_refused(stride):
    with pytest.raises(ConfigError, match=r"^p\.stride: expected "):
        nodes.AvgPool("p", "x", 2, stride)


@pytest.mark.parametrize("model", [MEAN, LARGEST])
def test_channels_are_pruned_through_a_pool_of_their_currents(model):
    kept = qp.remove_channels(model, {"lif1": [0, 3]})
    assert kept.network["conv1"].channels == 2
    assert kept.network.shape("lif1")[2] == 2
    np.testing.assert_array_equal(kept.params["conv1"]["weight"], model.params["conv1"]["weight"][..., [0, 3]])


def test_the_filter_of_a_pooled_current_is_that_of_the_neurons_behind_it():
    (found,) = filters(MEAN.network, MEAN.network["conv1"])
    np.testing.assert_array_equal(found, [[1, 0, 0], [0.5, 1, 0], [0.25, 0.5, 1]])


def test_a_pooled_current_has_one_reader_in_integers():
    """Trained it may have two; the gain of its integers is the pool's."""
    nodes_ = (
        nodes.Input("input", SHAPE),
        nodes.Conv("conv", "input", 2),
        nodes.AvgPool("pool", "conv", (7, 6)),
        nodes.LIF("lif1", ("pool",)),
        nodes.LIF("lif2", ("conv",)),
        nodes.Linear("linear1", "lif1", 2),
        nodes.Linear("linear2", "lif2", 2),
        nodes.LIF("lif3", ("linear1", "linear2")),
        nodes.Readout("readout", "lif3"),
    )
    model = qp.initialise(qp.Network(nodes_, 2))
    assert forward(model, IMAGES).logits.shape == (2, 6, 2)
    with pytest.raises(
        LoweringError, match=r"^conv: expected pool as its only reader, whose gain it takes, got pool, lif2$"
    ):
        qp.lower(model)


def test_what_cannot_pool_currents_says_so():
    integers = qp.lower(MEAN).network
    assert integers.of(IntSumPool)[0].size == (2, 3)
    with pytest.raises(UnsupportedError, match=r"^loihi: average1: .*, got a pool of currents$"):
        report(integers)
    with pytest.raises(LoweringError, match=r"^average1: .*, got a pool of currents$"):
        qp.lift(integers, IMAGES)


@pytest.mark.exchange
def test_nir_has_mean_pools_of_currents_alone(tmp_path):
    import nir

    from naive import nir as graphs
    from qpsnn_core.exchange.nir_export import save_nir

    save_nir(tmp_path / "a.nir", MEAN)
    frames = np.repeat(IMAGES[None, 0] / 255, 3, 0).transpose(0, 3, 1, 2)
    comp = graphs.run(nir.read(tmp_path / "a.nir"), frames, 1e-4, inclusive=True)
    values = forward(MEAN, IMAGES[:1], save_for_backward=True).values
    for name in ("lif1", "lif2"):
        assert (comp[name] != values[name][:, 0].transpose(0, 3, 1, 2)).mean() < 0.01
    for source in (LARGEST, qp.lower(MEAN).network):
        with pytest.raises(UnsupportedError, match=r"pool1: .*no max-pool|average1: .*got a pool of currents"):
            save_nir(tmp_path / "b.nir", source)
    for source in (qp.lower(LARGEST).network, qp.lower(MEAN).network):
        with pytest.raises(UnsupportedError, match=r"^nir: (pool2|average1): .*, got a pool of currents$"):
            save_nir(tmp_path / "b.nir", source, exact=True)
