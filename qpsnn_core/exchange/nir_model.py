"""A trained model as a NIR graph: thresholds, batch norm and quantizers are folded into the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Doubles
from qpsnn_core.engine.folded import folded
from qpsnn_core.exchange.graph import Graph, check_one_readout, check_readout, check_whole, copying, gap, named
from qpsnn_core.kernels.neurons.learned import real_thresholds, settled
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.dropout import without_dropout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.leak import check_one_leak
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut


def of_model(model: Model, dt: float) -> Graph:
    """The graph, in float32. Raises UnsupportedError (a max-pool of counts)."""
    check_one_leak(model.network, "NIR's export")
    model = settled(model)
    network = without_dropout(model.network)
    model = model._replace(network=network)
    check_one_readout(network)
    graph = Graph(network.input.name, network.input.shape, np.float32)
    for node in network:
        NODES[node](graph, model, node, dt)
    return graph


def _nothing(graph: Graph, model: Model, node: Input | Conv | Linear | Shortcut, dt: float) -> None:
    """The graph begins with its input; synapses are written with the neurons that read them."""


def _neuron(graph: Graph, model: Model, node: LIF, dt: float) -> None:
    check_whole(node)
    channels = model.network.shape(node.name)[2]
    scale = 1 / (real_thresholds(node, model.params.get(node.name, {}), channels) * gap(node.beta))
    names = [_current(graph, model, source, node.name, scale) for source in node.sources]
    level = np.ones(model.network.shape(node.name)[2])
    graph.neuron(node.name, names, node.beta, 1.0, level, dt, node.reset)


def _readout(graph: Graph, model: Model, node: Readout, dt: float) -> None:
    check_readout(node, node.leak > 0)
    counted = model.network.values[node.source].kind == "spikes"
    graph.output(node.name, node.source if counted else _current(graph, model, node.source, node.name, np.ones(1)))


def _mean(graph: Graph, model: Model, node: AvgPool, dt: float) -> None:
    """Of currents it is written with the neurons that read it."""
    if model.network.values[node.name].kind != "current":
        graph.pool(node.name, node.source, node.size, mean=True, stride=node.step)


def _largest(graph: Graph, model: Model, node: MaxPool, dt: float) -> None:
    if model.network.values[node.source].kind == "current":
        return  # refused with the neurons that read it
    if model.network.values[node.source].max_count != 1:
        want = "a kind that NIR can express (of counts, no max-pool)"
        raise UnsupportedError(expected(f"nir: {node.name}", want, Unquoted(type(node).__name__)))
    graph.max_pool(node.name, node.source, node.size, node.step, node.padding, dt, mean=True, r=1.0)


def _sum(graph: Graph, model: Model, node: Sum, dt: float) -> None:
    """Of currents it is written with the neurons that read it."""
    if model.network.values[node.name].kind != "current":
        graph.join(node.name, node.sources)


def _current(graph: Graph, model: Model, source: str, reader: str, scale: Doubles) -> str:
    """Write a synapse for one of its readers, its current times `scale`; its name in the graph."""
    network = model.network
    node, name = network[source], named(network, source, reader)
    CURRENTS[node](graph, model, node, name, scale)
    return name


def _mean_current(graph: Graph, model: Model, node: AvgPool, name: str, scale: Doubles) -> None:
    source = _current(graph, model, node.source, node.name, scale)
    graph.pool(name, source, node.size, mean=True, stride=node.step)


def _sum_of_currents(graph: Graph, model: Model, node: Sum, name: str, scale: Doubles) -> None:
    graph.join(name, [_current(graph, model, source, name, scale) for source in node.sources])


def _conv(graph: Graph, model: Model, node: Conv, name: str, scale: Doubles) -> None:
    weight, bias = folded(model, node)
    out = model.network.shape(node.name)
    graph.conv(name, node.source, weight * scale, bias * scale, node.stride, node.padding, out, node.groups)


def _linear(graph: Graph, model: Model, node: Linear, name: str, scale: Doubles) -> None:
    weight, bias = folded(model, node)
    graph.linear(name, node.source, weight * scale, bias * scale, model.network.shape(node.source))


def _shortcut(graph: Graph, model: Model, node: Shortcut, name: str, scale: Doubles) -> None:
    inputs, out = model.network.shape(node.source)[2], model.network.shape(node.name)
    weight = copying(node.mapping(inputs), inputs) * scale
    graph.conv(name, node.source, weight, np.zeros(node.channels), node.stride, 0, out)


_ATTENTION = Refusal("NIR has no node that multiplies spikes with spikes")
_NO_CONCAT = Refusal("NIR has no node that puts channels side by side")
_NO_UPSAMPLE = Refusal("NIR has no node that repeats pixels")
_GATE = Refusal("NIR has no node that masks another, and none that gives a membrane")

NODES: KindTable[Callable[[Graph, Model, Any, float], None]] = KindTable(
    "the NIR graph of a model",
    {
        Input: _nothing,
        Conv: _nothing,
        Linear: _nothing,
        Shortcut: _nothing,
        LIF: _neuron,
        MaxPool: _largest,
        AvgPool: _mean,
        Sum: _sum,
        Concat: _NO_CONCAT,
        Upsample: _NO_UPSAMPLE,
        Dropout: Refusal("it is left out of a graph that is exchanged"),
        ChannelGate: _GATE,
        SpatialGate: _GATE,
        Membrane: _GATE,
        SelfAttention: _ATTENTION,
        Readout: _readout,
        CurrentReadout: Refusal("NIR's output reads one layer, and no node of it adds the currents of several"),
    },
    UnsupportedError,
)

_NO_CURRENT = Refusal("it gives no current")
_NO_MAX = Refusal("NIR has no max-pool of real numbers")

CURRENTS: KindTable[Callable[[Graph, Model, Any, str, Doubles], None]] = KindTable(
    "the NIR currents of a model",
    {
        Input: _NO_CURRENT,
        Conv: _conv,
        Linear: _linear,
        Shortcut: _shortcut,
        LIF: _NO_CURRENT,
        MaxPool: _NO_MAX,
        AvgPool: _mean_current,
        Sum: _sum_of_currents,
        Concat: _NO_CONCAT,
        Upsample: _NO_UPSAMPLE,
        Dropout: _NO_CURRENT,
        ChannelGate: _NO_CURRENT,
        SpatialGate: _NO_CURRENT,
        Membrane: _NO_CURRENT,
        SelfAttention: _ATTENTION,
        Readout: _NO_CURRENT,
        CurrentReadout: _NO_CURRENT,
    },
    UnsupportedError,
)
