"""What an integer network refuses, what it proves, and what it says of itself."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from naive import integer as naive
from qpsnn_core.common.errors import ConfigError, NetworkError, NumericsError, ShapeError
from qpsnn_core.integer import nodes as kinds
from qpsnn_core.integer.network import IntegerNetwork, nodes_from_json
from qpsnn_core.integer.node_kinds import KINDS
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.integer.operations import OPERATIONS

INT32 = 2**31 - 1


def parts():
    """Nodes and arrays that are right, to be made wrong: two currents into one LIF, every kind of node."""
    nodes = [
        IntInput("in", (4, 4, 2), 1),
        IntConv("conv", "in", 3, 3, 1, 1),
        IntShortcut("short", "in", 3, 1, (0, 1, -1)),
        IntLIF("lif", ("conv", "short")),
        IntMaxPool("max", "lif", 2, 2),
        IntMaxPool("other", "lif", 3, 2, 1),
        IntSum("sum", ("max", "other")),
        IntSumPool("pool", "sum", 2),
        IntLinear("fc", "pool", 5),
        IntReadout("out", "fc", 0.5),
    ]
    ones = np.ones(5, np.int32)
    arrays = {
        "conv": {"codes": np.ones((3, 3, 2, 3), np.int8), "gain": ones[:3]},
        "short": {"gain": ones[:3]},
        "lif": {"threshold": ones[:3], "bias": ones[:3]},
        "fc": {"codes": np.full((3, 5), 255, np.int16), "gain": ones},
        "out": {"bias": ones},
    }
    return nodes, arrays


def network(steps=3, /, swap=(), **changed):
    """The network with other nodes (by name) and other arrays (`conv_gain=...`)."""
    nodes, arrays = parts()
    nodes = [next((new for new in swap if new.name == node.name), node) for node in nodes]
    for place, array in changed.items():
        node, name = place.split("_")
        arrays[node][name] = array
    return IntegerNetwork(tuple(nodes), arrays, steps)


def test_every_kind_is_in_every_table():
    every = set(typing.get_args(IntNode))
    named = {value for value in vars(kinds).values() if isinstance(value, type) and "Int" in value.__name__}
    assert every == named - {kinds.IntLevels}  # which an IntLIF has
    assert set(KINDS) == set(OPERATIONS) == every
    assert set(naive.OPERATIONS) == {kind.__name__ for kind in every}


def test_shapes_and_largest_counts():
    values = network().values
    assert {name: value.shape for name, value in values.items()} == {
        "in": (4, 4, 2),
        **dict.fromkeys(("conv", "short", "lif"), (4, 4, 3)),
        **dict.fromkeys(("max", "other", "sum"), (2, 2, 3)),
        "pool": (1, 1, 3),
        **dict.fromkeys(("fc", "out"), (1, 1, 5)),
    }
    assert [values[name].max_count for name in ("in", "lif", "max", "sum", "pool")] == [1, 1, 1, 2, 8]
    assert values["conv"].max_count == 18
    assert values["short"].interval.high.tolist() == [1, 1, 0]
    assert values["fc"].max_count == 255 * 3 * 8
    assert network().classes == 5
    assert network().size_bytes["conv"] == 0
    assert [node.name for node in network().consumers("lif")] == ["max", "other"]


def test_codes_of_b_bits_take_b_bits():
    codes = np.full((3, 3, 2, 3), -3, np.int8)
    codes.flat[::3] = 3
    codes.flat[1::3] = -1
    assert network(conv_codes=codes).size_bytes["conv"] == -(-54 * 2 // 8)


def test_arrays_are_copied_and_cannot_be_written():
    nodes, arrays = parts()
    made = IntegerNetwork(tuple(nodes), arrays, 3)
    arrays["conv"]["codes"][:] = 9
    assert made.arrays["conv"]["codes"].max() == 1
    with pytest.raises(ValueError, match="read-only"):
        made.arrays["conv"]["codes"][:] = 9


def test_what_is_printed_is_a_line():
    said = repr(network())
    assert said == "IntegerNetwork(10 nodes, 4x4x2 to 5 classes, T = 3)"


def test_digest_is_of_everything():
    same = {network().digest(), network().digest()}
    other = {
        network(4).digest(),
        network(swap=[IntReadout("out", "fc", 0.25)]).digest(),
        network(swap=[IntLIF("lif", ("conv", "short"), 3, 2)]).digest(),
        network(conv_gain=np.array([1, 1, 2], np.int32)).digest(),
        network(conv_codes=np.ones((3, 3, 2, 3), np.int16)).digest(),
    }
    assert len(same) == 1
    assert len(same | other) == 6


def test_nodes_go_through_json():
    made = network()
    assert nodes_from_json(made.nodes_json()) == made.nodes
    with pytest.raises(ConfigError, match=r"unknown key 'strid' \(did you mean 'stride'"):
        nodes_from_json(made.nodes_json().replace('"stride"', '"strid":1,"stride"', 1))
    with pytest.raises(ConfigError, match="not JSON"):
        nodes_from_json("[")


WRONG_ARRAYS = {
    "conv_codes": [
        (None, NetworkError, "expected an array of int8 or int16 .3, 3, 2, 3., got nothing"),
        (np.ones((3, 3, 2, 3)), NetworkError, "expected int8 or int16, got 'float64'"),
        (np.full((3, 3, 2, 3), np.nan), NumericsError, "expected int8 or int16, got NaN or infinity"),
        (np.ones((3, 3, 3, 3), np.int8), ShapeError, r"expected shape .3, 3, 2, 3., got .3, 3, 3, 3."),
        (np.full((3, 3, 2, 3), 256, np.int16), NumericsError, "expected integers from -255 to 255, got 256 to 256"),
    ],
    "lif_threshold": [
        (np.array([1, 0, 1], np.int32), NumericsError, "expected integers from 1 to"),
        (np.ones(3, np.int64), NetworkError, "expected int32, got 'int64'"),
        (np.ones(4, np.int32), ShapeError, r"expected shape .3,., got"),
        ([1, 1, 1], NetworkError, "got list"),
    ],
    "out_bias": [(np.ones(4, np.int32), ShapeError, r"expected shape .5,.")],
    "conv_gian": [
        (np.ones(3, np.int32), NetworkError, "expected one of codes, gain .did you mean 'gain'.*, got 'gian'")
    ],
}


@pytest.mark.parametrize(
    ("place", "array", "error", "message"),
    [(place, *case) for place, cases in WRONG_ARRAYS.items() for case in cases],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_wrong_arrays_are_refused(place, array, error, message):
    node = place.split("_")[0]
    with pytest.raises(error, match=rf"{node}\..*{message}"):
        network(**{place: array})


@pytest.mark.parametrize(
    ("node", "error", "message"),
    [
        (
            lambda: IntConv("conv", "in", 3, 3, 0, 1),
            ConfigError,
            "conv.stride: expected an integer of at least 1, got 0",
        ),
        (IntConv("conv", "in", 3, 3, 1, 3), ConfigError, "conv.padding: expected less than the kernel"),
        (IntConv("conv", "inn", 3, 3, 1, 1), NetworkError, "conv.source: .*did you mean 'in'"),
        (IntConv("conv", "fc", 3, 3, 1, 1), NetworkError, "conv.source: a cycle through .fc."),
        (IntInput("in", (4, 4), 1), ShapeError, r"in.shape: expected .H, W, C."),
        (IntInput("in", (4, 4, 2), 0), ConfigError, "in.peak: expected an integer of at least 1"),
        (IntInput("in", (4, 4, 2), 2**16), ConfigError, "in.peak: expected at most 65535"),
        (IntShortcut("short", "in", 3, 1, (0, 1)), ShapeError, "short.channel_map: expected 3 entries"),
        (
            IntShortcut("short", "in", 3, 1, (0, 1, 2)),
            ShapeError,
            "short.channel_map: expected -1 to 1 .from in., got 2",
        ),
        (
            IntShortcut("short", "in", 3, 1, (0, 1, -2)),
            ConfigError,
            "short.channel_map: expected an integer of at least",
        ),
        (IntShortcut("short", "in", 3, 2, (0, 1, -1)), ShapeError, r"lif .from short.: expected .4, 4, 3. .from conv."),
        (IntLIF("lif", ("conv", "in")), ShapeError, "lif .from in.: expected current, got 'counts'"),
        (
            IntLIF("lif", ("conv", "short"), 3, 1),
            ConfigError,
            "lif.multiplier: expected at most 2..shift = 2 .*, got 3",
        ),
        (IntLIF("lif", ("conv", "short"), 1, 13), ConfigError, "lif.shift: expected at most 12, got 13"),
        (IntLIF("lif", ("conv", "conv")), ConfigError, "lif.sources: expected a tuple of at least 1 different names"),
        (IntMaxPool("max", "lif", 2, 2, 2), ConfigError, "max.padding: expected less than the size"),
        (IntSumPool("pool", "sum", 3), ShapeError, "pool .from sum.: expected a map of at least 3 pixels"),
        (IntSum("sum", ("max",)), ConfigError, "sum.sources: expected a tuple of at least 2"),
        (IntSum("sum", ("max", "lif")), ShapeError, r"sum .from lif.: expected .2, 2, 3. .from max., got .4, 4, 3."),
        (IntLinear("fc", "short", 5), ShapeError, "fc .from short.: expected counts or signed, got 'current'"),
        (IntReadout("out", "fc", 0.0), ConfigError, "out.scale: expected a positive number"),
    ],
    ids=lambda x: x.name if hasattr(x, "name") else None,
)
def test_wrong_nodes_are_refused(node, error, message):
    with pytest.raises(error, match=message):
        network(swap=[node() if callable(node) else node])


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"conv .from in.: expected a map of at least 5 pixels, got 4"):
        network(swap=[IntConv("conv", "in", 3, 7, 1, 1)], conv_codes=np.ones((7, 7, 2, 3), np.int8))
    with pytest.raises(ShapeError, match=r"out .from short.: expected a shape .1, 1, classes., got .4, 4, 3."):
        network(swap=[IntReadout("out", "short")], out_bias=np.ones(3, np.int32))


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (
            ["in"],
            "network.nodes: expected a tuple of nodes, IntInput the first and IntReadout or IntCurrentReadout the last",
        ),
        (["in", "conv", "conv"], "network.conv: expected a name of its own"),
        (["conv", "in"], "conv.source: expected an earlier node"),
        (
            ["in", "conv"],
            "network: expected IntReadout or IntCurrentReadout, the last node, got conv .IntConv.",
        ),
        (["in", "conv", "short", "lif", "max", "fc", "out"], "fc.source: expected the name of a node, got 'pool'"),
    ],
)
def test_wrong_orders_are_refused(order, message):
    nodes, _ = parts()
    named = {node.name: node for node in nodes}
    with pytest.raises(NetworkError, match=message):
        IntegerNetwork(tuple(named[name] for name in order), {}, 3)


def test_a_node_that_nobody_reads_is_refused():
    nodes, arrays = parts()
    nodes.insert(4, IntMaxPool("idle", "lif", 1, 1))
    with pytest.raises(NetworkError, match=r"network\.idle: expected a later node that reads it, got none"):
        IntegerNetwork(tuple(nodes), arrays, 3)


def test_foreign_nodes_arrays_and_steps_are_refused():
    nodes, arrays = parts()
    with pytest.raises(NetworkError, match=r"expected a kind of node that the integer network knows .*, got object"):
        IntegerNetwork((nodes[0], object(), nodes[-1]), arrays, 3)
    with pytest.raises(
        NetworkError, match=r"network.arrays: expected the name of a node .did you mean 'conv'.*'convv'"
    ):
        IntegerNetwork(tuple(nodes), {**arrays, "convv": {}}, 3)
    for steps in (0, 2.0, True):
        with pytest.raises(ConfigError, match=r"network\.steps"):
            IntegerNetwork(tuple(nodes), arrays, steps)
    with pytest.raises(NetworkError, match="did you mean 'conv'"):
        IntegerNetwork(tuple(nodes), arrays, 3)["con"]
