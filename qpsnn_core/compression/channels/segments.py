"""Whose channels a value of spikes has: runs of them side by side, each of one LIF or of several that share it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qpsnn_core.network import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Network, Node, Sum, Upsample


class Segment(NamedTuple):
    """Channels side by side that are those of these LIFs, or of the Input; several where they meet in a Sum.

    fixed: they meet others that do not line up with them, and stay.
    """

    names: tuple[str, ...]
    size: int
    fixed: bool = False


Segments = tuple[Segment, ...]


def own(network: Network, node: Input | LIF, found: Mapping[str, Segments]) -> Segments:
    """Its own channels."""
    return (Segment((node.name,), network.shape(node.name)[2]),)


def none(network: Network, node: Node, found: Mapping[str, Segments]) -> Segments:
    """It gives a current."""
    return ()


def of_source(
    network: Network, node: MaxPool | AvgPool | Dropout | Upsample, found: Mapping[str, Segments]
) -> Segments:
    """Those of what it reads."""
    return found[node.source]


def side_by_side(network: Network, node: Concat, found: Mapping[str, Segments]) -> Segments:
    """Those of one source after those of the other."""
    return tuple(segment for source in node.sources for segment in found[source])


def met(network: Network, node: Sum, found: Mapping[str, Segments]) -> Segments:
    """Segment by segment where all line up, else one that is fixed; none of currents."""
    every = [found[source] for source in node.sources]
    if not any(every):
        return ()
    if len({tuple(segment.size for segment in own) for own in every}) == 1:
        met = zip(*every, strict=True)
        return tuple(Segment(_names(*group), group[0].size, any(one.fixed for one in group)) for group in met)
    return (Segment(_names(*(one for own in every for one in own)), network.shape(node.name)[2], True),)


def _names(*group: Segment) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in group for name in one.names))
