"""A network: an ordered, immutable tuple of nodes that has been checked, and its shapes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from qpsnn_core.common.errors import ConfigError, FormatError, NetworkError, Unquoted, VersionError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import TAG, converter, structure, tag_union
from qpsnn_core.common.validation import check_at_most
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.defaults import resolve
from qpsnn_core.network.dropout import Dropout, trained_values
from qpsnn_core.network.gates import Membrane
from qpsnn_core.network.nodes import LIF, READOUTS, Input, Node, Readout
from qpsnn_core.network.ordered_graph import Ordered, check_order, check_read, only
from qpsnn_core.network.roles import NEURONS, ROLES, WEIGHTS
from qpsnn_core.network.values import ValueSpec

VERSION = 1

_convert = converter()
tag_union(_convert, Node)

MOST_STEPS = 2**16
"""Largest T of a network that can be trained."""

TAGS: KindTable[str] = KindTable("the JSON of a network", {kind: kind.__name__ for kind in get_args(Node)})
"""What JSON calls each kind."""


@dataclass(frozen=True, repr=False)
class Network(Ordered[Node]):
    """Nodes in the order in which they run, and the number of time steps T.

    The first node is the Input, the last a readout; there may be more readouts. Each node reads only earlier ones, and
    each but a readout is read by a later one.
    `values`: what each gives; `training_values`: the same while dropout is at work. Quantizers that nodes were not
    given, gammas "auto" and gains of None are resolved by place (network/defaults.py).
    Raises NetworkError or ShapeError, naming the node.
    """

    nodes: tuple[Node, ...]
    steps: int = 4
    values: dict[str, ValueSpec] = field(init=False, compare=False, repr=False)
    training_values: dict[str, ValueSpec] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", plain(self.steps))
        if type(self.steps) is not int or self.steps < 1:
            raise ConfigError(expected("network.steps", "an integer of at least 1", self.steps))
        check_at_most("network.steps", self.steps, MOST_STEPS)
        check_order(self.nodes, Input, *READOUTS)
        check_read(self.nodes, *READOUTS)
        _check_priors(self.nodes)
        values: dict[str, ValueSpec] = {}
        for node in self.nodes:
            values[node.name] = node.output(*(values[source] for source in node.sources))
        object.__setattr__(self, "nodes", resolve(self.nodes, values))
        object.__setattr__(self, "values", values)
        dropped = any(type(node) is Dropout for node in self.nodes)
        object.__setattr__(self, "training_values", trained_values(self.nodes) if dropped else values)

    def __hash__(self) -> int:
        return hash((self.nodes, self.steps))

    def __str__(self) -> str:
        """A table of the layers: kinds, sources, shapes, parameters, bits (network/summary.py)."""
        from qpsnn_core.network.summary import summary  # which counts with cost.py, which takes a Network

        return summary(self)

    @property
    def synapses(self) -> tuple[Weighted, ...]:
        """The nodes that have weights, in order. Raises NodeKindError for a kind that is not of `Node`."""
        return self._playing(WEIGHTS)

    @property
    def neurons(self) -> tuple[LIF, ...]:
        """The nodes that have membranes, in order. Raises as `synapses`."""
        return self._playing(NEURONS)

    @property
    def input(self) -> Input:
        """The first node."""
        node = self.nodes[0]
        assert isinstance(node, Input)  # noqa: S101 - checked when the network was made
        return node

    @property
    def readouts(self) -> tuple[Readout | CurrentReadout, ...]:
        """The nodes that give logits, in order; of most networks the last node alone."""
        return self.of(*READOUTS)

    @property
    def readout(self) -> Readout | CurrentReadout:
        """The only readout. NetworkError, naming them, where there are several."""
        return only({node.name: node for node in self.readouts})

    def inputs_of(self, node: Node) -> tuple[ValueSpec, ...]:
        """The values that a node reads."""
        return tuple(self.values[source] for source in node.sources)

    def change(self, name: str, **changes: Any) -> Network:
        """The same network with other hyper-parameters in one node."""
        old = self[name]
        return replace(self, nodes=tuple(replace(n, **changes) if n is old else n for n in self.nodes))

    def to_json(self) -> str:
        """All of it as canonical JSON: sorted keys, no spaces; the text that `digest` hashes.

        Raises NodeKindError for a kind that is not of `Node`.
        """
        nodes = [{TAG: TAGS[node], **_convert.unstructure(node)} for node in self.nodes]
        data = {"format": "qpsnn-network", "version": VERSION, "steps": self.steps, "nodes": nodes}
        return json.dumps(data, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Network:
        """Read what `to_json` wrote. FormatError, VersionError, or what is wrong with the network itself."""
        try:
            data = json.loads(text)
        except ValueError as error:  # not JSON, or an integer of thousands of digits
            raise FormatError(f"network: not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("format") != "qpsnn-network":
            raise FormatError(expected("network.format", "'qpsnn-network'", Unquoted(f"{text[:60]}")))
        if data.get("version") != VERSION:
            raise VersionError(expected("network.version", VERSION, data.get("version")))
        for key in ("steps", "nodes"):
            if key not in data:
                raise FormatError(expected(f"network.{key}", "to be there", Unquoted("nothing")))
        nodes = structure(_convert, data["nodes"], tuple[Node, ...], "network.nodes")
        return cls(nodes, structure(_convert, data["steps"], int, "network.steps"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the same for equal networks, in any process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def _playing(self, role: str) -> tuple[Any, ...]:
        return tuple(node for node in self.nodes if ROLES[node] == role)


def _check_priors(nodes: tuple[Node, ...]) -> None:
    """NetworkError unless what a Membrane reads is a neuron."""
    kinds = {node.name: node for node in nodes}
    for node in nodes:
        if type(node) is Membrane and type(kinds[node.source]) is not LIF:
            got = Unquoted(f"{node.source} ({type(kinds[node.source]).__name__})")
            raise NetworkError(expected(f"{node.name}.source", "a LIF, which has a membrane", got))
