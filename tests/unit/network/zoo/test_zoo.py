"""The zoo against the paper's Tables 9 to 11."""

from __future__ import annotations

import pytest

from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Shortcut
from qpsnn_core.network.cost import cost
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.network.zoo.vgg import ZOO, build, resnet19, resnet20, vgg9, vgg16, vgg_small, vggsnn

CONVOLUTIONAL = [name for name in ZOO if name != "mlp" and not ZOO[name].transformer]


def resolution_and_channels(network):
    return [(network.shape(conv.name)[0], conv.channels) for conv in network.of(Conv)]


def test_vgg16_is_table_9():
    network = vgg16()
    table = [(32, 64)] * 2 + [(16, 128)] * 2 + [(8, 256)] * 3 + [(4, 512)] * 3 + [(2, 512)] * 3
    assert resolution_and_channels(network) == table
    assert network.steps == 4
    assert [pool.source for pool in network.of(MaxPool)] == ["lif2", "lif4", "lif7", "lif10"]
    assert network.shape("average") == (1, 1, 512)
    assert vgg16((64, 64, 3), 200).shape("average") == (2, 2, 512)


def test_vgg9_has_the_usual_convolutions():
    network = vgg9()
    assert resolution_and_channels(network) == [(32, 64)] * 2 + [(16, 128)] * 2 + [(8, 256)] * 3
    assert [pool.source for pool in network.of(MaxPool)] == ["lif2", "lif4", "lif7"]
    assert network.shape("average") == (2, 2, 256)
    assert network["linear"].weight_shape(network.values["average"]) == (1024, 10)


def test_vggsnn_is_table_11():
    network = vggsnn()
    table = [(48, 64), (48, 128), (24, 256), (24, 256), (12, 512), (12, 512), (6, 512), (6, 512)]
    assert resolution_and_channels(network) == table
    assert network.steps == 10
    assert network.shape("average") == (3, 3, 512)
    assert network["linear"].weight_shape(network.values["average"]) == (4608, 10)
    assert network.values["input"].kind == "spikes"


def test_resnet20_is_table_10():
    network = resnet20()
    assert resolution_and_channels(network) == [(32, 64), *[(32, 128)] * 6, *[(16, 256)] * 6, *[(8, 512)] * 6]
    assert network.steps == 2
    strides = {conv.name: conv.stride for conv in network.of(Conv) if conv.stride > 1}
    assert strides == {"layer2.0.conv1": 2, "layer3.0.conv1": 2}
    assert [short.stride for short in network.of(Shortcut)] == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert network["layer2.0.lif2"].sources == ("layer2.0.conv2", "layer2.0.shortcut")
    assert network["layer2.0.shortcut"].source == network["layer2.0.conv1"].source == "layer1.2.lif2"
    assert network["average"].size == 8


def test_resnet19_is_the_public_codes():
    """Of SpQuant-SNN: its parameters by hand, without those of its gates, which are never trained."""
    network = resnet19(quantizer=None)
    first = [(16, 64)] * 7
    stages = [(16, 128), *first, *[(8, 256)] * 7, *[(4, 512)] * 5]
    assert sorted(resolution_and_channels(network)) == sorted(stages)
    assert [short.channels for short in network.of(Shortcut)] == [64, 64, 256, 256, 512]
    stem, linears = 7 * 7 * 3 * 128 + 2 * 128, 512 * 256 + 256 + 256 * 10 + 10
    blocks = sum(
        9 * (inputs * width + (2 * count - 1) * width**2) + inputs * width + 2 * width * (2 * count + 1)
        for inputs, width, count in ((128, 64, 3), (64, 256, 3), (256, 512, 2))
    )
    assert cost(network).parameters == stem + blocks + linears == 11_930_378
    assert network["layer3.0.lif2"].sources == ("layer3.0.conv2", "layer3.0.down")
    assert network["layer3.1.lif2"].sources == ("layer3.1.conv2", "layer3.1.shortcut")


def test_vgg_small():
    assert [conv.channels for conv in vgg_small().of(Conv)] == [32, 32, 64, 64, 128, 128]
    for side, left in ((4, 1), (8, 2), (28, 7), (32, 8)):
        network = vgg_small((side, side, 1))
        assert network["average"].size == left
        assert network.shape("average") == (1, 1, 128)


def test_names_are_stable():
    names = "input conv1 lif1 conv2 lif2 pool1 conv3 lif3 conv4 lif4 pool2 conv5 lif5 conv6 lif6 average linear readout"
    assert [node.name for node in vgg_small()] == names.split()
    block = "layer1.0.conv1 layer1.0.lif1 layer1.0.conv2 layer1.0.shortcut layer1.0.lif2"
    assert [node.name for node in resnet20()][:8] == ["input", "conv0", "lif0", *block.split()]


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_biases_and_batch_norm(name):
    network = build(name, (48, 48, 3), 10)
    first, *rest = network.of(Conv)
    assert first.bias is ("resnet" not in name)
    assert not any(conv.bias for conv in rest)
    assert all(conv.batch_norm for conv in network.of(Conv))
    *hidden, linear = network.of(Linear)
    assert len(hidden) == (name == "resnet19")
    assert linear.bias
    assert not linear.batch_norm


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_quantizers(name):
    inner = Quantizer(2, gamma="max")
    network = build(name, (48, 48, 3), 10, quantizer=inner)
    first, *rest = network.of(Conv)
    assert {conv.quantizer for conv in rest} == {inner}
    assert first.quantizer == Quantizer(8, gamma="max")
    assert network["linear"].quantizer == Quantizer(8, gamma="max", granularity="layer")
    network = build(name, (48, 48, 3), 10, quantizer=inner, ends="float")
    first, *rest = network.of(Conv)
    assert {conv.quantizer for conv in rest} == {inner}
    assert first.quantizer is network["linear"].quantizer is None
    for ends in ("integer", "float"):
        network = build(name, (48, 48, 3), 10, quantizer=None, ends=ends)
        assert {synapse.quantizer for synapse in network.of(Conv, Linear)} == {None}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_options_reach_the_nodes(name):
    neuron = Neuron(0.5, 0.25, "sigmoid", 2.0, True, "subtract")
    network = build(name, (48, 48, 2), 7, steps=3, neuron=neuron, events=False, width=0.1)
    assert (network.steps, network.classes) == (3, 7)
    assert network.input == Input("input", (48, 48, 2))
    for node in network.of(LIF):
        assert node == LIF(node.name, node.sources, 0.5, 0.25, "sigmoid", 2.0, True, "subtract")
    assert network.of(Conv)[0].channels == round(network_width(name) * 0.1)
    events = build(name, (48, 48, 2), 7, events=True).input
    assert (events.spikes, events.peak, events.scale) == (True, 255, 1.0)
    assert {conv.channels for conv in build(name, (48, 48, 2), 7, width=1e-6).of(Conv)} == {1}


def test_a_perceptron():
    """The one of the OSBC paper: 2312-256-10."""
    network = build("mlp", (34, 34, 2), 10, quantizer=None, events=True)
    assert [node.name for node in network] == ["input", "hidden1", "lif1", "linear", "readout"]
    shapes = [node.weight_shape(*network.inputs_of(node)) for node in network.of(Linear)]
    assert shapes == [(2312, 256), (256, 10)]
    assert {node.quantizer for node in network.of(Linear)} == {None}
    inner = Quantizer(3, "mean")
    three = build("mlp", (4, 4, 1), 5, widths=[8, 6, 7], quantizer=inner, neuron=Neuron(beta=0.25), steps=3)
    assert [node.features for node in three.of(Linear)] == [8, 6, 7, 5]
    ends = Quantizer(8, gamma="max"), Quantizer(8, gamma="max", granularity="layer")
    assert [node.quantizer for node in three.of(Linear)] == [ends[0], inner, inner, ends[1]]
    assert {node.beta for node in three.of(LIF)} == {0.25}
    assert build("mlp", (4, 4, 1), 5, width=0.25).of(Linear)[0].features == 64
    with pytest.raises(ConfigError, match=r"mlp\.width"):
        build("mlp", (4, 4, 1), 5, width=0.5, widths=[8])


def network_width(name):
    return ZOO[name].build().of(Conv)[0].channels


@pytest.mark.parametrize("name", ZOO)
def test_the_defaults_are_a_network_that_survives_json(name):
    network = ZOO[name].build()
    again = Network.from_json(network.to_json())
    assert again == network
    assert again.digest() == network.digest()


def test_explicit_widths():
    widths = [3, 4, 5, 6, 7, 8]
    assert [conv.channels for conv in vgg_small(widths=widths).of(Conv)] == widths
    widths = list(range(1, 20))
    assert [conv.channels for conv in resnet20(widths=widths).of(Conv)] == widths


@pytest.mark.parametrize("size", [(7, 7), (33, 33), (40, 24)])
def test_resnet20_of_odd_and_oblong_images(size):
    network = resnet20((*size, 3))
    assert network.of(AvgPool)[0].size == -(-min(size) // 4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: vgg16((8, 8, 3)), ShapeError, "pool4 (from lif10): expected a map of at least 2 pixels"),
        (lambda: vgg_small((2, 2, 1)), ShapeError, "pool2 (from lif4): expected a map of at least 2 pixels"),
        (lambda: vgg_small((8, 8)), ShapeError, "input.shape: expected (H, W, C), got (8, 8)"),
        (lambda: vgg16(classes=0), ConfigError, "linear.features: expected an integer of at least 1, got 0"),
        (lambda: vgg16(width=0), ConfigError, "vgg16.width: expected a positive number, got 0"),
        (lambda: vgg16(widths=[3]), ConfigError, "vgg16.widths: expected 13 channel counts, got 1"),
        (lambda: vgg_small(widths=[3] * 6, width=2), ConfigError, "vgg_small.width: expected 1 where widths are given"),
        (lambda: resnet20(widths=[3, 2] * 9 + [1]), ShapeError, "layer3.2.shortcut.channels: expected at least 3"),
        (lambda: vggsnn(ends="floats"), ConfigError, "network.ends: expected one of integer, float, got 'floats'"),
        (lambda: vgg16(steps=0), ConfigError, "network.steps: expected an integer of at least 1, got 0"),
        (lambda: vgg16(neuron=Neuron(0)), ConfigError, "neuron.threshold: expected a positive number, got 0"),
        (lambda: build("vgg", (8, 8, 1), 2), ConfigError, "network.name: expected one of vgg16, resnet20, vggsnn"),
    ],
)
def test_what_the_zoo_refuses(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'resnet20'\?"):
        build("resnet21", (8, 8, 1), 2)
