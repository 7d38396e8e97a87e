"""What a network costs: parameters, bits, size (Eq. 16), synaptic operations, energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Array, Bools, Longs
from qpsnn_core.common.validation import check_kind
from qpsnn_core.network.additions import attention_reach, conv_reach, linear_reach, shortcut_reach
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.cost_figures import Cost, NodeCost
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.dropout import without_dropout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate, gates_of
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.sparse_storage import bitmap_bits, stored
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

FLOAT_BITS = 32
INTEGER_BITS = 32

Firing = Mapping[str, "float | Array"]
"""By the name of a value of spikes: its mean per element and step, or [H, W, C], the mean per image summed over T."""
Masks = Mapping[str, Bools]
"""By the name of a synapse: which of its weights are not 0, the shape of the weight. All of one that is not named."""


def cost(network: Network, firing: Firing | None = None, *, frames: bool = False, masks: Masks | None = None) -> Cost:
    """Count everything. firing: measured spikes of all values in `counted(network)`, for the synaptic operations.

    `saved_bits` is what the integer network holds: codes at their own bits, and 32-bit integers: a gain per channel
    of each synapse, a threshold and a bias per channel of each LIF, a bias per class of the readout (of a
    CurrentReadout also a factor per channel that it reads, and a gain per class); they replace bias, batch norm and
    quantizer step. Layers without a quantizer count there with their floats instead.
    frames: each step has its own analog image, so that `image_macs` is the first layer's MACs times T, not once. Among
    them are those of a CurrentReadout, which multiplies real numbers: once for an image, as it sums over T before.
    masks: of the weights that are not 0 (`nonzero` of a model): those that are 0 cost no operation, and a layer takes
    the fewest bits of `stored` (of `saved_bits`: a bitmap, or all codes, as in the file).
    Raises as `sops`.
    """
    frames = plain(frames)
    check_kind("cost.network", network, Network)
    for place, table in (("firing", firing), ("masks", masks)):
        if table is not None:
            check_kind(f"cost.{place}", table, Mapping)
    check_kind("cost.frames", frames, bool)
    masks = masks or {}
    operations = sops(network, firing, masks) if firing is not None else {}
    rows = [PRICES[node].cost(network, node, operations.get(node.name), masks.get(node.name)) for node in network]
    times = network.steps if frames else 1
    image = sum(times * row.macs for row, node in zip(rows, network, strict=True) if _reads_image(network, node))
    image += sum(
        network.steps * row.macs for row, node in zip(rows, network, strict=True) if _reads_prior(network, node)
    )
    image += sum(row.macs for row, node in zip(rows, network, strict=True) if type(node) is CurrentReadout)
    return Cost(tuple(rows), network.steps, image)


def counted(network: Network) -> tuple[str, ...]:
    """What is to be measured for the synaptic operations: spikes that synapses read, and additions of gated ones."""
    network = without_dropout(network)
    read = {source for node in network if not gated(node) for source in _added(node)}
    spikes = {name for name in read if network.values[name].kind == "spikes"}
    return tuple(node.name for node in network if node.name in spikes or counts_itself(network, node))


def gated(node: Node) -> bool:
    """Whether it is a synapse with gates."""
    return isinstance(node, Conv) and bool(gates_of(node))


def counts_itself(network: Network, node: Node) -> bool:
    """Whether the additions of a synapse depend on masks, and are counted where it runs."""
    return gated(node) and network.values[node.sources[0]].kind == "spikes"


def sops(network: Network, firing: Firing, masks: Masks | None = None) -> dict[str, float]:
    """Synaptic operations of each synapse that reads spikes, per image, the total over T steps.

    Exact for measured counts [H, W, C]: each spike times the additions that it causes, padding not counted. A count
    of k (after an AvgPool, a Sum, or of events) is k spikes. A single number stands for all elements and steps.
    Weights that are 0 by `masks` add nothing. Of a gated synapse, `firing` has its own additions, by its name: the mean
    per image summed over T for each of its sums (engine/gates.py); of weights that are 0, the mean share counts.
    Raises ConfigError (a value that is missing), ShapeError (firing or mask), NumericsError (negative, NaN or
    infinite).
    """
    network = without_dropout(network)
    totals: dict[str, float] = {}
    for source in counted(network):
        if source not in firing:
            raise ConfigError(
                expected(f"firing.{source}", f"spikes of {', '.join(counted(network))}", Unquoted("nothing"))
            )
        shape = network.shape(source)
        spikes = np.asarray(firing[source], np.float64)
        if spikes.shape not in ((), shape):
            raise ShapeError(expected(f"firing.{source}", f"a number, or an array {shape}", spikes.shape))
        if not (np.isfinite(spikes).all() and (spikes >= 0).all()):
            raise NumericsError(expected(f"firing.{source}", "finite numbers of at least 0", Unquoted("others")))
        if spikes.shape == ():
            spikes = np.full(shape, spikes * network.steps)
        if counts_itself(network, network[source]):
            totals[source] = float(spikes.sum()) * _dense_share(network, source, masks)
            continue
        for node in network.consumers(source):
            if not gated(node) and source in _added(node):
                reach = _reach(network, node, source, (masks or {}).get(node.name))
                totals[node.name] = totals.get(node.name, 0.0) + float((spikes * reach).sum())
    return totals


def _dense_share(network: Network, name: str, masks: Masks | None) -> float:
    """The share of a gated synapse's weights that are not 0: of additions that are counted as if none were."""
    mask = (masks or {}).get(name)
    return 1.0 if mask is None else float(_checked(network, network[name], mask).mean())


def fanout(network: Network, name: str, only: str | None = None) -> Longs:
    """Additions that one spike of this value causes in all synapses that read it, int64 [H, W, C], padding not counted.

    The synaptic operations of an image are the sum over its spikes of this number. only: the one synapse to count.
    """
    total = np.zeros(network.shape(name), np.int64)
    for node in network.consumers(name):
        if only in (None, node.name) and name in _added(node):
            total += _reach(network, node, name)
    return total


def _added(node: Node) -> tuple[str, ...]:
    """The values whose spikes each cause additions in this node; none of one that adds nothing up."""
    price = PRICES[node]
    return tuple(node.sources[index] for index in price.adds) if price.reach else ()


def _reach(network: Network, node: Node, source: str, mask: Bools | None = None) -> Longs:
    """Additions in this node for one spike of each element of this source of it (of `_added`), [H, W, C]."""
    reach: Any = PRICES[node].reach
    checked = None if mask is None else _checked(network, node, mask)
    found: Longs = reach(node, network.shape(source), network.shape(node.name), checked)
    return found


def _checked(network: Network, node: Node, mask: Bools) -> Bools:
    shapes = {one.name: one.weight_shape(network.inputs_of(one)[0]) for one in network.synapses}
    want = shapes.get(node.name, "none")
    if mask.shape != want:
        raise ShapeError(expected(f"masks.{node.name}", want, Unquoted(f"{mask.shape}")))
    return mask


def _reads_image(network: Network, node: Node) -> bool:
    return any(value.kind == "analog" for value in network.inputs_of(node)) and not _reads_prior(network, node)


def _reads_prior(network: Network, node: Node) -> bool:
    """Whether it multiplies membranes, which each step has of its own."""
    return any(isinstance(network[source], Membrane) for source in node.sources)


def _free(network: Network, node: Node, operations: float | None, mask: Any) -> NodeCost:
    return NodeCost(node.name, type(node).__name__)


def _neuron(network: Network, node: LIF, operations: float | None, mask: Any) -> NodeCost:
    height, width, channels = network.shape(node.name)
    learned = len(node.learn) * (channels if node.learn_per == "channel" else 1)
    stored = height * width * channels * (FLOAT_BITS if node.membrane is None else node.membrane.bits)
    bits, saved = FLOAT_BITS * learned, 2 * INTEGER_BITS * channels
    return NodeCost(node.name, type(node).__name__, 0, learned, bits, saved, membrane_bits=stored)


def _readout(network: Network, node: Readout, operations: float | None, mask: Any) -> NodeCost:
    height, width, channels = network.shape(node.name)
    bits = INTEGER_BITS * channels
    stored = bits * height * width if node.leak else 0
    return NodeCost(node.name, type(node).__name__, saved_bits=bits, membrane_bits=stored)


def _gate(network: Network, node: ChannelGate | SpatialGate, operations: float | None, mask: Any) -> NodeCost:
    """A threshold for each number that it reads; what predicts them are nodes of their own."""
    saved = INTEGER_BITS * network.shape(node.source)[2]
    return NodeCost(node.name, type(node).__name__, saved_bits=saved)


def _shortcut(network: Network, node: Shortcut, operations: float | None, mask: Any) -> NodeCost:
    return NodeCost(node.name, type(node).__name__, saved_bits=INTEGER_BITS * node.channels, sops=operations)


def _attention(network: Network, node: SelfAttention, operations: float | None, mask: Any) -> NodeCost:
    """No parameters; `q k^T` and `(q k^T) v` multiply every token with every other."""
    height, width, values = network.shape(node.name)
    macs = (height * width) ** 2 * (network.shape(node.query)[2] + values)
    return NodeCost(node.name, type(node).__name__, macs=macs, sops=operations)


def _weights(network: Network, node: Weighted, operations: float | None, mask: Bools | None) -> NodeCost:
    kind = type(node).__name__
    height, width, channels = network.shape(node.name)
    weights = math.prod(node.weight_shape(network.inputs_of(node)[0]))
    each = FLOAT_BITS if node.quantizer is None else node.quantizer.bits
    codes = saved = each * weights
    if mask is not None:
        weights = int(_checked(network, node, mask).sum())
        codes, saved = stored(mask, each).bits, min(saved, bitmap_bits(mask, each))
    constants = channels * (node.bias + 2 * node.batch_norm)
    macs = weights * height * width
    bits = codes + FLOAT_BITS * constants
    if node.quantizer is None:
        return NodeCost(node.name, kind, 0, weights + constants, bits, saved + bits - codes, macs, operations)
    return NodeCost(node.name, kind, weights, constants, bits, saved + INTEGER_BITS * channels, macs, operations)


def _current_readout(network: Network, node: CurrentReadout, operations: float | None, mask: Bools | None) -> NodeCost:
    """Weights, and in integers also a factor for each channel that it reads and a bias for each that it gives."""
    found = _weights(network, node, operations, mask)
    more = node.channels + network.shape(node.sources[0])[2] if node.quantizer is not None else 0
    return found._replace(saved_bits=found.saved_bits + INTEGER_BITS * more)


class Price(NamedTuple):
    """What a kind costs. cost: `(network, node, sops, mask) -> NodeCost`.

    reach: additions for one spike of each element of the source, `(node, source, output, mask) -> [H, W, C]`, of a
    kind that adds up what it reads; None of one that does not. adds: which of its sources are these.
    """

    cost: Callable[..., NodeCost]
    reach: Callable[..., Longs] | None = None
    adds: tuple[int, ...] = (0,)


PRICES: KindTable[Price] = KindTable(
    "the cost counter",
    {
        Input: Price(_free),
        Conv: Price(_weights, conv_reach),
        Linear: Price(_weights, linear_reach),
        Shortcut: Price(_shortcut, shortcut_reach),
        LIF: Price(_neuron),
        MaxPool: Price(_free),
        AvgPool: Price(_free),
        Sum: Price(_free),
        Concat: Price(_free),
        Upsample: Price(_free),
        Dropout: Price(_free),
        ChannelGate: Price(_gate),
        SpatialGate: Price(_gate),
        Membrane: Price(_free),
        SelfAttention: Price(_attention, attention_reach, (0, 2)),
        Readout: Price(_readout),
        CurrentReadout: Price(_current_readout),
    },
)
