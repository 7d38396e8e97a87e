"""Where two networks differ first, in words: the node, the field, and both values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

from qpsnn_core.network.graph import Network


class Difference(NamedTuple):
    """place: of a node's field, "name.field", or of the network; old, new: the two values, as text."""

    place: str
    old: str
    new: str


def first_difference(old: Network, new: Network) -> Difference | None:
    """The first, in the order of the nodes; None of equal networks."""
    if old.steps != new.steps:
        return Difference("steps", str(old.steps), str(new.steps))
    names = [[node.name for node in network.nodes] for network in (old, new)]
    if names[0] != names[1]:
        at = next((k for k, (a, b) in enumerate(zip(*names, strict=False)) if a != b), min(map(len, names)))
        gone, come = (one[at] if at < len(one) else "no more nodes" for one in names)
        return Difference(f"nodes[{at}]", gone, come)
    for before, now in zip(old.nodes, new.nodes, strict=True):
        if type(before) is not type(now):
            return Difference(before.name, type(before).__name__, type(now).__name__)
        for field in fields(before):
            values: list[Any] = [getattr(node, field.name) for node in (before, now)]
            if values[0] != values[1]:
                return Difference(f"{before.name}.{field.name}", repr(values[0]), repr(values[1]))
    return None
