"""A network as Lava sees it, as plain data: which processes there are, and which ports meet.

The parent writes it as JSON, the child builds it; so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from qpsnn_core.common.types import Shape

Synapses = Literal["conv", "dense", "shortcut", "attention"]
LocalParts = Literal["adaptive", "local", "votes"]
Others = Literal["source", "lif", "prior", "pool", "delay", "gate", "mask", "record", "readout", "stream"]
Kind = Synapses | LocalParts | Others
Settings = dict[str, Any]
"""Numbers and words, by name."""


@dataclass(frozen=True)
class Pool:
    """The largest, or the sum, of each window; what lies beyond the edge is never the largest.

    size, stride, padding: (columns, rows), in Lava's order of axes.
    """

    largest: bool
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class LavaProcessSpec:
    """One Lava process, which is one process of the operating system.

    name: its own, and the first part of its arrays' names.
    reads: the parts whose OutPorts meet in its InPort, where they are summed.
    inputs, outputs: the shapes (W, H, C) of what it reads and sends.
    latency: steps from an image's entrance until this part sends what that image caused.
    settings: by the kind: stride, padding, message_bits, weight_exp; delay; the first channel of a part of a
    concatenation; how often a pixel is repeated; all options of an IntLIF, or bias_exp; of a readout its mode and
    leak; of attention its heads; of a stream's readout its places and shifts; of networks that learnt locally
    ("adaptive", "local", "votes") all their constants.
    pool: what a pool or a prior does, or what a LIF does to its spikes before it sends them.
    opened_by: of a mask, the part that sends 0 and 1, of the shape `opening`.
    ports: of attention, what meets in InPorts besides that of `reads`, by their names.
    """

    name: str
    kind: Kind
    reads: tuple[str, ...]
    inputs: Shape
    outputs: Shape
    latency: int
    settings: Settings = field(default_factory=dict)
    pool: Pool | None = None
    opened_by: str = ""
    opening: Shape = (0, 0, 0)
    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The parts that send to any of its InPorts, one for each channel."""
        opened = (self.opened_by,) if self.opened_by else ()
        return (*self.reads, *opened, *(name for names in self.ports.values() for name in names))


@dataclass(frozen=True)
class Wiring:
    """All parts, each after those it reads; `steps` T for each of `samples` images.

    spikes, membranes: whether each LIF writes them to a file. stock_conv: Lava's own model computes convolutions.
    stock: Lava's own neurons and synapses compute all but the readout's sum; a "record" writes down a LIF's spikes.
    """

    parts: tuple[LavaProcessSpec, ...]
    steps: int
    samples: int = 1
    spikes: bool = False
    membranes: bool = False
    stock_conv: bool = False
    stock: bool = False

    def __iter__(self) -> Iterator[LavaProcessSpec]:
        return iter(self.parts)

    def of(self, kind: Kind) -> tuple[LavaProcessSpec, ...]:
        """All parts of a kind, in order."""
        return tuple(part for part in self.parts if part.kind == kind)

    @property
    def readouts(self) -> tuple[LavaProcessSpec, ...]:
        """All parts that write answers, in order."""
        return tuple(part for part in self.parts if part.kind in ("readout", "stream", "votes"))

    @property
    def channels(self) -> int:
        """How many pairs of an OutPort and an InPort there are."""
        return sum(len(part.sources) for part in self.parts)

    @property
    def duration(self) -> int:
        """Time steps until the last image has left the last part."""
        return self.samples * self.steps + max(part.latency for part in self.parts)

    def json(self) -> str:
        """The wiring as JSON; `wiring_from_json` reads it."""
        return json.dumps(asdict(self))


def wiring_from_json(text: str) -> Wiring:
    """Read what `Wiring.json` wrote."""
    data = json.loads(text)
    parts = tuple(
        replace(
            LavaProcessSpec(**part),
            reads=tuple(part["reads"]),
            inputs=tuple(part["inputs"]),
            outputs=tuple(part["outputs"]),
            pool=part["pool"] and _pool(**part["pool"]),
            opening=tuple(part["opening"]),
            ports={name: tuple(names) for name, names in part["ports"].items()},
        )
        for part in data.pop("parts")
    )
    return Wiring(parts, **data)


def _pool(largest: bool, size: list[int], stride: list[int], padding: list[int]) -> Pool:
    """What JSON made lists of."""
    pairs = ((pair[0], pair[1]) for pair in (size, stride, padding))
    return Pool(largest, *pairs)
