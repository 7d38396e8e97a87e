"""Concatenation of channels: from the builder to pruning, NIR's refusal, the lift and Loihi."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from naive import loihi as cores
from qpsnn_backends.loihi.populations import populations
from qpsnn_core.common.errors import ConfigError, ShapeError, UnsupportedError
from qpsnn_core.compression.channels.rates import last, prunable
from qpsnn_core.compression.channels.remove import coupled_groups
from qpsnn_core.engine.passes import forward
from qpsnn_core.layers import LIF, AvgPool, Branches, Concat, Conv, Linear, MaxPool, Sum
from qpsnn_core.network import nodes

SHAPE = (4, 5, 2)
IMAGES = np.random.default_rng(4).integers(0, 256, (6, *SHAPE)).astype(np.uint8)


def made():
    """Two branches side by side, pooled, read by a convolution and a linear layer."""
    builder = qp.Builder(SHAPE, steps=3)
    stem = builder.chain(builder.input, Conv(3), LIF())
    branch = builder.chain(stem, Conv(4), LIF(threshold=0.6))
    both = builder.concat(stem, branch)
    pooled = builder.add(MaxPool(2, 1), both)
    inner = builder.chain(pooled, Conv(5), LIF(threshold=0.6))
    builder.chain(builder.concat(inner, pooled), Linear(3))
    return qp.recalibrate(qp.initialise(builder.network(), 3), IMAGES)


MODEL = made()
INTEGERS = qp.lower(MODEL).network


def test_the_builder_names_it_and_branches_end_in_it():
    assert MODEL.network["concat1"] == nodes.Concat("concat1", ("lif1", "lif2"))
    assert MODEL.network.shape("concat2") == (3, 4, 12)
    network = qp.sequential(SHAPE, [Conv(3), LIF(), Branches([Conv(4), LIF()], []), Concat(), Linear(3)])
    assert network["concat1"].sources == ("lif2", "lif1")
    assert "concat1  Concat  lif2, lif1  4x5x7" in " ".join(str(network).split("\n")).replace("   ", "  ")


def test_maps_of_other_sizes_or_scales_are_refused():
    with pytest.raises(ShapeError, match=r"concat1 \(from average1\): expected a map of \(4, 5\) at scale 1.0"):
        qp.sequential(SHAPE, [Conv(3), LIF(), Branches([], [AvgPool(2)]), Concat(), Linear(3)])


def test_each_source_is_pruned_by_itself():
    """With gamma "one" no code depends on other channels: what never fires is removed without a trace."""
    assert coupled_groups(MODEL.network) == (("lif1",), ("lif2",), ("lif3",))
    assert last(MODEL.network) == ("lif1", "lif2", "lif3")
    assert prunable(MODEL.network, prune_last=True) == ("lif1", "lif2", "lif3")
    model = MODEL
    for node in MODEL.network.synapses:
        model = model._replace(network=model.network.change(node.name, quantizer=None))
    dead = {"conv1": [1], "conv2": [0, 3], "conv3": [2]}
    params = {name: {key: array.copy() for key, array in own.items()} for name, own in model.params.items()}
    for name, channels in dead.items():
        params[name]["bn_weight"][channels] = 0
        params[name]["bn_bias"][channels] = -1
    model = model._replace(params=params)
    kept = qp.remove_channels(model, {"lif1": [0, 2], "lif2": [1, 2], "lif3": [0, 1, 3, 4]})
    assert kept.network.shape("concat2") == (3, 4, 8)
    np.testing.assert_allclose(forward(kept, IMAGES).logits, forward(model, IMAGES).logits, atol=1e-5)


def test_channels_that_do_not_line_up_in_a_sum_stay():
    builder = qp.Builder(SHAPE, steps=2)
    stem = builder.chain(builder.input, Conv(2), LIF())
    both = builder.concat(stem, builder.chain(stem, Conv(2), LIF()))
    wide = builder.chain(stem, Conv(4), LIF())
    builder.chain(builder.add(Sum(), both, wide), Linear(3))
    network = builder.network()
    assert prunable(network, prune_last=True) == ()
    with pytest.raises(ConfigError, match=r"keep\.lif3: expected "):
        qp.remove_channels(qp.initialise(network), {"lif3": [0, 1]})


@pytest.mark.parametrize("residual", ["map", "together"])
def test_parts_of_unlike_widths_that_a_sum_ties_stay_and_all_others_go(residual):
    builder = qp.Builder(SHAPE, steps=2)
    first = builder.chain(builder.input, Conv(4), LIF())
    parts = builder.add(Concat(), first, builder.chain(first, Conv(3), LIF()))
    both = builder.add(Sum(), parts, builder.chain(parts, Conv(7), LIF()))
    builder.chain(both, Conv(6), LIF(), Linear(3))
    model = qp.initialise(builder.network())
    scores = {node.name: np.arange(float(model.network.shape(node.name)[2])) for node in model.network.neurons}
    kept = qp.prune(model, scores, 0.5, residual=residual, prune_last=True).kept
    assert {name: len(some) for name, some in kept.items()} == {"lif1": 4, "lif2": 3, "lif3": 7, "lif4": 3}
    with pytest.raises(ConfigError, match=r"^keep.lif2: expected all 3"):
        qp.remove_channels(model, {"lif2": np.arange(2)})


def test_the_lift_and_loihi_take_it():
    lifted = qp.lift(INTEGERS, IMAGES)
    assert lifted.network["concat1"] == MODEL.network["concat1"]
    found = {population.name: population for population in populations(INTEGERS)}
    for name in ("lif3", "readout"):
        listed = [cores.read_by(INTEGERS, name, *place) for place in np.ndindex(*found[name].shape)]
        assert sum(projection.synapses for projection in found[name].projections) == sum(map(len, listed))


@pytest.mark.exchange
def test_nir_refuses_it(tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir

    for source in (MODEL, INTEGERS):
        with pytest.raises(UnsupportedError, match=r"^concat1: .*NIR has no node that puts channels side by side$"):
            save_nir(tmp_path / "a.nir", source)
