"""Dropout: what training leaves out of spikes or images, and networks without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qpsnn_core.common.errors import ShapeError
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.validation import check_name, check_number
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.ordered_graph import sources_of
from qpsnn_core.network.values import ValueSpec, check_kind

if TYPE_CHECKING:
    from qpsnn_core.network.graph import Network


@dataclass(frozen=True)
class Dropout:
    """In training `S' = S * mask / (1 - rate)`, else S: each neuron of each sample is 0 with the chance `rate`.

    The mask is the same at all T steps (Lee et al., Front. Neurosci. 14:119, 2020), drawn anew for each batch, from
    counters: the run's seed, the batch, the node, the sample and the neuron. 1/(1 - rate) goes into the value's scale.
    Nothing of it is left in a deployed network.
    """

    name: str
    source: str
    rate: float = 0.5

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_number(f"{self.name}.rate", self.rate, "a number from 0 to below 1", lambda rate: 0 <= rate < 1)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """What it reads."""
        check_kind(self.name, self.source, value, "spikes", "analog")
        return value


def trained_values(nodes: tuple[Any, ...]) -> dict[str, ValueSpec]:
    """What each node gives while dropout is at work: spikes count for more.

    Raises ShapeError, naming the node, where values of different rates meet in a Sum or a Concat.
    """
    values: dict[str, ValueSpec] = {}
    for node in nodes:
        try:
            value = node.output(*(values[source] for source in node.sources))
        except ShapeError as error:  # without dropout all of them fit
            why = "in training, what a Dropout keeps counts 1 / (1 - rate) times"
            remedy = f"put one Dropout behind {node.name}, or one of the same rate into each branch before it"
            raise ShapeError(f"{error} ({why}: {remedy})") from error
        values[node.name] = replace(value, scale=value.scale / (1 - node.rate)) if type(node) is Dropout else value
    return values


def without_dropout(network: Network) -> Network:
    """The network as it is deployed: what reads a Dropout reads its source. Itself where there is none."""
    sources = {node.name: node.source for node in network.nodes if type(node) is Dropout}
    if not sources:
        return network
    return replace(network, nodes=tuple(_moved(node, sources) for node in network.nodes if node.name not in sources))


def _moved(node: Any, sources: dict[str, str]) -> Any:
    """The node, with the sources of Dropouts in their place; several in a row, too."""

    def found(name: str) -> str:
        return found(sources[name]) if name in sources else name

    if not set(sources_of(node)) & set(sources):
        return node
    if hasattr(node, "source"):
        return replace(node, source=found(node.source))
    if type(node) is SelfAttention:
        return replace(node, query=found(node.query), key=found(node.key), value=found(node.value))
    return replace(node, sources=tuple(found(name) for name in node.sources))
