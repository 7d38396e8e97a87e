"""The graph: order, names, shapes, kinds of value, and what nodes refuse."""

from __future__ import annotations

import dataclasses

import pytest

from qpsnn_core.common.errors import ConfigError, NetworkError, ShapeError
from qpsnn_core.network import (
    LIF,
    AvgPool,
    Conv,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Network,
    Quantizer,
    Readout,
    Shortcut,
    Sum,
)

INPUT = Input("input", (8, 8, 3))
CONV = Conv("conv1", "input", 4, quantizer=Quantizer(4, "mean"), gain=0.0)
NEURON = LIF("lif1", ("conv1",))
LINEAR = Linear("linear", "lif1", 10, Quantizer(4, "mean"), gain=0.0)
READOUT = Readout("readout", "linear")


def network(*between, first=INPUT, last=(LINEAR, READOUT), steps=4):
    return Network((first, *between, *last), steps)


def test_a_network_knows_its_nodes():
    net = network(CONV, NEURON)
    assert [node.name for node in net] == ["input", "conv1", "lif1", "linear", "readout"]
    assert len(net) == 5
    assert net["conv1"] is CONV
    assert net.input is INPUT
    assert net.readout is READOUT
    assert net.classes == 10
    assert net.of(Conv, Linear) == (CONV, LINEAR)
    assert net.consumers("lif1") == (LINEAR,)
    assert [value.kind for value in net.values.values()] == ["analog", "current", "spikes", "current", "analog"]
    assert net.inputs_of(NEURON) == (net.values["conv1"],)


def test_a_network_is_immutable():
    net = network(CONV, NEURON)
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.steps = 5
    wider = net.change("conv1", channels=6)
    assert (wider.shape("lif1"), net.shape("lif1")) == ((8, 8, 6), (8, 8, 4))


SHAPES = [
    (Conv("x", "lif1", 5), (8, 8, 5)),
    (Conv("x", "lif1", 5, kernel=3, stride=2), (4, 4, 5)),
    (Conv("x", "lif1", 5, kernel=2, stride=3, padding=1), (3, 3, 5)),
    (Conv("x", "lif1", 5, kernel=1, padding=0), (8, 8, 5)),
    (Conv("x", "lif1", 5, kernel=8, padding=0), (1, 1, 5)),
    (Linear("x", "lif1", 5), (1, 1, 5)),
    (Shortcut("x", "lif1", 6, stride=2), (4, 4, 6)),
    (Shortcut("x", "lif1", 3, stride=3, channel_map=(3, -1, 0)), (3, 3, 3)),
]


@pytest.mark.parametrize(("node", "shape"), SHAPES)
def test_shapes_of_synapses(node, shape):
    net = network(CONV, NEURON, node, LIF("y", ("x",)), last=(Linear("linear", "y", 10), READOUT))
    assert net.shape("x") == net.shape("y") == shape
    assert net.values["x"].kind == "current"


POOLS = [
    (MaxPool("x", "lif1", 2), (4, 4, 4), 1, 1.0),
    (MaxPool("x", "lif1", 3, stride=2, padding=1), (4, 4, 4), 1, 1.0),
    (MaxPool("x", "lif1", 3), (2, 2, 4), 1, 1.0),
    (AvgPool("x", "lif1", 2), (4, 4, 4), 4, 1 / 4),
    (AvgPool("x", "lif1", 3), (2, 2, 4), 9, 1 / 9),
]


@pytest.mark.parametrize(("node", "shape", "max_count", "scale"), POOLS)
def test_values_of_pools(node, shape, max_count, scale):
    value = network(CONV, NEURON, node, last=(Linear("linear", "x", 10), READOUT)).values["x"]
    assert (value.kind, value.shape, value.max_count, value.scale) == ("spikes", shape, max_count, scale)


def test_a_sum_adds_the_largest_counts():
    more = (Conv("conv2", "lif1", 4), LIF("lif2", ("conv2",)), Sum("sum", ("lif1", "lif2")))
    net = network(CONV, NEURON, *more, last=(AvgPool("pool", "sum", 2), Linear("linear", "pool", 10), READOUT))
    assert net.values["sum"].max_count == 2
    assert net.values["pool"].max_count == 8


def test_weight_shapes():
    net = network(CONV, NEURON)
    assert CONV.weight_shape(net.values["input"]) == (3, 3, 3, 4)
    assert LINEAR.weight_shape(net.values["lif1"]) == (8 * 8 * 4, 10)


def test_kinds_of_input():
    assert network(CONV, NEURON).values["input"].scale == 1 / 255
    real = network(CONV, NEURON, first=Input("input", (8, 8, 3), peak=None)).values["input"]
    assert (real.max_count, real.scale) == (None, 1.0)
    events = network(CONV, NEURON, first=Input("input", (8, 8, 3), peak=1, scale=1.0, spikes=True)).values["input"]
    assert events.kind == "spikes"


CYCLE = (Conv("conv1", "lif2", 4), NEURON, Conv("conv2", "lif1", 4), LIF("lif2", ("conv2",)))
WRONG_GRAPHS = [
    ((CONV, NEURON, NEURON), "network.lif1: expected a name of its own, got an earlier node's"),
    ((Conv("conv1", "inptu", 4), NEURON), "conv1.source: expected the name of a node (did you mean 'input'?), got"),
    (CYCLE, "conv1.source: a cycle through 'lif2'; a network runs from its input to its readout"),
    ((Conv("conv1", "conv1", 4), NEURON), "conv1.source: a cycle through 'conv1'"),
    ((NEURON, CONV), "lif1.source: expected an earlier node (put it first), got 'conv1'"),
    ((CONV, NEURON, Conv("conv2", "lif1", 4)), "network.conv2: expected a later node that reads it, got none"),
    ((CONV, NEURON, Input("input2", (1, 1, 1))), "network: expected exactly one Input, the first node, got input"),
    (
        (CONV, NEURON, Readout("early", "conv1", places="each"), LIF("lif2", ("early",))),
        "lif2.source: expected no readout, which gives an answer, got early (Readout)",
    ),
]


@pytest.mark.parametrize(("between", "message"), WRONG_GRAPHS)
def test_a_wrong_graph_is_named(between, message):
    with pytest.raises(NetworkError) as caught:
        network(*between)
    assert str(caught.value).startswith(message)
    assert not isinstance(caught.value, ShapeError)


@pytest.mark.parametrize("nodes", [(), (INPUT,), [INPUT, READOUT], (CONV, NEURON, LINEAR, READOUT), (INPUT, CONV)])
def test_a_network_has_an_input_and_a_readout(nodes):
    with pytest.raises(NetworkError):
        Network(nodes)


def test_no_node_may_be_read_after_the_readout():
    with pytest.raises(NetworkError, match=r"expected Readout or CurrentReadout, the last node, got readout .*, late"):
        Network((INPUT, CONV, NEURON, LINEAR, READOUT, MaxPool("late", "lif1")))


WRONG_SHAPES = [
    ((CONV, NEURON, MaxPool("x", "lif1", 9)), "x (from lif1): expected a map of at least 9 pixels, got"),
    ((CONV, NEURON, Conv("x", "lif1", 4, kernel=9, padding=0)), "x (from lif1): expected a map of at least 9 pixels"),
    ((CONV, NEURON, Shortcut("x", "lif1", 3)), "x.channels: expected at least 4 (from lif1), got 3"),
    ((CONV, NEURON, Shortcut("x", "lif1", 1, 1, (4,))), "x.channel_map: expected -1 to 3 (from lif1), got 4"),
    ((CONV, Dropout("x", "conv1")), "x (from conv1): expected spikes or analog, got 'current'"),
    ((CONV, Sum("x", ("conv1", "input"))), "x (from input): expected current, got 'analog'"),
    ((CONV, Sum("x", ("input", "conv1"))), "x (from input): expected spikes or current, got 'analog'"),
    ((LIF("x", ("input",)),), "x (from input): expected current, got 'analog'"),
    ((Shortcut("x", "input", 3),), "x (from input): expected spikes, got 'analog'"),
    ((CONV, Conv("x", "conv1", 4)), "x (from conv1): expected analog or spikes, got 'current'"),
    (
        (CONV, NEURON, Conv("c2", "lif1", 5), LIF("x", ("c2", "conv1"))),
        "x (from conv1): expected (8, 8, 5) (from c2), got (8, 8, 4)",
    ),
    (
        (CONV, NEURON, MaxPool("p", "lif1"), Sum("x", ("lif1", "p"))),
        "x (from p): expected (8, 8, 4) at scale 1.0 (from lif1), got",
    ),
]


@pytest.mark.parametrize(("between", "message"), WRONG_SHAPES)
def test_nodes_that_do_not_fit(between, message):
    with pytest.raises(ShapeError) as caught:
        network(*between, last=(Linear("linear", "x", 10), READOUT))
    assert str(caught.value).startswith(message)


def test_a_readout_needs_a_single_pixel():
    with pytest.raises(
        ShapeError, match=r"readout \(from conv1\): expected a shape \(1, 1, classes\), got \(8, 8, 4\)"
    ):
        Network((INPUT, CONV, Readout("readout", "conv1")))


WRONG_NODES = [
    (lambda: Input("input", (8, 8)), ShapeError, "input.shape: expected (H, W, C), got (8, 8)"),
    (lambda: Input("input", (8, 0, 1)), ConfigError, "input.shape: expected an integer of at least 1, got 0"),
    (lambda: Input("input", (8, 8, 1), peak=0), ConfigError, "input.peak: expected an integer of at least 1, got 0"),
    (lambda: Input("input", (8, 8, 1), scale=0.0), ConfigError, "input.scale: expected a positive number, got 0.0"),
    (lambda: Input("i", (8, 8, 1), peak=None, spikes=True), ConfigError, "i.peak: expected an integer, for spikes"),
    (lambda: Conv("1conv", "input", 4), ConfigError, "node.name: expected a letter"),
    (lambda: Conv("a/b", "input", 4), ConfigError, "node.name: expected a letter"),
    (lambda: Conv("c", "input", 0), ConfigError, "c.channels: expected an integer of at least 1, got 0"),
    (lambda: Conv("c", "input", 4.0), ConfigError, "c.channels: expected an integer of at least 1, got 4.0"),
    (lambda: Conv("c", "input", True), ConfigError, "c.channels: expected an integer of at least 1, got True"),
    (lambda: Conv("c", "input", 4, stride=0), ConfigError, "c.stride: expected an integer of at least 1, got 0"),
    (lambda: Conv("c", "input", 4, padding=3), ConfigError, "c.padding: expected less than the kernel (3), got 3"),
    (lambda: Linear("l", "input", -1), ConfigError, "l.features: expected an integer of at least 1, got -1"),
    (lambda: Shortcut("s", "lif1", 2, 1, (0,)), ShapeError, "s.channel_map: expected 2 entries, got 1"),
    (lambda: LIF("n", ()), ConfigError, "n.sources: expected a tuple of at least 1 different names, got ()"),
    (lambda: LIF("n", ("a", "a")), ConfigError, "n.sources: expected a tuple of at least 1 different names"),
    (lambda: LIF("n", ("a",), threshold=0), ConfigError, "n.threshold: expected a positive number, got 0"),
    (lambda: LIF("n", ("a",), beta=1.5), ConfigError, "n.beta: expected a number from 0 to 1, got 1.5"),
    (lambda: LIF("n", ("a",), reset="soft"), ConfigError, "n.reset: expected one of zero, subtract, got 'soft'"),
    (lambda: LIF("n", ("a",), width=-1.0), ConfigError, "n.width: expected a positive number, got -1.0"),
    (lambda: LIF("n", ("a",), surrogate="triangel"), ConfigError, "n.surrogate: expected one of triangle, sigmoid"),
    (lambda: MaxPool("p", "lif1", 2, padding=2), ConfigError, "p.padding: expected less than the size (2), got 2"),
    (lambda: AvgPool("p", "lif1", 0), ConfigError, "p.size: expected an integer of at least 1, got 0"),
    (lambda: Sum("s", ("lif1",)), ConfigError, "s.sources: expected a tuple of at least 2 different names"),
    (lambda: Quantizer(1), ConfigError, "quantizer.bits: expected an integer from 2 to 8, got 1"),
    (lambda: Quantizer(9), ConfigError, "quantizer.bits: expected an integer from 2 to 8, got 9"),
    (lambda: Quantizer(4.0), ConfigError, "quantizer.bits: expected an integer from 2 to 8, got 4.0"),
    (lambda: Quantizer(gamma="mena"), ConfigError, "quantizer.gamma: expected one of mean, max, percentile, one"),
    (lambda: Quantizer(ste="none"), ConfigError, "quantizer.ste: expected one of clip, pass, got 'none'"),
    (lambda: Quantizer(granularity="row"), ConfigError, "quantizer.granularity: expected one of channel, layer"),
    (lambda: Quantizer(percentile=0.4), ConfigError, "quantizer.percentile: expected a number in (0.5, 1], got 0.4"),
    (lambda: network(CONV, NEURON, steps=0), ConfigError, "network.steps: expected an integer of at least 1, got 0"),
    (
        lambda: network(CONV, NEURON)["conv2"],
        NetworkError,
        "network: expected the name of a node (did you mean 'conv1'",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG_NODES, ids=[message for _, _, message in WRONG_NODES])
def test_hyper_parameters_out_of_range(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_an_unread_channel_is_minus_one_and_more_channels_are_padded():
    assert Shortcut("s", "lif1", 5).mapping(3) == (0, 1, 2, -1, -1)
    assert Shortcut("s", "lif1", 2, 1, (-1, 7)).mapping(8) == (-1, 7)
