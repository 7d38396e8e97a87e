"""Networks of layers: the nodes that one would write by hand; what is wrong is named by its position and its layer."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ArgumentError, ConfigError, NetworkError, ShapeError
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.layers import LIF, AvgPool, Branches, Conv, Dropout, Input, Linear, MaxPool, Readout, Shortcut, Sum
from qpsnn_core.network import Network, Quantizer, nodes, synapses
from qpsnn_core.network.builder import Builder, sequential
from qpsnn_core.network.zoo.resnet import resnet20, sew_resnet18
from qpsnn_core.network.zoo.vgg import vgg9, vgg_small

SHAPE = (8, 8, 1)


def renamed(network):
    """The nodes with their positions for names."""
    place = {node.name: f"n{index}" for index, node in enumerate(network)}
    made = []
    for node in network:
        fields = {**vars(node), "name": place[node.name]}
        for key in ("source", "sources"):
            if key in fields:
                old = fields[key]
                fields[key] = place[old] if isinstance(old, str) else tuple(place[one] for one in old)
        made.append(type(node)(**fields))
    return Network(tuple(made), network.steps)


def test_a_list_of_layers_is_the_network_written_by_hand():
    lif = LIF(threshold=0.5)
    found = sequential(SHAPE, [Conv(8, bias=True), lif, MaxPool(2), Conv(16, 1), lif, Linear(10)], steps=3)
    assert found == Network(
        (
            nodes.Input("input", SHAPE),
            synapses.Conv("conv1", "input", 8, bias=True),
            nodes.LIF("lif1", ("conv1",), threshold=0.5),
            nodes.MaxPool("pool1", "lif1", 2),
            synapses.Conv("conv2", "pool1", 16, 1, padding=0),
            nodes.LIF("lif2", ("conv2",), threshold=0.5),
            synapses.Linear("linear1", "lif2", 10),
            nodes.Readout("readout", "linear1"),
        ),
        3,
    )


@pytest.mark.parametrize(("make", "widths"), [(vgg_small, (32, 32, 0, 64, 64, 0, 128, 128)), (vgg9, None)])
def test_the_zoos_chains_are_lists_of_layers(make, widths):
    plan = widths or (64, 64, 0, 128, 128, 0, 256, 256, 256, 0)
    shape = SHAPE if widths else (32, 32, 3)
    layers = [one for width in plan for one in ([Conv(width), LIF()] if width else [MaxPool(2)])]
    layers[0] = Conv(plan[0], bias=True)
    ours = sequential(shape, [*layers, AvgPool(2), Linear(10)])
    assert renamed(ours) == renamed(make(shape))


def test_a_builder_makes_the_zoos_resnet20():
    builder = Builder((32, 32, 3), steps=2)
    x = builder.chain(builder.input, Conv(64), LIF())
    for stage, width in enumerate((128, 256, 512)):
        for block in range(3):
            stride = 2 if stage and not block else 1
            way = builder.chain(x, Conv(width, stride=stride), LIF(), Conv(width))
            x = builder.add(LIF(), way, builder.add(Shortcut(width, stride), x))
    builder.chain(x, AvgPool(None), Linear(10))
    assert renamed(builder.network()) == renamed(resnet20())


def test_branches_make_the_zoos_sew_resnet18():
    layers = [Conv(64, 7, 2), LIF(), MaxPool(3, 2, 1)]
    before = 64
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            down = [Conv(width, 1, stride), LIF()] if stride > 1 or before != width else []
            way = [Conv(width, stride=stride), LIF(), Conv(width), LIF()]
            layers += [Branches(way, down), Sum()]
            before = width
    ours = sequential((224, 224, 3), [*layers, AvgPool(None), Linear(1000)])
    assert renamed(ours) == renamed(sew_resnet18())


def test_branches_within_branches():
    block = Branches([Conv(4), LIF(), Branches([Conv(4)], [Shortcut()]), LIF()], [])
    found = sequential(SHAPE, [Conv(4), LIF(), block, Sum(), Linear(2)])
    assert found["lif3"].sources == ("conv3", "shortcut1")
    assert found["sum1"].sources == ("lif3", "lif1")


@pytest.mark.parametrize(("bits", "inner"), [(4, 4), (2, 2), (8, 8), (32, None)])
def test_bits_are_those_between_the_ends(bits, inner):
    found = sequential(SHAPE, [Conv(4), LIF(), Conv(4), LIF(), Linear(2)], bits=bits)
    given = [node.quantizer and node.quantizer.bits for node in found.synapses]
    assert given == ([None] * 3 if inner is None else [8, inner, 8])


def test_a_layers_own_quantizer_goes_before():
    own = Quantizer(3, "max")
    found = sequential(SHAPE, [Conv(4, quantizer=None), LIF(), Conv(4, quantizer=own), LIF(), Linear(2)], bits=2)
    assert [node.quantizer for node in found.synapses][:2] == [None, own]


def test_names_are_ones_own_or_made():
    found = sequential(
        SHAPE, [Conv(4, name="conv2"), LIF(), Conv(4), LIF(), Linear(2, name="head"), Readout(name="logits")]
    )
    assert [node.name for node in found] == ["input", "conv2", "lif1", "conv3", "lif2", "head", "logits"]


def test_an_input_of_events():
    found = sequential(Input((6, 6, 2), scale=1.0, spikes=True), [Conv(4), LIF(), Linear(2)])
    assert found.input == nodes.Input("input", (6, 6, 2), scale=1.0, spikes=True)


@pytest.mark.parametrize("low", [0, -128])
def test_a_range_of_real_numbers_goes_into_the_input(low):
    span = InputRange(low, 127, 0.5)
    layers = [Linear(3)]
    made = sequential((4, 4, 2), layers, input_range=span)
    assert made.input == nodes.Input("input", (4, 4, 2), 127, 0.5, low=low)
    assert Builder((4, 4, 2), input_range=span).input.spec == made.input.output()
    assert sequential(Input((4, 4, 2), 127, 0.5, low=low), layers) == made


def test_a_range_beside_an_input_is_refused():
    given = {"input_shape": Input((4, 4, 2)), "input_range": InputRange(-128, 127, 0.5)}
    message = r"input_range: expected None beside an Input, .*got InputRange\(low=-128, peak=127, scale=0.5\)"
    with pytest.raises(ConfigError, match=f"^sequential.{message}"):
        sequential(layers=[Linear(3)], **given)
    with pytest.raises(ConfigError, match=f"^Builder.{message}"):
        Builder(**given)


def test_an_average_of_the_whole_map_needs_no_square():
    assert sequential((8, 6, 1), [Conv(4), LIF(), AvgPool(None), Linear(2)])["average1"].size == (8, 6)


CONV = synapses.Conv("a", "b", 3)
WAY = [Conv(8), LIF()]

WRONG = {
    "dropout of a current": (
        [Conv(8), Dropout()],
        ShapeError,
        "layers[1] Dropout(): dropout1 (from conv1): expected spikes or analog, got 'current' (LIF() makes spikes of a",
    ),
    "neurons on an image": ([LIF()], ShapeError, "layers[0] LIF(): lif1 (from input): expected current, got 'analog'"),
    "a pool too large": (
        [*WAY, MaxPool(9), Linear(2)],
        ShapeError,
        "layers[2] MaxPool(size=9): pool1 (from lif1): expected a map of at least 9 pixels, got 8",
    ),
    "an option": ([*WAY, Conv(0)], ConfigError, "layers[2] Conv(channels=0): conv2.channels: expected an integer of"),
    "a kernel of no number": ([Conv(8, "3")], ConfigError, "layers[0] Conv(channels=8, kernel='3'): conv1.kernel"),
    "the class of a layer": ([Conv(8), LIF], ArgumentError, "layers[1]: expected a layer, such as Conv(32), got the"),
    "a node": ([CONV], ArgumentError, "got a Conv of network (layers have the same names: qpsnn_core.layers)"),
    "no layers": ([], ConfigError, "sequential.layers: expected at least one layer, got none"),
    "no head": (
        WAY,
        ShapeError,
        "lif1: the last layer: expected Linear(classes), whose current is the logits, or a LIF() behind it, ",
    ),
    "open branches": ([*WAY, Branches(WAY, [])], ConfigError, "layers[2] Branches: expected a layer behind it that"),
    "one branch": ([*WAY, Branches(WAY), Sum()], ConfigError, "layers[2] Branches: expected at least two paths, got 1"),
    "branches of branches": (
        [*WAY, Branches([], []), Branches([], [])],
        ConfigError,
        "layers[3] Branches: expected one",
    ),
    "a branch that is no list": ([*WAY, Branches(LIF(), [])], ArgumentError, "layers[2].paths[0]: expected a list of"),
    "a fault in a branch": (
        [*WAY, Branches([Conv(8), Conv(8)], []), LIF()],
        ShapeError,
        "layers[2].paths[0][1] Conv(channels=8): conv3 (from conv2): expected analog or spikes, got 'current'",
    ),
    "concatenation": (
        [*WAY, Branches(WAY, []), Conv(3)],
        ConfigError,
        "layers[3] Conv(channels=3): expected one value (LIF() sums currents, Sum() adds values, Concat() puts their",
    ),
    "shapes that do not meet": (
        [*WAY, Branches([Conv(8)], [Shortcut(9)]), LIF()],
        ShapeError,
        "layers[3] LIF(): lif2 (from shortcut1): expected (8, 8, 8) (from conv2), got (8, 8, 9)",
    ),
    "a name twice": (
        [Conv(8, name="x"), LIF(name="x")],
        NetworkError,
        "layers[1] LIF(name='x'): name: expected a name",
    ),
    "a name of no word": ([Conv(8, name="1 x")], ConfigError, "layers[0] Conv(channels=8, name='1 x'): node.name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_by_position_and_layer(case):
    layers, error, message = WRONG[case]
    with pytest.raises(error) as caught:
        sequential(SHAPE, layers)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (4, 8, 8, 1)}, "sequential.input_shape: expected (H, W, C) (of frames (T, H, W, C), the last"),
        ({"input_shape": 8}, "sequential.input_shape: expected (H, W, C), got 8"),
        ({"input_shape": (8, 0, 1)}, "sequential.input_shape: expected a whole number of at least 1, got 0"),
        ({"bits": 1}, "sequential.bits: expected an integer from 2 to 8, or 32, got 1"),
        ({"bits": 4.0}, "sequential.bits: expected an integer from 2 to 8, or 32, got 4.0"),
        ({"bits": True}, "sequential.bits: expected an integer from 2 to 8, or 32, got True"),
        ({"steps": 0}, "sequential.steps: expected a whole number of at least 1, got 0"),
        ({"layers": Conv(3)}, "sequential.layers: expected a list of layers, got a Conv"),
    ],
)
def test_arguments_of_sequential(options, message):
    with pytest.raises(ConfigError) as caught:
        sequential(**{"input_shape": SHAPE, "layers": [*WAY, Linear(2)], **options})
    assert message in str(caught.value)


def test_values_belong_to_one_builder():
    one, other = Builder(SHAPE), Builder(SHAPE)
    for use in (one.add, lambda layer, source: one.chain(source, layer), lambda layer, source: one.chain(source)):
        with pytest.raises(NetworkError, match=r"a value of this builder, got Value\('input', analog 8x8x1\)"):
            use(Conv(2), other.input)
    with pytest.raises(ArgumentError, match=r"Builder\.chain\.source: expected a Value, got a str 'input'"):
        one.chain("input", Conv(2))
    with pytest.raises(ArgumentError, match="the values that the layer reads, got none"):
        one.add(Conv(3))
    with pytest.raises(ArgumentError, match=r"Builder\.add\.sources: expected a Value"):
        one.add(Conv(3), "input")
    one.chain(one.input, Conv(3), LIF())
    one.chain(one.input, Linear(2))
    with pytest.raises(NetworkError, match="lif1: expected a later node that reads it"):
        one.network()


def test_settings_may_be_numpys_numbers():
    shape, steps, bits = np.array(SHAPE), np.int64(3), np.uint8(2)
    found = sequential(tuple(shape), [*WAY, Linear(2)], steps=steps, bits=bits)
    assert found == sequential(SHAPE, [*WAY, Linear(2)], steps=3, bits=2)
    assert type(found.steps) is int
