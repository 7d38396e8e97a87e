"""Which nodes share the channels of a current, and of a mask of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qpsnn_core.common.types import Longs
from qpsnn_core.network import LIF, ChannelGate, Concat, Conv, CurrentReadout, Network, Sum


class Reader(NamedTuple):
    """What reads a value, of a current also through others that are made of it.

    first: the reader's channel that is the value's first one. whole: whether their channels are the same ones.
    """

    name: str
    first: int = 0
    whole: bool = True


def readers(network: Network, name: str) -> list[Reader]:
    """The nodes that read a value; of a current also those that read pools, sums, concatenations of it.

    And those that read what a current is added to, in a Sum or a CurrentReadout: channels that meet are the same ones.
    """
    found: list[Reader] = []
    queue = [Reader(name)]
    for one in queue:
        current = network.values[one.name].kind == "current"
        for node in network.consumers(one.name):
            whole = not isinstance(node, Concat)
            before = () if whole else node.sources[: node.sources.index(one.name)]
            first = one.first + sum(network.shape(source)[2] for source in before)
            reader = Reader(node.name, first, whole and one.whole)
            met = node.sources if current and isinstance(node, Sum | CurrentReadout) else ()
            made = (reader,) if current and network.values[node.name].kind == "current" else ()
            further = (*made, *(one._replace(name=source) for source in met))
            queue += [other for other in further if other not in queue]
            found += [reader] if reader not in found else []
    return found


def driven(network: Network, name: str) -> list[str]:
    """The names of the readers of a value."""
    return list(dict.fromkeys(one.name for one in readers(network, name)))


def beside_others(network: Network, name: str) -> list[str]:
    """The LIFs that read a current among the channels of others, and whatever LIFs do not read it like that.

    None where one LIF alone reads it: then its channels are that LIF's, from some place on.
    """
    lifs = [one for one in readers(network, name) if isinstance(network[one.name], LIF)]
    return [] if len(lifs) < 2 or all(one.whole for one in lifs) else list(dict.fromkeys(one.name for one in lifs))


def masked_by(network: Network, gate: ChannelGate, origin: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The LIFs (or the Input) whose channels a gate masks: of sums those that read them, of spikes their origin."""
    found: list[str] = []
    for node in network.of(Conv):
        if node.gate == gate.name:
            found += driven(network, node.name)
        if node.input_gate == gate.name:
            found += origin[node.source]
    return tuple(dict.fromkeys(found))


def masks_parts(network: Network, gate: ChannelGate) -> bool:
    """Whether it masks a current that stands beside others in a Concat."""
    masked = [node.name for node in network.of(Conv) if node.gate == gate.name]
    return any(not one.whole for name in masked for one in readers(network, name))


def part_beside_others(network: Network, name: str, chosen: Mapping[str, Longs]) -> Longs | None:
    """What stays of a current that one LIF reads among the channels of others; None of any other value."""
    if network.values[name].kind != "current":
        return None
    for one in readers(network, name):
        if not one.whole and one.name in chosen:
            inside = chosen[one.name] - one.first
            return inside[(inside >= 0) & (inside < network.shape(name)[2])]
    return None
