"""An ordered graph of named nodes: what a network and its integer form have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
T = TypeVar("T")


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
        name, given = type(self).__name__, [self.shape(node.name) for node in self.readouts]
        ends = f"{given[0][2]} classes" if self.classifies else ", ".join("x".join(map(str, one)) for one in given)
        return f"{name}({len(self.nodes)} nodes, {shape} to {ends}, T = {self.steps})"

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
    def readouts(self) -> tuple[Any, ...]:
        """The nodes that give the answers, in order; of most networks the last node alone."""
        raise NotImplementedError

    @property
    def readout(self) -> Any:
        """The only readout, the last node. NetworkError, naming them, where there are several."""
        return only({node.name: node for node in self.readouts})

    @property
    def classes(self) -> int:
        """The number of logits of the only readout. NetworkError, naming it, of a map, and of several readouts."""
        name, shape = self.readout.name, self.answer_shape(self.readout.name)
        if len(shape) > 1:
            want = f"classes, the outputs of one place ({name} gives a map, {'x'.join(map(str, shape))})"
            raise NetworkError(expected(f"{name}.places", want, "each"))
        return shape[0]

    @property
    def classifies(self) -> bool:
        """Whether it has one readout, whose outputs are classes, and no map."""
        return len(self.readouts) == 1 and len(self.answer_shape(self.readouts[0].name)) == 1

    def shape(self, name: str) -> Shape:
        """(H, W, C) of what the node gives."""
        shape: Shape = self.values[self[name].name].shape
        return shape

    def answer_shape(self, name: str) -> tuple[int, ...]:
        """Of what a readout gives for one sample: (K,), or (H, W, K) of one that reads each place of a map."""
        shape = self.shape(name)
        return shape if getattr(self[name], "places", "") == "each" else shape[2:]

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


def only(found: Mapping[str, T]) -> T:
    """The only one of what readouts give, by their names. Raises NetworkError where there are several."""
    if len(found) != 1:
        want = "one readout, whose answer this is about (of several: readouts, by their names)"
        raise NetworkError(expected("network.readout", want, Unquoted(f"{len(found)}: {', '.join(found)}")))
    return next(iter(found.values()))


def check_order(nodes: tuple[Named, ...], first: type, *last: type) -> None:
    """Names of their own, earlier sources, one `first` node at the beginning, one of the kinds of `last` at the end.

    No node reads one of the kinds of `last`. Raises NetworkError, naming the node.
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
            if isinstance(nodes[names.index(source)], last):
                got = Unquoted(f"{source} ({type(nodes[names.index(source)]).__name__})")
                raise NetworkError(expected(f"{node.name}.source", "no readout, which gives an answer", got))
        seen.add(node.name)
    inputs = [node for node in nodes if isinstance(node, first)]
    if inputs != [nodes[0]]:
        found = _described([node for node in nodes if node is nodes[0] or node in inputs])
        raise NetworkError(expected("network", f"exactly one {first.__name__}, the first node", Unquoted(found)))
    if not isinstance(nodes[-1], last):
        found = _described([node for node in nodes if node is nodes[-1] or isinstance(node, last)])
        raise NetworkError(expected("network", f"{_kinds(last)}, the last node", Unquoted(found)))


def _described(nodes: list[Any]) -> str:
    return ", ".join(f"{node.name} ({type(node).__name__})" for node in nodes)


def _kinds(kinds: tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)


def check_read(nodes: tuple[Named, ...], *last: type) -> None:
    """NetworkError unless a later node reads each but those of the kinds of `last`."""
    read = {source for node in nodes for source in sources_of(node)}
    for node in nodes:
        if node.name not in read and not isinstance(node, last):
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
