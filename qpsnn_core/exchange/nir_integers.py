"""An integer network as a NIR graph: the integers, in common units, or with thresholds folded into the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Array, Doubles, Longs
from qpsnn_core.exchange.graph import Graph, check_one_readout, check_readout, check_whole, copying, gap, named
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.network.ordered_graph import sources_of


@dataclass(frozen=True)
class Making:
    """A graph on the way. areas: of each value that is no current, what NIR's is to be multiplied by for the count."""

    graph: Graph
    network: IntegerNetwork
    exact: bool
    dt: float
    areas: dict[str, int]


class Form(NamedTuple):
    """How NIR has a kind of node.

    node(making, node): adds it, a neuron or readout with the synapses that it reads. current(making, node, name,
    factor, offset): adds a synapse, its codes times `factor` and with a bias `offset`, both [C]. bits(network, node):
    that a float needs to hold its state.
    """

    node: Callable[[Making, Any], None]
    current: Callable[[Making, Any, str, Doubles, Doubles], None]
    bits: Callable[[IntegerNetwork, Any], int]


def of_integers(network: IntegerNetwork, exact: bool, dt: float, dtype: Any) -> Graph:
    """The graph, its numbers of that dtype. Raises UnsupportedError, naming the node, where NIR has none like it."""
    check_one_readout(network)
    making = Making(Graph(network.input.name, network.input.shape, dtype), network, exact, dt, {})
    forms = [FORMS[node] for node in network]  # refuses a kind before any node of others
    for node, form in zip(network, forms, strict=True):
        form.node(making, node)
    return making.graph


def float_bits(network: IntegerNetwork) -> int:
    """Bits that hold every state, with the binary digits that its leaks and its threshold have below the point."""
    forms = [FORMS[node] for node in network]
    return max(form.bits(network, node) for node, form in zip(network, forms, strict=True))


def _input(making: Making, node: IntInput) -> None:
    """The graph begins with it."""
    making.areas[node.name] = 1


def _with_reader(making: Making, node: IntConv | IntLinear | IntShortcut) -> None:
    """Each neuron that reads it adds it."""


def _neuron(making: Making, node: IntLIF) -> None:
    check_whole(node)
    network, exact = making.network, making.exact
    beta, margin = _leak(network, node, exact)
    unit = _unit(network, node) if exact else np.ones_like(network.arrays[node.name]["threshold"], np.int64)
    threshold = (network.arrays[node.name]["threshold"] // unit).astype(np.float64)
    level = np.minimum(threshold - margin, np.nextafter(threshold, -np.inf))
    scale = np.ones_like(level) if exact else 1 / (level * gap(beta))
    names = _currents(making, node, scale, unit)
    levels = level if exact else np.ones_like(level)
    r = 1 / gap(beta) if exact else 1.0
    making.graph.neuron(node.name, names, beta, r, levels, making.dt, node.reset)
    making.areas[node.name] = 1


def _check_counts(network: IntegerNetwork, node: IntMaxPool | IntSumPool | IntSum) -> None:
    """UnsupportedError of a pool, or a sum, of currents."""
    if network.values[node.name].kind == "current":
        what = "sum" if isinstance(node, IntSum) else "pool"
        want = f"a {what} of spikes or images (the trained model is written with mean-pools and sums of currents)"
        raise UnsupportedError(expected(f"nir: {node.name}", want, Unquoted(f"a {what} of currents")))


def _sum_pool(making: Making, node: IntSumPool) -> None:
    _check_counts(making.network, node)
    making.graph.pool(node.name, node.source, node.size, mean=not making.exact, stride=node.step)
    making.areas[node.name] = making.areas[node.source] * (1 if making.exact else node.area)


def _max_pool(making: Making, node: IntMaxPool) -> None:
    _check_counts(making.network, node)
    if making.network.values[node.source].max_count != 1:
        want = "a kind that NIR can express (of counts, no max-pool)"
        raise UnsupportedError(expected(f"nir: {node.name}", want, Unquoted(type(node).__name__)))
    window = node.size, node.stride, node.padding
    r = 2.0 if making.exact else 1.0
    making.graph.max_pool(node.name, node.source, *window, making.dt, mean=not making.exact, r=r)
    making.areas[node.name] = 1


def _sum(making: Making, node: IntSum) -> None:
    _check_counts(making.network, node)
    found = {making.areas[source] for source in node.sources}
    if len(found) > 1:
        raise UnsupportedError(
            expected(f"nir: {node.name}", "sources pooled alike", Unquoted(f"areas {sorted(found)}"))
        )
    making.graph.join(node.name, node.sources)
    making.areas[node.name] = making.areas[node.sources[0]]


def _readout(making: Making, node: IntReadout) -> None:
    check_readout(node, node.multiplier > 0)
    if making.network.values[node.source].kind == "counts":
        making.graph.output(node.name, node.source)
        return
    scale = np.full(making.network.classes, 1.0 if making.exact else node.scale)
    (name,) = _currents(making, node, scale, np.ones_like(scale, np.int64))
    making.graph.output(node.name, name)


def _currents(making: Making, reader: IntLIF | IntReadout, scale: Doubles, unit: Longs) -> list[str]:
    """Add the synapses of one reader, times `scale / unit` per channel, the first with its bias; their names.

    unit: divides gains and biases, whose quotients are taken as integers.
    """
    network = making.network
    names = []
    for index, source in enumerate(sources_of(reader)):
        node: Any = network[source]
        names.append(named(network, source, reader.name))
        gain: Doubles = (network.arrays[source]["gain"] // unit).astype(np.float64)
        bias: Doubles = (network.arrays[reader.name]["bias"] // unit * (index == 0)).astype(np.float64)
        factor, offset = scale * gain * making.areas[node.source], scale * bias
        FORMS[node].current(making, node, names[-1], factor, offset)
    return names


def _conv(making: Making, node: IntConv, name: str, factor: Doubles, offset: Doubles) -> None:
    weight: Array = making.network.arrays[node.name]["codes"] * factor
    out = making.network.shape(node.name)
    making.graph.conv(name, node.source, weight, offset, node.stride, node.padding, out, node.groups)


def _linear(making: Making, node: IntLinear, name: str, factor: Doubles, offset: Doubles) -> None:
    weight: Array = making.network.arrays[node.name]["codes"] * factor
    making.graph.linear(name, node.source, weight, offset, making.network.shape(node.source))


def _shortcut(making: Making, node: IntShortcut, name: str, factor: Doubles, offset: Doubles) -> None:
    weight = copying(node.channel_map, making.network.shape(node.source)[2]) * factor
    making.graph.conv(name, node.source, weight, offset, node.stride, 0, making.network.shape(node.name))


def _no_current(making: Making, node: IntNode, name: str, factor: Doubles, offset: Doubles) -> None:
    raise UnsupportedError(expected(f"nir: {node.name}", "a kind that gives a current", Unquoted(type(node).__name__)))


def _unit(network: IntegerNetwork, node: IntLIF) -> Longs:
    """What divides a neuron's threshold, bias and all gains, [C]: membranes are multiples of it.

    Lowering multiplies all of them by a power of two. Without it a float needs fewer digits: where a membrane may be
    the threshold itself, the distance to it then is no longer lost in float32.
    """
    arrays = [network.arrays[node.name][label] for label in ("threshold", "bias")]
    arrays += [network.arrays[source]["gain"] for source in node.sources]
    found: Longs = np.gcd.reduce([array.astype(np.int64) for array in arrays])
    return np.maximum(found, 1)


def _leak(network: IntegerNetwork, node: IntLIF, exact: bool) -> tuple[float, float]:
    """beta, and how far below theta the threshold is put.

    Real-valued membranes are multiples of `2**-(shift*(T - 1))`, in `_unit`s; the distance is less (where T is so large
    that no float lies there, the threshold becomes the next float below theta). A reset by subtraction takes off
    the lowered threshold, so much too little: all that is left of it, and the distance itself, are `1 + beta + ... +
    beta**(T - 1)` times the distance, which is less than one of those multiples, too.
    """
    if node.multiplier > 1 and node.shift:
        if exact:
            got = Unquoted(f"{node.multiplier}/{2**node.shift}, whose rounding no real-valued simulator has")
            raise UnsupportedError(expected(f"nir: {node.name}", "a leak that is a power of two, if exact", got))
        return node.multiplier / 2**node.shift, 0.5
    beta = 0.0 if not node.multiplier else 2.0**-node.shift
    return beta, 2.0 ** -(node.shift * (network.steps - 1) + _spare(network, node))


def _spare(network: IntegerNetwork, node: IntLIF) -> int:
    """Binary digits of that distance beyond those of the membrane: without a leak what T resets leave adds up."""
    return network.steps.bit_length() if node.reset == "subtract" and not node.shift else 1


def _no_state(network: IntegerNetwork, node: IntNode) -> int:
    return 1


def _pool_bits(network: IntegerNetwork, node: IntMaxPool | IntSumPool | IntSum) -> int:
    """Refused before the neurons behind it look for the gains of what they read."""
    _check_counts(network, node)
    return 1


def _membrane_bits(network: IntegerNetwork, node: IntLIF) -> int:
    reach, largest = network.values[node.name].membrane, network.arrays[node.name]["threshold"].astype(np.int64)
    if reach is not None:
        largest = np.maximum(largest, reach.largest)
    most = int((largest // _unit(network, node)).max())
    leaks = node.shift * (network.steps - 1) * (2 if node.reset == "subtract" else 1)
    return most.bit_length() + leaks + _spare(network, node)


def _sum_bits(network: IntegerNetwork, node: IntReadout) -> int:
    return network.values[node.name].max_count.bit_length()


FORMS: KindTable[Form] = KindTable(
    "the NIR graph of integers",
    {
        IntInput: Form(_input, _no_current, _no_state),
        IntConv: Form(_with_reader, _conv, _no_state),
        IntLinear: Form(_with_reader, _linear, _no_state),
        IntShortcut: Form(_with_reader, _shortcut, _no_state),
        IntLIF: Form(_neuron, _no_current, _membrane_bits),
        IntMaxPool: Form(_max_pool, _no_current, _pool_bits),
        IntSumPool: Form(_sum_pool, _no_current, _pool_bits),
        IntSum: Form(_sum, _no_current, _pool_bits),
        IntConcat: Refusal("NIR has no node that puts channels side by side"),
        IntUpsample: Refusal("NIR has no node that repeats pixels"),
        IntGate: Refusal("NIR has no node that masks another"),
        IntAttention: Refusal("NIR has no node that multiplies spikes with spikes"),
        IntMembrane: Refusal("NIR has no node that shows the membrane of another"),
        IntReadout: Form(_readout, _no_current, _sum_bits),
        IntCurrentReadout: Refusal("NIR's output reads one layer, and no node of it adds the currents of several"),
    },
    UnsupportedError,
)
