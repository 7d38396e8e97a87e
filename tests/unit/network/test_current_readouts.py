"""The readout of currents as a node: what a network chooses for it and beside it, its cost, its channels, its text."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core import layers
from qpsnn_core.common.errors import ConfigError, NetworkError
from qpsnn_core.compression.channels.rates import prunable
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, unprunable
from qpsnn_core.engine.passes import forward
from qpsnn_core.network import LIF, Conv, CurrentReadout, Input, Linear, MaxPool, Network, Quantizer, Readout
from qpsnn_core.network.defaults import INTEGER_FIRST, INTEGER_LAST

STREAM = (
    Input("in", (4, 4, 2)),
    Conv("a", "in", 6),
    LIF("l1", ("a",)),
    Conv("b", "l1", 6),
    LIF("l2", ("a", "b")),
    Conv("c", "l2", 6),
)
HEAD = CurrentReadout("head", ("a", "b", "c"), 5)
NET = Network((*STREAM, HEAD), 3)


def test_it_is_the_last_layer_and_what_it_reads_are_layers_between():
    assert NET.readout.quantizer == INTEGER_LAST
    assert NET["a"].quantizer == INTEGER_FIRST
    assert [NET[name].quantizer for name in "bc"] == [Quantizer(4, "mean")] * 2
    assert [node.gain for node in NET.synapses] == [0.0] * 4
    plain = Network((*STREAM[:-1], Conv("c", "l2", 6, batch_norm=False), HEAD), 3)
    assert plain["c"].gain == 0.0  # it drives no neuron
    ends = Network((*STREAM[:3], Linear("fc", "l1", 5), Readout("out", "fc")), 3)
    assert ends["fc"].quantizer == INTEGER_LAST  # as ever


def test_shapes_cost_and_text():
    assert NET.shape("head") == (1, 1, 5)
    each = NET.change("head", places="each")
    assert each.shape("head") == (4, 4, 5)
    assert Network.from_json(each.to_json()) == each
    found, mapped = qp.cost(NET), qp.cost(each)
    row = {one.name: one for one in found.nodes}["head"]
    assert (row.quantized, row.real, row.macs) == (30, 5, 30)
    assert row.bits == 8 * 30 + 32 * 5
    assert row.saved_bits == 8 * 30 + 32 * (5 + 6 + 5)  # codes; gains, factors and biases
    assert found.image_macs == 16 * 9 * 2 * 6 + 30
    assert mapped.image_macs == 16 * 9 * 2 * 6 + 16 * 30


def test_its_channels_are_those_of_the_whole_stream():
    assert coupled_groups(NET) == (("l1", "l2"),)
    assert unprunable(NET) == frozenset()
    assert prunable(NET) == ("l1", "l2")
    pooled = Network(
        (*STREAM[:-1], MaxPool("p", "b", 1), Conv("d", "l2", 6), CurrentReadout("head", ("a", "p", "d"), 5))
    )
    assert coupled_groups(pooled) == (("l1", "l2"),)
    keep = [0, 2, 5]
    model = qp.initialise(NET, 1)
    model.params["head"]["weight"][[1, 3, 4]] = 0  # what is removed had no say
    cut = remove_channels(model, {"l1": keep, "l2": keep})
    assert cut.network.shape("c") == (4, 4, 3)
    np.testing.assert_array_equal(cut.params["head"]["weight"], model.params["head"]["weight"][keep])
    np.testing.assert_array_equal(cut.params["c"]["weight"], model.params["c"]["weight"][:, :, keep][..., keep])
    with pytest.raises(ConfigError, match=r"^keep\.l2: expected those of keep\.l1"):
        remove_channels(model, {"l1": keep})
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 2)).astype(np.uint8)
    assert forward(cut, images).logits.shape == (3, 2, 5)


def test_a_list_of_layers_ends_with_it():
    branches = layers.Branches([layers.Conv(6), layers.LIF(), layers.Conv(6)], [layers.Conv(6)])
    made = qp.sequential((4, 4, 2), [layers.Conv(4), layers.LIF(), branches, layers.CurrentReadout(5)])
    assert type(made.readout) is CurrentReadout
    assert (made.readout.name, made.readout.sources) == ("readout", ("conv3", "conv4"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"places": "some"}, r"^head\.places: expected one of mean, each, got 'some' .did you mean 'mean'.*$"),
        ({"channels": 0}, r"^head\.channels: expected an integer of at least 1, got 0$"),
        ({"sources": ()}, r"^head\.sources: expected a tuple of at least 1 different names, got \(\)$"),
        ({"sparse": True, "quantizer": Quantizer(8, "max")}, r"^head\.quantizer\.zero: expected true where weights"),
    ],
)
def test_wrong_options_are_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        CurrentReadout(**{"name": "head", "sources": ("a",), "channels": 5, **changes})


def test_a_network_may_have_several_readouts_of_currents():
    several = Network((*STREAM, CurrentReadout("early", ("a", "b"), 5), HEAD), 3)
    assert [node.name for node in several.readouts] == ["early", HEAD.name]
    with pytest.raises(NetworkError, match="early"):
        _ = several.readout
