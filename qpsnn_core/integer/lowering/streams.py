"""Residual streams in integers: what several neurons add up alike is added up once, by a node of its own."""

from __future__ import annotations

from dataclasses import replace

from qpsnn_core.integer.nodes import IntCurrentReadout, IntLIF, IntNode, IntSum

Readers = IntLIF | IntCurrentReadout


def with_stored_sums(nodes: tuple[IntNode, ...]) -> tuple[IntNode, ...]:
    """The same network, in which a sum that a later node begins with is an IntSum, which both read.

    Of networks with a readout of currents alone: what has no sums of currents, such as Loihi, refuses those anyway.
    A neuron of the stream a, b, c, ... reads a; the next one a + b; the next one a + b + c, which is that sum and c.
    Sums of integers are exact, and what fits a neuron's membrane fits without it. A sum is named after its first
    reader, with ".stream".
    """
    if not any(isinstance(node, IntCurrentReadout) for node in nodes):
        return nodes
    readers = [node for node in nodes if isinstance(node, Readers)]
    names, stored = {node.name for node in nodes}, dict[tuple[str, ...], str]()
    found: list[IntNode] = []
    for node in nodes:
        if isinstance(node, Readers):
            readers.remove(node)
            whole = node.sources
            again = any(other.sources[: len(whole)] == whole for other in readers)
            if again and len(whole) > 1 and whole not in stored:
                name = _new(f"{node.name}.stream", names)
                found.append(IntSum(name, _shorter(whole, stored)))
                stored[whole] = name
            node = replace(node, sources=_shorter(whole, stored))
        found.append(node)
    return tuple(found)


def _shorter(sources: tuple[str, ...], stored: dict[tuple[str, ...], str]) -> tuple[str, ...]:
    """The sources, the longest stored sum in the place of those that it is of."""
    known = max((n for n in range(2, len(sources) + 1) if sources[:n] in stored), default=0)
    return (stored[sources[:known]], *sources[known:]) if known else sources


def _new(name: str, names: set[str]) -> str:
    """The name, or, where it is a node's, one like it."""
    while name in names:
        name += "_"
    names.add(name)
    return name
