"""An ordered graph of named nodes: what a network and its integer form have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from qpsnn_core.common.errors import NetworkError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_name, described


class Named(Protocol):
    """A node: frozen, with a name, and a `source` or `sources` unless it is the input."""

    @property
    def name(self) -> str:
        """Unique in its graph."""


NodeT = TypeVar("NodeT", bound=Named)
N = TypeVar("N")


class Ordered(Generic[NodeT]):
    """Nodes in the order in which they run; `values[name]` is what a node gives, with its `shape`."""

    nodes: tuple[NodeT, ...]
    values: Any
    steps: int

    def __iter__(self) -> Iterator[NodeT]:
        return iter(self.nodes)

    def __repr__(self) -> str:
        """How many nodes, from which shape to how many classes, in how many steps; not the nodes."""
        shape = "x".join(map(str, self.shape(self.nodes[0].name)))
        name = type(self).__name__
        return f"{name}({len(self.nodes)} nodes, {shape} to {self.classes} classes, T = {self.steps})"

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, name: str) -> NodeT:
        for node in self.nodes:
            if node.name == name:
                return node
        names = [node.name for node in self.nodes]
        raise NetworkError(expected("network", "the name of a node" + did_you_mean(name, names), name))

    @property
    def input(self) -> Any:
        """The first node."""
        return self.nodes[0]

    @property
    def readout(self) -> Any:
        """The last node."""
        return self.nodes[-1]

    @property
    def classes(self) -> int:
        """The number of logits, of the last node."""
        return int(self.shape(self.nodes[-1].name)[2])

    def shape(self, name: str) -> Shape:
        """(H, W, C) of what the node gives."""
        shape: Shape = self.values[self[name].name].shape
        return shape

    def of(self, *kinds: type[N]) -> tuple[N, ...]:
        """All nodes of these kinds, in order."""
        return tuple(node for node in self.nodes if isinstance(node, kinds))

    def consumers(self, name: str) -> tuple[NodeT, ...]:
        """The nodes that read this one."""
        return tuple(node for node in self.nodes if name in sources_of(node))


def sources_of(node: Any) -> tuple[str, ...]:
    """The names of the nodes that a node reads."""
    several: tuple[str, ...] | None = getattr(node, "sources", None)
    if several is not None:
        return several
    single: str | None = getattr(node, "source", None)
    return () if single is None else (single,)


def check_order(nodes: tuple[Named, ...], first: type, *last: type) -> None:
    """Names of their own, earlier sources, one `first` node and one of the kinds of `last`, at the ends.

    Raises NetworkError, naming the node.
    """
    if not isinstance(nodes, tuple) or len(nodes) < 2:
        want = f"a tuple of nodes, {first.__name__} the first and {_kinds(last)} the last"
        raise NetworkError(expected("network.nodes", want, nodes))
    for node in nodes:
        if not isinstance(getattr(node, "name", None), str):
            raise NetworkError(expected("network.nodes", "nodes, which have names", Unquoted(described(node))))
    names = [node.name for node in nodes]
    seen: set[str] = set()
    for node in nodes:
        check_name(node.name)
        if node.name in seen:
            raise NetworkError(expected(f"network.{node.name}", "a name of its own", Unquoted("an earlier node's")))
        for source in sources_of(node):
            if source not in names:
                want = "the name of a node" + did_you_mean(source, names)
                raise NetworkError(expected(f"{node.name}.source", want, source))
            if source not in seen:
                raise NetworkError(_backwards(nodes, node.name, source))
        seen.add(node.name)
    for place, node, kinds in (("first", nodes[0], (first,)), ("last", nodes[-1], last)):
        if not isinstance(node, kinds) or sum(isinstance(n, kinds) for n in nodes) != 1:
            found = ", ".join(f"{n.name} ({type(n).__name__})" for n in nodes if n is node or isinstance(n, kinds))
            raise NetworkError(expected("network", f"exactly one {_kinds(kinds)}, the {place} node", Unquoted(found)))


def _kinds(kinds: tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)


def check_read(nodes: tuple[Named, ...]) -> None:
    """NetworkError unless a later node reads each but the last."""
    read = {source for node in nodes for source in sources_of(node)}
    for node in nodes[:-1]:
        if node.name not in read:
            raise NetworkError(expected(f"network.{node.name}", "a later node that reads it", Unquoted("none")))


def _backwards(nodes: tuple[Named, ...], reader: str, source: str) -> str:
    """A source that is not yet there: a cycle, or only the wrong order."""
    sources = {node.name: sources_of(node) for node in nodes}
    path, queue = {source}, [source]
    while queue:
        for name in sources.get(queue.pop(), ()):
            if name not in path:
                path.add(name)
                queue.append(name)
    if reader in path:
        return f"{reader}.source: a cycle through {source!r}; a network runs from its input to its readout"
    return expected(f"{reader}.source", "an earlier node (put it first)", source)
