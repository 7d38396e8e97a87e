"""Spikingformer against its published figures, and against QP-SNN's Table 4; its options."""

from __future__ import annotations

import re

import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.network import LIF, Conv, CurrentReadout, MaxPool, Quantizer, SelfAttention
from qpsnn_core.network.cost import cost
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.network.zoo.spikingformer import unused_parameters
from qpsnn_core.network.zoo.vgg import build, spikingformer_4_256, spikingformer_4_384
from qpsnn_core.recipes.recipe import recipe_from_dict


@pytest.mark.parametrize(("classes", "heads", "published"), [(10, 12, 9_326_266), (100, 8, 9_360_916)])
def test_the_parameters_are_the_published_ones_but_for_those_that_nothing_uses(classes, heads, published):
    network = spikingformer_4_384(classes=classes, heads=heads, quantizer=None)
    assert cost(network).parameters == published - unused_parameters(384, 4)
    assert unused_parameters(384, 4) == 6144


def test_the_sizes_of_table_4():
    """18.64 MB is 2 bytes for each of 9.32 M parameters; "2.25" is what two thirds of all channels take at 4 bits."""
    whole = cost(spikingformer_4_384(quantizer=None))
    assert round(2 * (whole.parameters + 6144) / 1e6, 2) == 18.65
    assert round(2 * whole.parameters / 1e6, 2) == 18.64
    left = cost(spikingformer_4_256(classes=100, ends="float", biases="first"))
    assert left.size_mb == 2.247312
    assert left.parameters == 4_169_124
    assert round(left.parameters / (whole.parameters + 6144), 4) == 0.4470
    assert round(4.17 / 9.32, 4) == 0.4474


def test_the_layers_are_those_of_the_paper():
    network = spikingformer_4_384()
    assert network.steps == 4
    convolutions = {conv.name: network.shape(conv.name) for conv in network.of(Conv)}
    assert [convolutions[f"tokenizer.conv{n}"] for n in range(1, 6)] == [
        (32, 32, 48),
        (32, 32, 96),
        (32, 32, 192),
        (16, 16, 384),
        (8, 8, 384),
    ]
    assert [(pool.size, pool.stride, pool.padding) for pool in network.of(MaxPool)] == [(3, 2, 1)] * 2
    assert convolutions["block4.mlp.conv1"] == (8, 8, 1536)
    assert {node.heads for node in network.of(SelfAttention)} == {12}
    assert {node.scale for node in network.of(SelfAttention)} == {0.125}
    stream = ["tokenizer.conv5"]
    for block in range(1, 5):
        assert network[f"block{block}.lif"].sources == tuple(stream)
        stream.append(f"block{block}.projection")
        assert network[f"block{block}.mlp.lif1"].sources == tuple(stream)
        stream.append(f"block{block}.mlp.conv2")
    assert network.readout == CurrentReadout(
        "readout", tuple(stream), 10, quantizer=network.readout.quantizer, gain=0.0
    )
    behind = {f"block{block}.attention.lif" for block in range(1, 5)}
    assert {node.name for node in network.of(LIF) if node.threshold == 1.0} == behind
    assert {node.threshold for node in network.of(LIF) if node.name not in behind} == {2.0}
    assert {conv.quantizer for conv in network.of(Conv)[1:]} == {Quantizer(4, "mean_scaled")}


def test_sizes_of_ones_own():
    options = {"widths": (3, 4, 5, 6, 8, 10), "depth": 2, "heads": 4, "patch": 16, "biases": "first"}
    network = build("spikingformer_4_384", (32, 16, 2), 7, neuron=Neuron(0.8, 0.25), steps=2, **options)
    assert network.shape("block2.attention") == (2, 1, 8)
    assert [conv.channels for conv in network.of(Conv)] == [3, 4, 5, 6, 8, *[8, 8, 8, 8, 10, 8] * 2]
    assert [conv.name for conv in network.of(Conv) if conv.bias] == ["tokenizer.conv1"]
    assert {node.threshold for node in network.of(LIF)} == {0.8, 0.4}
    assert build("spikingformer_4_256", (8, 8, 3), 5, patch=1, width=1 / 32).shape("block1.lif") == (8, 8, 8)


def test_a_recipe_says_them_in_a_table():
    table = {"depth": 1, "heads": 2, "patch": 2}
    widths = [2, 3, 4, 5, 6, 7]
    recipe = recipe_from_dict({"network": {"name": "spikingformer_4_384", "widths": widths, "transformer": table}})
    plain = build(
        "spikingformer_4_384", (8, 8, 3), 5, widths=widths, neuron=Neuron(), quantizer=Quantizer(4, "mean"), **table
    )
    assert recipe.network.build((8, 8, 3), 5) == plain
    assert recipe.to_dict()["network"]["transformer"] == table
    assert recipe_from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"name": "vgg9", "transformer": {"depth": 2}}, "network.transformer: expected none for vgg9, which has no"),
        ({"transformer": {"depth": 0}}, "network.transformer.depth: expected an integer of at least 1, got 0"),
        ({"transformer": {"heads": True}}, "network.transformer.heads: expected"),
        ({"transformer": {"patch": 3}}, "network.transformer.patch: expected one of 1, 2, 4, 8, 16, got 3"),
        ({"transformer": {"biases": "all"}}, "network.transformer.biases: expected one of blocks, first, got 'all'"),
        ({"transformer": {"dept": 1}}, "network.transformer: unknown key 'dept' (did you mean 'depth'?)"),
    ],
)
def test_a_table_that_cannot_be_is_refused_by_name(network, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        recipe_from_dict({"network": {"name": "spikingformer_4_384", **network}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 7}, "spikingformer_4_384.heads: expected a divisor of 384, the stream's channels, got 7"),
        ({"patch": 5}, "spikingformer_4_384.patch: expected one of 1, 2, 4, 8, 16, got 5"),
        ({"depth": 0}, "build.depth: expected an integer of at least 1, got 0"),
        ({"biases": "none"}, "spikingformer_4_384.biases: expected one of blocks, first, got 'none'"),
        ({"widths": (1, 2)}, "spikingformer_4_384.widths: expected 6 channel counts, got 2"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build("spikingformer_4_384", (32, 32, 3), 10, **options)
