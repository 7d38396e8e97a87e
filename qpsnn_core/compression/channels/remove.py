"""Removes channels from a network: a pure function of the model and of which channels stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Arrays, Integers, Longs
from qpsnn_core.common.validation import check_kind
from qpsnn_core.compression.channels.cut import (
    Cut,
    brief,
    by_output,
    checked_channels,
    narrow_conv,
    narrow_linear,
    narrow_shortcut,
    of_currents,
    of_kernel,
    of_rows,
    same,
)
from qpsnn_core.compression.channels.heads import check_heads, fixed_by_heads, narrow_heads, ties_of
from qpsnn_core.compression.channels.masked import (
    beside_others,
    driven,
    masked_by,
    masks_parts,
    part_beside_others,
    readers,
)
from qpsnn_core.compression.channels.segments import (
    Segment,
    Segments,
    met,
    none,
    of_source,
    own,
    side_by_side,
)
from qpsnn_core.engine.passes import check_model_kind
from qpsnn_core.network import (
    LIF,
    AvgPool,
    Concat,
    Conv,
    CurrentReadout,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Network,
    Node,
    Readout,
    Shortcut,
    Sum,
    Upsample,
)
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.model import Model

Keep = Mapping[str, Sequence[int] | Integers]


def remove_channels(model: Model, keep: Keep) -> Model:
    """The model with only the channels `keep[lif]` of each LIF named in it; a pure function.

    keep: rising channel indices by LIF name; a LIF that is not named keeps all. The synapses that feed a LIF lose
    output channels (weight, bias, batch norm, running statistics), those that read it lose input channels (Linear:
    rows in (H, W, C) order), a CurrentReadout those of the currents that it reads, and a Shortcut gets a
    `channel_map` to the source channels that are left, -1 where the source lost its channel. All other arrays are
    carried over. Where no channel goes, a node and its arrays stay as they are: the network is equal to the old one
    if nothing is removed.

    Stored weights are carried over, codes need not be: gamma (Eq. 9) is a function of the weights, so a quantizer
    with gamma "mean", "max" or "percentile" takes it anew from those that are left, as the paper does. With gamma
    "one", and without a quantizer, the codes stay too, and removing a channel that never fires changes no logit.

    Raises ConfigError, naming the LIF: an unknown name, channels that are not rising, out of range or none, a LIF
    that shares channels with another (`coupled_groups`) with a different set, one whose channels cannot be removed,
    heads of attention that are left of unlike sizes.
    """
    check_model_kind("remove_channels.model", model)
    check_kind("remove_channels.keep", keep, Mapping)
    network = model.network
    kept = _kept(network, keep)
    nodes: list[Node] = []
    params: Arrays = {}
    state: Arrays = {}
    for node in network.nodes:
        first = node.sources[0] if node.sources else node.name
        cut = Cut(network.shape(first), kept[first], kept[node.name])
        kind = CHANNELS[node]
        nodes.append(kind.narrow(node, cut))
        for old, new in ((model.params, params), (model.state, state)):
            if node.name in old:
                new[node.name] = {
                    name: np.ascontiguousarray((kind.weight if name == "weight" else by_output)(array, cut))
                    for name, array in old[node.name].items()
                }
    return Model(replace(network, nodes=tuple(nodes)), params, state)


def coupled_groups(network: Network, *, together: bool = False) -> tuple[tuple[str, ...], ...]:
    """The LIFs of a network in groups that must keep the same channels; most are alone. In the network's order.

    LIFs share channels where their spikes meet in a Sum, where one synapse feeds them both or their currents meet
    in a CurrentReadout, where a depthwise convolution with one output for each channel leads from one to the other,
    and in attention: queries and keys, values and what reads the sums. together: also where a Shortcut leads from one
    to the other channel by channel (`channel_map` the identity, as many channels).
    """
    found = segments(network)
    parent = {node.name: node.name for node in network.neurons}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    def join(names: Iterable[str]) -> None:
        roots = [root(name) for name in names if name in parent]
        for other in roots[1:]:
            parent[other] = roots[0]

    for node in network.nodes:
        aligned = [one.name for one in readers(network, node.name) if one.whole]
        for segment in found[node.name]:
            join(segment.names)
        through = (together and CHANNELS[node].copies(network, node)) or CHANNELS[node].ties(network, node)
        whole = found[node.sources[0]] if through else ()
        join([*aligned, *(whole[0].names if len(whole) == 1 else ())])
    origin = spike_sources(network)
    for gate in network.of(ChannelGate):
        join(masked_by(network, gate, origin))
    for tie in ties_of(network, found):
        join(tie.names)
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in groups.values())


def segments(network: Network) -> dict[str, Segments]:
    """For each node that gives spikes or the image, whose channels these are, in order; else none."""
    found: dict[str, Segments] = {}
    for node in network.nodes:
        found[node.name] = CHANNELS[node].origin(network, node, found)
    return found


def spike_sources(network: Network) -> dict[str, tuple[str, ...]]:
    """For each node that gives spikes or the image, the LIFs (or the Input) whose channels these are; else none."""
    return {
        name: tuple(dict.fromkeys(one for segment in runs for one in segment.names))
        for name, runs in segments(network).items()
    }


def _masks(network: Network, node: Node) -> tuple[str, ...]:
    """The LIFs whose channels a gate masks one by one, or those that what is read by such a gate predicts."""
    gates = [one for one in (node, *network.consumers(node.name)) if isinstance(one, ChannelGate) and one.size == 1]
    return tuple(name for gate in gates for name in masked_by(network, gate, spike_sources(network)))


def unprunable(network: Network) -> frozenset[str]:
    """The LIFs whose channels cannot be removed: they meet the Input in a Sum, or share a synapse with a Readout.

    Nor those whose spikes the Readout counts: their channels are the classes. Nor those that a convolution in groups of
    several channels reads or feeds, or a depthwise one of the Input: its groups are all alike.
    Nor those that a gate masks in groups, or together with the Input; nor those whose spikes are a part of attention's
    queries, keys or values. Nor those that share a current which one of them reads in a Concat: the channels of one are
    a part of another's.
    """
    origin, found = spike_sources(network), segments(network)
    ends = {one.name for one in network.readouts if isinstance(one, Readout)}
    shared = {node.name for node in network.nodes if ends.intersection(driven(network, node.name))}
    names = {lif for name in shared for lif in driven(network, name) if network[lif] in network.neurons}
    names.update(name for readout in network.readouts for source in readout.sources for name in origin[source])
    for node in network.nodes:
        if network.values[node.name].kind == "current":
            names.update(beside_others(network, node.name))
        whole = node.sources and len(found[node.sources[0]]) == 1 and network.input.name not in origin[node.sources[0]]
        tied = whole and CHANNELS[node].ties(network, node)
        if getattr(node, "groups", 1) > 1 and not tied:
            names.update(set(origin[node.sources[0]]) - {network.input.name})
            names.update(name for name in driven(network, node.name) if network[name] in network.neurons)
    for gate in network.of(ChannelGate):
        masked = masked_by(network, gate, origin)
        if gate.size > 1 or masks_parts(network, gate) or not {lif.name for lif in network.neurons}.issuperset(masked):
            names.update(masked)
    names.update(fixed_by_heads(network, found))
    for segment in (one for runs in found.values() for one in runs):
        if segment.fixed or network.input.name in segment.names:
            names.update(segment.names)
    return frozenset(lif for group in coupled_groups(network) if names & set(group) for lif in group)


def _kept(network: Network, keep: Keep) -> dict[str, Longs]:
    """The channels that stay of every node's output."""
    lifs = {lif.name: network.shape(lif.name)[2] for lif in network.neurons}
    for name in keep:
        if name not in lifs:
            raise ConfigError(expected("keep", "the name of a LIF" + did_you_mean(name, lifs), name))
    chosen = {name: checked_channels(name, keep.get(name), size) for name, size in lifs.items()}
    fixed = unprunable(network)
    for group in coupled_groups(network):
        for name in group[1:]:
            if group[0] not in fixed and not np.array_equal(chosen[name], chosen[group[0]]):
                want = f"those of keep.{group[0]}, as both have the same channels"
                raise ConfigError(expected(f"keep.{name}", want, brief(chosen[name])))
    for name in sorted(fixed):
        if len(chosen[name]) < lifs[name]:
            raise ConfigError(
                expected(
                    f"keep.{name}",
                    f"all {lifs[name]} (the input, the logits or a gate of groups share them)",
                    len(chosen[name]),
                )
            )
    kept: dict[str, Longs] = {}
    sources = segments(network)
    check_heads(network, sources, chosen)
    for node in network.nodes:
        first, every = 0, []
        part = part_beside_others(network, node.name, chosen)
        if part is not None:
            kept[node.name] = part
            continue
        runs = sources[node.name] or (
            Segment(_masks(network, node) or tuple(driven(network, node.name)), network.shape(node.name)[2]),
        )
        for segment in runs:
            found = [name for name in segment.names if name in chosen and not segment.fixed]
            every.append(first + (chosen[found[0]] if found else np.arange(segment.size)))
            first += segment.size
        kept[node.name] = np.concatenate(every)
    return kept


def _never(network: Network, node: Node) -> bool:
    return False


def _identity(network: Network, node: Shortcut) -> bool:
    inputs = network.shape(node.source)[2]
    return node.mapping(inputs) == tuple(range(inputs))


def _depthwise(network: Network, node: Conv) -> bool:
    return network.shape(node.source)[2] == node.groups == node.channels > 1


class Channels(NamedTuple):
    """What a kind does with channels.

    origin: `(network, node, found)`, its line of `segments`, after those of the nodes that it reads. narrow: `(node,
    cut)`, the node that is left. weight: `(array, cut)`, what is left of its weight; its other arrays go by output
    channel. copies: `(network, node)`, whether its channels are its source's, one by one. ties: whether it has no other
    form, so that both keep the same.
    """

    origin: Callable[..., Segments]
    narrow: Callable[..., Node] = same
    weight: Callable[[Any, Cut], Any] = by_output
    copies: Callable[..., bool] = _never
    ties: Callable[..., bool] = _never


CHANNELS: KindTable[Channels] = KindTable(
    "the removal of channels",
    {
        Input: Channels(own),
        Conv: Channels(none, narrow_conv, of_kernel, ties=_depthwise),
        Linear: Channels(none, narrow_linear, of_rows),
        Shortcut: Channels(none, narrow_shortcut, copies=_identity),
        LIF: Channels(own),
        MaxPool: Channels(of_source),
        AvgPool: Channels(of_source),
        Sum: Channels(met),
        Concat: Channels(side_by_side),
        Upsample: Channels(of_source),
        Dropout: Channels(of_source),
        ChannelGate: Channels(none),
        SpatialGate: Channels(none),
        Membrane: Channels(of_source),
        SelfAttention: Channels(none, narrow_heads),
        Readout: Channels(none),
        CurrentReadout: Channels(none, weight=of_currents),
    },
)
