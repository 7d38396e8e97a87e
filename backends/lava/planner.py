"""What is planned of Lava's wiring so far: parts, their arrays, and when each value is to be had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava.wiring import Kind, LavaProcessSpec, Pool, Settings, Wiring
from qpsnn_core.common.types import NamedArrays, Shape
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntLinear, IntMaxPool, IntNode, IntSumPool


class LavaPlan(NamedTuple):
    """wiring: the processes; arrays: `<part>.<array>`, integers in Lava's layout."""

    wiring: Wiring
    arrays: NamedArrays


class Output(NamedTuple):
    """Where a node's value is to be had: the sum of what these parts send, `latency` steps after the image."""

    parts: tuple[str, ...]
    latency: int


class Planner:
    """Holds what is planned so far; takes the nodes in order."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.parts: dict[str, LavaProcessSpec] = {}
        self.arrays: NamedArrays = {}
        self.outputs: dict[str, Output] = {}

    def read(self, node: IntNode) -> Output:
        """The parts that send what a node reads, all of them after the same number of steps."""
        return self._together(self.network.sources(node))

    def _together(self, sources: tuple[str, ...]) -> Output:
        latency = max((self.outputs[source].latency for source in sources), default=0)
        return Output(self.aligned(sources, latency), latency)

    def mask(self, name: str, source: str, gate: str) -> str:
        """A part that sends what a source sends where a gate is open, else 0; its name."""
        latency = max(self.outputs[one].latency for one in (source, gate))
        reads, (opened_by,) = self.aligned((source,), latency), self.aligned((gate,), latency)
        shape = self.shape(source)
        part = LavaProcessSpec(name, "mask", reads, shape, shape, latency)
        self._put(replace(part, opened_by=opened_by, opening=self.shape(gate)))
        self.outputs[name] = Output((name,), latency)
        return name

    def put(
        self,
        node: IntNode,
        kind: Kind,
        settings: Settings | None = None,
        pool: Pool | None = None,
        wait: int = 0,
        sources: tuple[str, ...] | None = None,
    ) -> None:
        """A part of its own for a node. wait: steps from what it reads to what it sends, 1 for a synapse.

        sources: what it reads, by the names of `outputs`; None: what the network says.
        """
        given = self.network.sources(node)
        reads, latency = self.read(node) if sources is None else self._together(sources)
        latency += wait
        inputs = self.shape(given[0]) if given else self.shape(node.name)
        self._put(LavaProcessSpec(node.name, kind, reads, inputs, self.shape(node.name), latency, settings or {}, pool))
        self.outputs[node.name] = Output((node.name,), latency)

    def pool(self, node: IntMaxPool | IntSumPool, pool: Pool) -> None:
        """Let the LIF pool what it sends, where no one else reads it; else a part of its own does."""
        source = self.parts.get(node.source)
        if source is None or source.kind != "lif" or len(self.network.consumers(node.source)) > 1:
            self.put(node, "pool", pool=pool)
            return
        self._put(replace(source, outputs=self.shape(node.name), pool=pool))
        self.outputs[node.name] = self.outputs[node.source]

    def weight(self, node: IntConv | IntLinear) -> npt.NDArray[np.int32]:
        """Codes times gains."""
        given = self.network.arrays[node.name]
        product: npt.NDArray[np.int32] = given["codes"].astype(np.int32) * given["gain"]
        return product

    def keep(self, node: IntNode, **arrays: npt.NDArray[Any]) -> None:
        """Arrays of a node's part."""
        self.arrays.update({f"{node.name}.{name}": array for name, array in arrays.items()})

    def _put(self, part: LavaProcessSpec) -> None:
        self.parts[part.name] = part

    def shape(self, name: str) -> Shape:
        """(W, H, C) of what a node gives."""
        height, width, channels = self.network.shape(name)
        return width, height, channels

    def message_bits(self, source: str) -> int:
        """How wide Lava's messages are; 0 says that they are booleans."""
        value = self.network.values[source]
        signed = value.kind == "signed"
        return 0 if value.max_count == 1 and not signed else value.max_count.bit_length() + signed

    def aligned(self, sources: tuple[str, ...], latency: int) -> tuple[str, ...]:
        """The parts that send these values, all `latency` steps after the image, none of them twice."""
        reads: list[str] = []
        for source in sources:
            wait = latency - self.outputs[source].latency
            if wait and self._wait_inside(source, wait):
                wait = 0
            parts = self.outputs[source].parts
            if wait and len(parts) > 1 and self.network.values[source].kind == "current":
                reads.append(self._sum_later(source, wait))
                continue
            for name in parts:
                copy = reads.count(name) + sum(read.startswith(f"{name}+") for read in reads)
                reads.append(self.delayed(name, wait, copy) if wait or copy else name)
        return tuple(reads)

    def _sum_later(self, source: str, wait: int) -> str:
        """A part that adds up a sum of currents, which all fit what their sum fits, and sends it later."""
        name, shape, (parts, latency) = f"{source}+{wait}", self.shape(source), self.outputs[source]
        if name not in self.parts:
            self._put(LavaProcessSpec(name, "delay", parts, shape, shape, latency + wait, {"delay": wait}))
        return name

    def _wait_inside(self, source: str, wait: int) -> bool:
        """Let a shortcut itself wait, where no one else reads it."""
        part = self.parts.get(source)
        if part is None or part.kind != "shortcut" or len(self.network.consumers(source)) > 1:
            return False
        latency = part.latency + wait
        self._put(replace(part, latency=latency, settings={**part.settings, "delay": part.settings["delay"] + wait}))
        self.outputs[source] = Output((source,), latency)
        return True

    def delayed(self, name: str, wait: int, copy: int) -> str:
        """A part that repeats another one `wait` steps later; `copy` tells apart those that one InPort sums."""
        delayed = f"{name}+{wait}" + f"#{copy}" * (copy > 0)
        if delayed not in self.parts:
            part = self.parts[name]
            self._put(
                LavaProcessSpec(
                    delayed, "delay", (name,), part.outputs, part.outputs, part.latency + wait, {"delay": wait}
                )
            )
        return delayed
