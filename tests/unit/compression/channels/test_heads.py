"""Pruning of attention: what never fires can go, heads stay of equal size, and the transformer shrinks as one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from oracle import networks
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.channels.prune import prune
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, unprunable
from qpsnn_core.engine.passes import forward
from qpsnn_core.network import LIF, Concat, Conv, Input, Linear, Network, Readout, SelfAttention
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.network.zoo.vgg import build

NET = build(
    "spikingformer_4_384",
    (8, 8, 2),
    4,
    widths=(3, 4, 5, 6, 12, 6),
    depth=2,
    heads=3,
    quantizer=None,
    neuron=Neuron(0.5),
    steps=2,
)
MODEL = networks.model(NET)
STREAM = ("block1.lif", "block1.mlp.lif1", "block2.lif", "block2.mlp.lif1")


def dead(model, convolutions, channels):
    """With these channels' currents 0 at all times, so that no neuron of them fires."""
    params = {name: dict(own) for name, own in model.params.items()}
    state = {name: dict(own) for name, own in model.state.items()}
    for name in convolutions:
        for array in ("bn_weight", "bn_bias"):
            params[name][array] = params[name][array].copy()
            params[name][array][channels] = 0
    return model._replace(params=params, state=state)


def logits(model):
    images = np.random.default_rng(3).integers(0, 256, (5, 8, 8, 2)).astype(np.uint8)
    return forward(model, images).logits


def left(channels, count=12):
    return np.setdiff1d(np.arange(count), channels)


def test_which_neurons_keep_the_same_channels():
    groups = [group for group in coupled_groups(NET) if len(group) > 1]
    block = [
        tuple(f"block1.{name}" for name in pair) for pair in (("query.lif", "key.lif"), ("value.lif", "attention.lif"))
    ]
    assert groups[:3] == [STREAM, *block]
    assert len(groups) == 5
    assert not unprunable(NET)


@pytest.mark.parametrize(
    ("convolutions", "neurons", "channels"),
    [
        (("block1.query",), ("block1.query.lif", "block1.key.lif"), [1, 4, 10]),
        (("block2.value",), ("block2.value.lif", "block2.attention.lif"), [0, 2, 5, 6, 8, 9]),
        (("tokenizer.conv5", *(f"block{b}.{c}" for b in (1, 2) for c in ("projection", "mlp.conv2"))), STREAM, [0, 11]),
        (("block1.mlp.conv1",), ("block1.mlp.lif2",), [2, 3]),
    ],
    ids=["queries and keys", "values", "the stream", "an MLP"],
)
def test_what_is_0_at_all_times_can_go(convolutions, neurons, channels):
    model = dead(MODEL, convolutions, channels)
    keep = left(channels, NET.shape(neurons[0])[2])
    pruned = remove_channels(model, dict.fromkeys(neurons, keep))
    assert all(pruned.network.shape(name)[2] == len(keep) for name in neurons)
    assert {node.heads for node in pruned.network.of(SelfAttention)} == {3}
    np.testing.assert_allclose(logits(pruned), logits(model), atol=1e-5)
    assert np.ptp(logits(model)) > 0.1


def test_a_head_goes_as_a_whole():
    parts, gone = ("query", "key", "value"), [4, 5, 6, 7]
    model = dead(MODEL, [f"block2.{part}" for part in parts], gone)
    pruned = remove_channels(model, {f"block2.{part}.lif": left(gone) for part in (*parts, "attention")})
    assert [node.heads for node in pruned.network.of(SelfAttention)] == [3, 2]
    np.testing.assert_allclose(logits(pruned), logits(model), atol=1e-5)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"query": [1, 2, 3]}, "keep.block1.key.lif: expected those of keep.block1.query.lif, as both have the same"),
        (
            {"query": [0, 1, 4, 8], "key": [0, 1, 4, 8]},
            "keep.block1.query.lif: expected as many channels in each of the 3 heads of block1.attention that stay, "
            "got [2, 1, 1]",
        ),
        (
            {name: [0, 1, 8, 9] for name in ("query", "key")},
            "keep.block1.value.lif: expected heads 0, 2 of block1.attention, as keep.block1.query.lif, got heads 0, 1, "
            "2",
        ),
        ({name: [0, 1, 4] for name in ("value", "attention")}, "got [2, 1, 0]"),
    ],
)
def test_what_does_not_line_up_is_refused(keep, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        remove_channels(MODEL, {f"block1.{name}.lif": indices for name, indices in keep.items()})


@pytest.mark.parametrize("heads", ["within", "whole"])
def test_a_third_of_everything(heads):
    """The best channels stay: within each head, or those of the heads that are best on the mean over q, k and v."""
    rng = np.random.default_rng(5)
    scores = {node.name: rng.permutation(NET.shape(node.name)[2]) * 1.0 for node in NET.neurons}
    found = prune(MODEL, scores, 0.25 if heads == "within" else 1 / 3, heads=heads)
    network = found.model.network
    assert network.shape("block2.lif")[2] == (9 if heads == "within" else 8)
    matched, given = (
        np.mean([scores[f"block1.{one}.lif"] for one in pair], 0).reshape(3, 4)
        for pair in (("query", "key"), ("value", "attention"))
    )
    if heads == "within":
        assert [node.heads for node in network.of(SelfAttention)] == [3, 3]
        ref = np.concatenate(
            [4 * head + np.sort(np.argsort(-own, kind="stable")[:3]) for head, own in enumerate(matched)]
        )
    else:
        assert [node.heads for node in network.of(SelfAttention)] == [2, 2]
        best = np.sort(np.argsort(-(matched.mean(1) + given.mean(1)), kind="stable")[:2])
        ref = (4 * best[:, None] + np.arange(4)).reshape(-1)
        np.testing.assert_array_equal(found.kept["block1.value.lif"], ref)
    for name in ("query", "key"):
        np.testing.assert_array_equal(found.kept[f"block1.{name}.lif"], ref)
    assert np.isfinite(logits(found.model)).all()


def test_two_thirds_of_4_384_are_4_256():
    """Exactly the other network of the zoo, within heads of 48, and with 8 of 12 whole heads."""
    rng = np.random.default_rng(0)
    for heads, divided in ((8, "within"), (12, "whole")):
        width = 1 / 8 if heads == 8 else 1 / 4
        net = build("spikingformer_4_384", (16, 16, 3), 10, heads=heads, width=width)
        model = networks.passes.initialise(net)
        scores = {node.name: rng.random(net.shape(node.name)[2]) for node in net.neurons}
        pruned = prune(model, scores, 1 / 3, heads=divided).model.network
        assert pruned == build("spikingformer_4_256", (16, 16, 3), 10, heads=8, width=width)


def test_a_rate_of_one_of_two_that_lose_the_same_heads_is_refused():
    scores = {node.name: np.ones(NET.shape(node.name)[2]) for node in NET.neurons}
    rates = {f"block1.{name}": 1 / 3 for name in ("query", "key")}
    assert prune(MODEL, scores, {**rates}).model.network.shape("block1.query") == (2, 2, 6)
    with pytest.raises(
        ConfigError, match=r"rates\.block1\.value\.lif: expected 0\.333\d+, as block1\.query\.lif keeps the same heads"
    ):
        prune(MODEL, scores, rates, heads="whole")
    with pytest.raises(ConfigError, match=r"prune\.heads: expected one of within, whole, got 'half'"):
        prune(MODEL, scores, rates, heads="half")


def test_values_side_by_side_keep_their_channels():
    nodes = (
        Input("input", (3, 3, 2)),
        *(node for n in range(4) for node in (Conv(f"conv{n}", "input", 4), LIF(f"lif{n}", (f"conv{n}",)))),
        Concat("both", ("lif0", "lif1")),
        Conv("wide", "input", 8),
        LIF("key", ("wide",)),
        SelfAttention("attention", "both", "key", "lif2", 2),
        LIF("behind", ("attention", "conv3")),
        Linear("linear", "behind", 3),
        Linear("unused", "lif3", 3),
        LIF("end", ("linear", "unused")),
        Readout("readout", "end"),
    )
    net = Network(nodes)
    assert unprunable(net) == {"lif0", "lif1", "key", "end"}
    assert ("lif2", "lif3", "behind") in coupled_groups(net)
