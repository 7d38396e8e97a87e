"""From an integer network to Lava's wiring: latencies, the delays that align them, and the arrays in Lava's layout.

A synapse process sends what it received one step ago; every other process answers within the step. So a value's latency
is the number of synapses on its way, and where two ways of different lengths meet the shorter one is delayed.
Lava's activations are (W, H, C); its convolution flips the kernel, so it gets a flipped one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava.wiring import Kind, LavaProcessSpec, Pool, Settings, Wiring
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import NamedArrays, Pair, Shape
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConcat,
    IntConv,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)


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
        return Output(self._align(sources, latency), latency)

    def mask(self, name: str, source: str, gate: str) -> str:
        """A part that sends what a source sends where a gate is open, else 0; its name."""
        latency = max(self.outputs[one].latency for one in (source, gate))
        reads, (opened_by,) = self._align((source,), latency), self._align((gate,), latency)
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

    def _align(self, sources: tuple[str, ...], latency: int) -> tuple[str, ...]:
        """The parts that send these values, all `latency` steps after the image, none of them twice."""
        reads: list[str] = []
        for source in sources:
            wait = latency - self.outputs[source].latency
            if wait and self._wait_inside(source, wait):
                wait = 0
            for name in self.outputs[source].parts:
                copy = reads.count(name) + sum(read.startswith(f"{name}+") for read in reads)
                reads.append(self.delayed(name, wait, copy) if wait or copy else name)
        return tuple(reads)

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


def _input(planner: Planner, node: IntInput) -> None:
    planner.put(node, "source")


def _conv(planner: Planner, node: IntConv) -> None:
    """With processes that mask what it reads, or what it sends, where these are gated."""
    bits, source = planner.message_bits(node.source), node.source
    if node.input_gate is not None:
        source = planner.mask(f"{node.name}+read", source, node.input_gate)
    (down, right), (top, left) = both(node.stride), both(node.padding)
    settings = {"stride": [right, down], "padding": [left, top], "groups": node.groups, "message_bits": bits}
    planner.put(node, "conv", settings, wait=1, sources=(source,))
    if node.gate is not None:
        planner.outputs[node.name] = planner.outputs[planner.mask(f"{node.name}+open", node.name, node.gate)]
    planner.keep(node, weight=np.ascontiguousarray(planner.weight(node)[::-1, ::-1].transpose(3, 1, 0, 2)))


def _linear(planner: Planner, node: IntLinear) -> None:
    planner.put(node, "dense", {"message_bits": planner.message_bits(node.source)}, wait=1)
    mapped = planner.weight(node).reshape(*planner.network.shape(node.source), node.features).transpose(3, 1, 0, 2)
    planner.keep(node, weight=np.ascontiguousarray(mapped.reshape(node.features, -1)))


def _shortcut(planner: Planner, node: IntShortcut) -> None:
    planner.put(node, "shortcut", {"stride": node.stride, "delay": 1}, wait=1)
    channel_map = np.array(node.channel_map, np.int32)
    planner.keep(node, gain=planner.network.arrays[node.name]["gain"], channel_map=channel_map)


def _lif(planner: Planner, node: IntLIF) -> None:
    """All options of the node go to the process, which alone knows what they mean."""
    planner.put(node, "lif", {name: value for name, value in asdict(node).items() if name not in ("name", "sources")})
    planner.keep(node, **planner.network.arrays[node.name])


def _turned(size: Pair) -> tuple[int, int]:
    """(columns, rows)."""
    rows, columns = both(size)
    return columns, rows


def _max_pool(planner: Planner, node: IntMaxPool) -> None:
    planner.pool(node, Pool(True, _turned(node.size), _turned(node.stride), _turned(node.padding)))


def _sum_pool(planner: Planner, node: IntSumPool) -> None:
    planner.pool(node, Pool(False, _turned(node.size), _turned(node.step), (0, 0)))


def _sum(planner: Planner, node: IntSum) -> None:
    """The summands meet in the InPort of whatever reads the sum."""
    planner.outputs[node.name] = planner.read(node)


def _concat(planner: Planner, node: IntConcat) -> None:
    """Each source is sent among zeros at its own channels; they meet in the InPort of whatever reads them all."""
    width, height, channels = planner.shape(node.name)
    latency = max(planner.outputs[source].latency for source in node.sources)
    names, first = [], 0
    for source in node.sources:
        wait, inputs = latency - planner.outputs[source].latency, planner.shape(source)
        parts = planner.outputs[source].parts
        reads = tuple(planner.delayed(part, wait, 0) if wait else part for part in parts)
        names.append(f"{node.name}@{first}")
        settings = {"first": first}
        spec = LavaProcessSpec(names[-1], "delay", reads, inputs, (width, height, channels), latency, settings)
        planner.parts[spec.name] = spec
        first += inputs[2]
    planner.outputs[node.name] = Output(tuple(names), latency)


def _gate(planner: Planner, node: IntGate) -> None:
    planner.put(node, "gate", {"size": node.size})
    planner.keep(node, **planner.network.arrays[node.name])


def _readout(planner: Planner, node: IntReadout) -> None:
    settings = {"mode": node.mode, "multiplier": node.multiplier, "shift": node.shift}
    planner.put(node, "readout", settings)
    planner.keep(node, **planner.network.arrays[node.name])


PLANNED: KindTable[Callable[[Planner, Any], None]] = KindTable(
    "the Lava backend",
    {
        IntInput: _input,
        IntConv: _conv,
        IntLinear: _linear,
        IntShortcut: _shortcut,
        IntLIF: _lif,
        IntMaxPool: _max_pool,
        IntSumPool: _sum_pool,
        IntSum: _sum,
        IntConcat: _concat,
        IntGate: _gate,
        IntReadout: _readout,
    },
)


def plan(network: IntegerNetwork) -> LavaPlan:
    """The processes that compute the network, each after those it reads.

    Raises NodeKindError for a kind of node that Lava does not know.
    """
    planner = Planner(network)
    for node in network.nodes:
        PLANNED[node](planner, node)
    return LavaPlan(Wiring(tuple(planner.parts.values()), network.steps), planner.arrays)


def to_lava(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., H, W, C) to Lava's (..., W, H, C), or back."""
    return np.ascontiguousarray(np.swapaxes(images, -3, -2))
