"""Gates: nodes that say, for each sample and step, which channels or places of a synapse are computed; their prior.

A gate reads the current of its predictor, ordinary nodes of any kind, and gives a mask of 0 and 1. A Conv takes masks
by name (`gate`, `input_gate`) and skips what they close; docs/gates.md has the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from qpsnn_core.common.errors import ShapeError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import check_at_least, check_choice, check_name, check_number, is_positive
from qpsnn_core.network.values import ValueSpec, check_kind, window

CHANNEL_MASK: Final = "channel mask"
PLACE_MASK: Final = "place mask"

SAMPLINGS = ("gumbel", "straight-through")


@dataclass(frozen=True)
class ChannelGate:
    """`M[c] = 1 if Z[c // size] > 0 else 0` (sigmoid(Z) > 1/2), Z the current of shape (1, 1, K) that it reads.

    Trained with `weight` times the mean binary cross-entropy of Z against a target: the groups of `size` channels that
    are largest in the pooled activation of what the gate masks, while their cumulative share of it is at most `target`
    (the largest always belongs). No gradient of the task reaches Z. Gives a channel mask (1, 1, K*size).
    """

    name: str
    source: str
    size: int = 1
    target: float = 0.85
    weight: float = 1.0

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_at_least(f"{self.name}.size", self.size, 1)
        _check_target(self.name, self.target, self.weight)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """A channel mask of `size` channels for each of the current's."""
        check_kind(self.name, self.source, value, "current")
        if value.shape[:2] != (1, 1):
            want = "a shape (1, 1, channels): a Linear of an average over the whole map gives one"
            raise ShapeError(expected(f"{self.name} (from {self.source})", want, value.shape))
        return ValueSpec(CHANNEL_MASK, (1, 1, value.shape[2] * self.size), 1)


@dataclass(frozen=True)
class SpatialGate:
    """`M[y, x] = 1 if Z[y*h // H, x*w // W] >= 0 else 0`: the current (h, w, 1) it reads, nearest to `shape` (H, W).

    sampling, in training: "gumbel" opens where `Z + G >= 0`, G the difference of two Gumbel numbers, and passes the
    gradient of `sigmoid((Z + G) / temperature)`; "straight-through" opens as in a test, and passes the gradient as it
    is. The noise is a function of a seed and of counters (batch, place). To the task's gradient comes that of `weight`
    times the mean binary cross-entropy of Z against a target: the places (each of the map that one Z serves) that are
    largest in the activation of what the gate masks, as of a ChannelGate. Gives a place mask (H, W, 1).
    """

    name: str
    source: str
    shape: tuple[int, int]
    sampling: str = "gumbel"
    temperature: float = 0.4
    target: float = field(default=0.85, metadata=ADDED_LATER)
    weight: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        if not isinstance(self.shape, tuple) or len(self.shape) != 2:
            raise ShapeError(expected(f"{self.name}.shape", "(H, W)", self.shape))
        for size in self.shape:
            check_at_least(f"{self.name}.shape", size, 1)
        check_choice(f"{self.name}.sampling", self.sampling, SAMPLINGS)
        check_number(f"{self.name}.temperature", self.temperature, "a positive number", is_positive)
        _check_target(self.name, self.target, self.weight)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """A place mask of `shape`."""
        check_kind(self.name, self.source, value, "current")
        height, width, channels = value.shape
        if channels != 1 or height > self.shape[0] or width > self.shape[1]:
            want = f"one channel, of at most {self.shape[0]} x {self.shape[1]} places"
            raise ShapeError(expected(f"{self.name} (from {self.source})", want, value.shape))
        return ValueSpec(PLACE_MASK, (*self.shape, 1), 1)


@dataclass(frozen=True)
class Membrane:
    """`P[t] = mean over size x size windows of U[t-1] / theta`, U the membrane that the LIF `source` stores, theta its

    threshold; 0 at first. The prior of a spatial gate. No gradient passes. Gives real numbers; where membranes have
    levels, integers, the sums of levels, which have an integer form. Pixels at the edge that fill no window are left
    out.
    """

    name: str
    source: str
    size: int = 2

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_at_least(f"{self.name}.size", self.size, 1)

    @property
    def sources(self) -> tuple[str, ...]:
        """The LIF."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """Analog: integers of levels, else real numbers. That the source is a neuron, the Network checks."""
        check_kind(self.name, self.source, value, "spikes")
        place = f"{self.name} (from {self.source})"
        height, width = (window(place, size, self.size, self.size, 0) for size in value.shape[:2])
        shape, area = (height, width, value.shape[2]), self.size**2
        if value.levels is None:
            return ValueSpec("analog", shape)
        low, high, parts = value.levels
        return ValueSpec("analog", shape, max(1, high * parts * area), 1 / (parts * area), low * parts * area)


def _check_target(name: str, target: float, weight: float) -> None:
    check_number(f"{name}.target", target, "a number above 0, at most 1", lambda share: 0 < share <= 1)
    check_number(f"{name}.weight", weight, "a number of at least 0", lambda weight: weight >= 0)


def predictors(nodes: Sequence[Any]) -> set[str]:
    """The names of gates, and of the nodes that they alone read, in the end: what these read is data to them."""
    found = {node.name for node in nodes if isinstance(node, (ChannelGate, SpatialGate))}
    for node in reversed(nodes if found else ()):
        readers = [reader.name for reader in nodes if node.name in getattr(reader, "sources", ())]
        if readers and found.issuperset(readers):
            found.add(node.name)
    return found


class Gated(Protocol):
    """A synapse with gates: what they mask, its sums (`gate`) and the spikes it reads (`input_gate`)."""

    @property
    def name(self) -> str:
        """Of the node."""

    @property
    def source(self) -> str:
        """What it reads."""

    @property
    def gate(self) -> str | None:
        """The gate of its sums."""

    @property
    def input_gate(self) -> str | None:
        """The gate of what it reads."""

    @property
    def plain(self) -> bool:
        """Whether its window is square, and it has no groups."""


def gates_of(node: Gated) -> tuple[str, ...]:
    """The names of a synapse's gates, that of its sums first."""
    return tuple(name for name in (node.gate, node.input_gate) if name is not None)


def check_gates(node: Gated, value: ValueSpec, given: ValueSpec, masks: tuple[ValueSpec, ...]) -> None:
    """ShapeError unless masks, those of `gates_of`, fit the sums `given`, and the spikes `value` that are read."""
    if not node.plain:
        plain = "a square window, alike strides and paddings, and no groups, where gates close parts of it"
        raise ShapeError(expected(node.name, plain, Unquoted("others")))
    masked = [one for one, name in ((given, node.gate), (value, node.input_gate)) if name is not None]
    for name, mask, one in zip(gates_of(node), masks, masked, strict=True):
        check_kind(node.name, name, mask, CHANNEL_MASK, PLACE_MASK)
        height, width, channels = one.shape
        want = (1, 1, channels) if mask.kind == CHANNEL_MASK else (height, width, 1)
        if mask.shape != want:
            raise ShapeError(expected(f"{node.name} (from {name})", f"a {mask.kind} {want}", mask.shape))
    if node.input_gate is not None:
        check_kind(node.name, node.source, value, "spikes")
