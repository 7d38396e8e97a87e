"""A network: an ordered, immutable tuple of nodes that has been checked, and its shapes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from qpsnn_core.errors import ConfigError, FormatError, NetworkError, VersionError, Words, expected
from qpsnn_core.network.nodes import Input, Node, Readout
from qpsnn_core.network.values import Shape, Value
from qpsnn_core.structure import converter, nearest, structure, tag_union

VERSION = 1
N = TypeVar("N")

_convert = converter()
tag_union(_convert, Node)


@dataclass(frozen=True)
class Network:
    """Nodes in the order in which they run, and the number of time steps T.

    The first node is the Input, the last the Readout, each node reads only earlier ones and is read by a later one.
    Raises NetworkError or ShapeError, naming the node.
    """

    nodes: tuple[Node, ...]
    steps: int = 4
    values: dict[str, Value] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if type(self.steps) is not int or self.steps < 1:
            raise ConfigError(expected("network.steps", "an integer of at least 1", self.steps))
        _check_order(self.nodes)
        values: dict[str, Value] = {}
        for node in self.nodes:
            values[node.name] = node.output(*(values[source] for source in node.sources))
        object.__setattr__(self, "values", values)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        names = [node.name for node in self.nodes]
        raise NetworkError(expected("network", "the name of a node" + nearest(name, names), name))

    def __hash__(self) -> int:
        return hash((self.nodes, self.steps))

    @property
    def input(self) -> Input:
        """The first node."""
        node = self.nodes[0]
        assert isinstance(node, Input)  # noqa: S101 - checked when the network was made
        return node

    @property
    def readout(self) -> Readout:
        """The last node."""
        node = self.nodes[-1]
        assert isinstance(node, Readout)  # noqa: S101 - checked when the network was made
        return node

    @property
    def classes(self) -> int:
        """The number of logits."""
        return self.values[self.readout.name].shape[2]

    def shape(self, name: str) -> Shape:
        """(H, W, C) of what the node gives."""
        return self.values[self[name].name].shape

    def of(self, *kinds: type[N]) -> tuple[N, ...]:
        """All nodes of these kinds, in order."""
        return tuple(node for node in self.nodes if isinstance(node, kinds))

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read this one."""
        return tuple(node for node in self.nodes if name in node.sources)

    def inputs_of(self, node: Node) -> tuple[Value, ...]:
        """The values that a node reads."""
        return tuple(self.values[source] for source in node.sources)

    def change(self, name: str, **changes: Any) -> Network:
        """The same network with other hyper-parameters in one node."""
        old = self[name]
        return replace(self, nodes=tuple(replace(n, **changes) if n is old else n for n in self.nodes))

    def to_json(self) -> str:
        """All of it as canonical JSON: sorted keys, no spaces; the text that `digest` hashes."""
        nodes = [_convert.unstructure(node, unstructure_as=Node) for node in self.nodes]
        data = {"format": "qpsnn-network", "version": VERSION, "steps": self.steps, "nodes": nodes}
        return json.dumps(data, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Network:
        """Read what `to_json` wrote. FormatError, VersionError, or what is wrong with the network itself."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise FormatError(f"network: not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("format") != "qpsnn-network":
            raise FormatError(expected("network.format", "'qpsnn-network'", Words(f"{text[:60]}")))
        if data.get("version") != VERSION:
            raise VersionError(expected("network.version", VERSION, data.get("version")))
        for key in ("steps", "nodes"):
            if key not in data:
                raise FormatError(expected(f"network.{key}", "to be there", Words("nothing")))
        nodes = structure(_convert, data["nodes"], tuple[Node, ...], "network.nodes")
        return cls(nodes, structure(_convert, data["steps"], int, "network.steps"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the same for equal networks, in any process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def _check_order(nodes: tuple[Node, ...]) -> None:
    if not isinstance(nodes, tuple) or len(nodes) < 2:
        raise NetworkError(expected("network.nodes", "a tuple of at least an Input and a Readout", nodes))
    names = [node.name for node in nodes]
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise NetworkError(expected(f"network.{node.name}", "a name of its own", Words("an earlier node's")))
        for source in node.sources:
            if source not in names:
                raise NetworkError(
                    expected(f"{node.name}.source", "the name of a node" + nearest(source, names), source)
                )
            if source not in seen:
                raise NetworkError(_backwards(nodes, node.name, source))
        seen.add(node.name)
    for place, node, kind in (("first", nodes[0], Input), ("last", nodes[-1], Readout)):
        if not isinstance(node, kind) or sum(isinstance(n, kind) for n in nodes) != 1:
            found = ", ".join(f"{n.name} ({type(n).__name__})" for n in nodes if n is node or isinstance(n, kind))
            raise NetworkError(expected("network", f"exactly one {kind.__name__}, the {place} node", Words(found)))
    read = {source for node in nodes for source in node.sources}
    for node in nodes[:-1]:
        if node.name not in read:
            raise NetworkError(expected(f"network.{node.name}", "a later node that reads it", Words("none")))


def _backwards(nodes: tuple[Node, ...], reader: str, source: str) -> str:
    """A source that is not yet there: a cycle, or only the wrong order."""
    sources = {node.name: node.sources for node in nodes}
    path, queue = {source}, [source]
    while queue:
        for name in sources.get(queue.pop(), ()):
            if name not in path:
                path.add(name)
                queue.append(name)
    if reader in path:
        return f"{reader}.source: a cycle through {source!r}; a network runs from its Input to its Readout"
    return expected(f"{reader}.source", "an earlier node (put it first)", source)
