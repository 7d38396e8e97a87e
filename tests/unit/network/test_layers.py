"""Layers have the options of their nodes, and the same defaults: none is missing, none is renamed."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from qpsnn_core import layers as public
from qpsnn_core.network import layers
from qpsnn_core.network.layers import Layer
from qpsnn_core.network.nodes import Node

CHOSEN = {("Conv", "padding"): None, ("Shortcut", "channels"): None}
"""Defaults that the builder chooses by what the layer reads, or by another option."""


def fields_of(kind, *without):
    return {one.name: one.default for one in dataclasses.fields(kind) if one.name not in without}


def test_every_kind_of_node_has_a_layer_of_its_name():
    assert {layer.kind for layer in Layer.__subclasses__()} == set(get_args(Node))
    assert all(layer.__name__ == layer.kind.__name__ for layer in Layer.__subclasses__())
    assert {layer.__name__ for layer in Layer.__subclasses__()} | {"Branches", "Layer"} == set(public.__all__)


@pytest.mark.parametrize("layer", Layer.__subclasses__(), ids=lambda layer: layer.__name__)
def test_a_layer_has_the_options_of_its_node_in_order(layer):
    """A new option of a node, such as one of LIF, needs a field in network/layers.py as well."""
    own = fields_of(layer, "name")
    wanted = fields_of(layer.kind, "name", "source", "sources", "query", "key", "value")
    assert list(own) == list(wanted)
    assert own == {option: CHOSEN.get((layer.__name__, option), value) for option, value in wanted.items()}
    assert layer.many == (len({"sources", "query"} & set(fields_of(layer.kind))) == 1)


@pytest.mark.parametrize("layer", Layer.__subclasses__(), ids=lambda layer: layer.__name__)
def test_a_layer_reads_the_kinds_of_value_that_its_node_reads(layer):
    """`reads` only makes the hint of a message; the node has the last word."""
    from qpsnn_core.common.errors import ShapeError
    from qpsnn_core.network.values import ValueSpec

    needed = {"Conv": {"channels": 2}, "Linear": {"features": 2}, "Input": {"shape": (2, 2, 2)}}
    needed["SpatialGate"], needed["SelfAttention"] = {"shape": (4, 4)}, {"heads": 2}
    needed["CurrentReadout"] = {"channels": 2}
    shapes = {"Readout": (1, 1, 2), "ChannelGate": (1, 1, 2), "SpatialGate": (4, 4, 1)}
    if layer is layers.Input:
        assert layer.reads == ()
        return
    made = layer(**needed.get(layer.__name__, {}))
    able = []
    for kind in ("analog", "spikes", "current"):
        value = ValueSpec(kind, shapes.get(layer.__name__, (4, 4, 2)), 1)
        values = (value,) * {public.Sum: 2, public.Concat: 2, public.SelfAttention: 3}.get(layer, 1)
        node = made.node("x", ("a", "b", "c")[: len(values)], values)
        try:
            node.output(*values)
        except ShapeError:
            continue
        able.append(kind)
    assert set(able) == set(layer.reads)


def test_a_layer_shows_what_differs_from_the_defaults():
    assert repr(layers.Conv(32, kernel=5)) == "Conv(channels=32, kernel=5)"
    assert repr(layers.LIF()) == "LIF()"
    assert repr(layers.Branches([layers.LIF()], [])) == "Branches([LIF()], [])"
