"""Attention's heads in pruning: whose channels they tie, what leaves them of equal size, and which channels stay.

q and k keep the same channels, and so do v and the neurons that read the sums. Heads stay of equal size: each loses as
many channels ("within"), or some lose all of them, those of v included ("whole").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.compression.channels.cut import Cut
from qpsnn_core.compression.channels.masked import driven
from qpsnn_core.compression.channels.segments import Segments
from qpsnn_core.network import Network, SelfAttention

Groups = Sequence[tuple[str, ...]]
Found = Mapping[str, Segments]


class Tie(NamedTuple):
    """LIFs that keep the same channels because of an attention: `names`, of the values `sources` and of its readers."""

    node: SelfAttention
    sources: tuple[str, ...]
    names: tuple[str, ...]


def ties_of(network: Network, found: Found) -> list[Tie]:
    """Of each attention, that of q and k, and that of v and all that read the sums. found: of `segments`."""
    ties = []
    for node in network.of(SelfAttention):
        query, key, value = (_names(found, source) for source in node.sources)
        ties.append(Tie(node, (node.query, node.key), query + key))
        ties.append(Tie(node, (node.value,), value + tuple(driven(network, node.name))))
    return ties


def fixed_by_heads(network: Network, found: Found) -> set[str]:
    """LIFs that lose no channels: their spikes are q, k or v side by side with others', or meet the Input there."""
    names: set[str] = set()
    for tie in ties_of(network, found):
        plain = all(len(found[source]) == 1 and not found[source][0].fixed for source in tie.sources)
        if not plain or network.input.name in tie.names:
            names.update(tie.names)
    return names


def heads_of(network: Network, found: Found, group: tuple[str, ...]) -> int:
    """In how many runs the channels of LIFs that keep the same ones must lose as many each; 1 where no head is.

    ConfigError where these are heads of several attentions, of numbers that do not divide the largest one.
    """
    counts = {tie.node.heads for tie in ties_of(network, found) if set(tie.names) & set(group)}
    most = max(counts, default=1)
    if any(most % count for count in counts):
        want = f"attentions whose heads divide the largest number of them, as they share the channels of {group[0]}"
        raise ConfigError(expected("prune", want, Unquoted(", ".join(map(str, sorted(counts))))))
    return most


def check_heads(network: Network, found: Found, kept: Mapping[str, Longs]) -> None:
    """ConfigError unless what stays leaves the heads of every attention of equal size. kept: channels by LIF."""
    for node in network.of(SelfAttention):
        every = []
        for source in (node.query, node.value):
            names = [name for name in _names(found, source) if name in kept]
            if not names or len(found[source]) > 1:
                continue
            counts = _counts(kept[names[0]], node.heads, network.shape(source)[2])
            if len({count for count in counts if count}) > 1:
                want = f"as many channels in each of the {node.heads} heads of {node.name} that stay"
                raise ConfigError(expected(f"keep.{names[0]}", want, Unquoted(f"{counts}")))
            every.append((names[0], [count > 0 for count in counts]))
        for name, stay in every[1:]:
            if stay != every[0][1]:
                want = f"heads {_which(every[0][1])} of {node.name}, as keep.{every[0][0]}"
                raise ConfigError(expected(f"keep.{name}", want, Unquoted(f"heads {_which(stay)}")))


def narrow_heads(node: SelfAttention, cut: Cut) -> SelfAttention:
    """With the heads that stay. cut: of the queries."""
    counts = _counts(cut.source, node.heads, cut.before[2])
    return replace(node, heads=sum(count > 0 for count in counts))


def best_within(best: Callable[[slice], Longs], channels: int, heads: int) -> Longs:
    """What stays of each head. best: of a run of channels, those that stay, counted from its first."""
    size = channels // heads
    return np.concatenate([head * size + best(slice(head * size, (head + 1) * size)) for head in range(heads)])


def clusters(network: Network, found: Found, groups: Groups) -> list[tuple[int, Groups]]:
    """For whole heads: how many heads there are, and the groups of LIFs that lose the same ones of them.

    groups: of `coupled_groups`. ConfigError where attentions of different numbers of heads share channels.
    """
    made: list[tuple[set[int], list[tuple[str, ...]]]] = []
    for node in network.of(SelfAttention):
        names = {*_names(found, node.query), *_names(found, node.value)}
        own = [group for group in groups if names & set(group)]
        heads = {node.heads}
        for other in [one for one in made if any(group in one[1] for group in own)]:
            made.remove(other)
            heads |= other[0]
            own += [group for group in other[1] if group not in own]
        made.append((heads, own))
    for heads, own in made:
        if len(heads) > 1:
            want = f"'within', as attentions of {sorted(heads)} heads share the channels of {own[0][0]}"
            raise ConfigError(expected("prune.heads", want, "whole"))
    return [(heads.pop(), own) for heads, own in made]


def score_of_heads(scores: Doubles, heads: int) -> Doubles:
    """The mean score of each head's channels."""
    total: Doubles = np.array([sum(run) / len(run) for run in scores.reshape(heads, -1).tolist()])
    return total


def channels_of(kept: Longs, heads: int, channels: int) -> Longs:
    """All channels of these heads."""
    size = channels // heads
    return (kept[:, None] * size + np.arange(size)).reshape(-1)


def _names(found: Found, source: str) -> tuple[str, ...]:
    return tuple(name for segment in found[source] for name in segment.names)


def _counts(kept: Longs, heads: int, channels: int) -> list[int]:
    """How many channels of each head stay."""
    found: list[int] = np.bincount(kept // (channels // heads), minlength=heads).tolist()
    return found


def _which(stay: list[bool]) -> str:
    return ", ".join(str(head) for head, one in enumerate(stay) if one)
