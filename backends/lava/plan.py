"""From an integer network to Lava's wiring: latencies, the delays that align them, and the arrays in Lava's layout.

A synapse process sends what it received one step ago; every other process answers within the step. So a value's latency
is the number of synapses on its way, and where two ways of different lengths meet the shorter one is delayed.
Lava's activations are (W, H, C); its convolution flips the kernel, so it gets a flipped one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava.wiring import Kind, Part, Pool, Shape, Wiring
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
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

Arrays = dict[str, npt.NDArray[Any]]


class Plan(NamedTuple):
    """wiring: the processes; arrays: `<part>.<array>`, integers in Lava's layout."""

    wiring: Wiring
    arrays: Arrays


class Output(NamedTuple):
    """Where a node's value is to be had: the sum of what these parts send, `latency` steps after the image."""

    parts: tuple[str, ...]
    latency: int


def plan(network: IntegerNetwork) -> Plan:
    """The processes that compute the network, each after those it reads."""
    planner = Planner(network)
    for node in network.nodes:
        planner.add(node)
    return Plan(Wiring(tuple(planner.parts.values()), network.steps), planner.arrays)


class Planner:
    """Holds what is planned so far; `add` takes the nodes in order."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.parts: dict[str, Part] = {}
        self.arrays: Arrays = {}
        self.outputs: dict[str, Output] = {}

    def add(self, node: IntNode) -> None:
        """Plan one node, whose sources are planned."""
        sources = self.network.sources(node)
        latency = max((self.outputs[source].latency for source in sources), default=0)
        if isinstance(node, (IntMaxPool, IntSumPool)) and self._fuse(node):
            return
        reads = self._align(sources, latency)
        if isinstance(node, IntSum):
            self.outputs[node.name] = Output(reads, latency)
            return
        kind, settings, pool = self._describe(node)
        latency += kind in ("conv", "dense", "shortcut")
        inputs = self._shape(sources[0]) if sources else self._shape(node.name)
        self._put(Part(node.name, kind, reads, inputs, self._shape(node.name), latency, settings, pool))
        self.outputs[node.name] = Output((node.name,), latency)

    def _put(self, part: Part) -> None:
        self.parts[part.name] = part

    def _shape(self, name: str) -> Shape:
        height, width, channels = self.network.shape(name)
        return width, height, channels

    def _describe(self, node: IntNode) -> tuple[Kind, dict[str, int], Pool | None]:
        given = self.network.arrays[node.name]
        if isinstance(node, IntInput):
            return "source", {}, None
        if isinstance(node, IntConv):
            weight = given["codes"].astype(np.int32) * given["gain"]
            self.arrays[f"{node.name}.weight"] = np.ascontiguousarray(weight[::-1, ::-1].transpose(3, 1, 0, 2))
            bits = self._message_bits(node.source)
            return "conv", {"stride": node.stride, "padding": node.padding, "message_bits": bits}, None
        if isinstance(node, IntLinear):
            weight = given["codes"].astype(np.int32) * given["gain"]
            mapped = weight.reshape(*self.network.shape(node.source), node.features).transpose(3, 1, 0, 2)
            self.arrays[f"{node.name}.weight"] = np.ascontiguousarray(mapped.reshape(node.features, -1))
            return "dense", {"message_bits": self._message_bits(node.source)}, None
        if isinstance(node, IntShortcut):
            self.arrays[f"{node.name}.gain"] = given["gain"]
            self.arrays[f"{node.name}.channel_map"] = np.array(node.channel_map, np.int32)
            return "shortcut", {"stride": node.stride, "delay": 1}, None
        if isinstance(node, IntLIF):
            self.arrays[f"{node.name}.threshold"] = given["threshold"]
            self.arrays[f"{node.name}.bias"] = given["bias"]
            return "lif", {"multiplier": node.multiplier, "shift": node.shift}, None
        if isinstance(node, IntReadout):
            self.arrays[f"{node.name}.bias"] = given["bias"]
            return "readout", {}, None
        assert isinstance(node, (IntMaxPool, IntSumPool))  # noqa: S101 - IntSum has no part of its own
        return "pool", {}, pool_of(node)

    def _message_bits(self, source: str) -> int:
        """How wide Lava's messages are; 0 says that they are booleans."""
        peak = self.network.values[source].peak
        return 0 if peak == 1 else peak.bit_length()

    def _fuse(self, node: IntMaxPool | IntSumPool) -> bool:
        """Let the LIF pool what it sends, where no one else reads it."""
        source = self.parts.get(node.source)
        if source is None or source.kind != "lif" or len(self.network.consumers(node.source)) > 1:
            return False
        self._put(replace(source, outputs=self._shape(node.name), pool=pool_of(node)))
        self.outputs[node.name] = self.outputs[node.source]
        return True

    def _align(self, sources: tuple[str, ...], latency: int) -> tuple[str, ...]:
        """The parts that send these values, all `latency` steps after the image, none of them twice."""
        reads: list[str] = []
        for source in sources:
            wait = latency - self.outputs[source].latency
            if wait and self._wait_inside(source, wait):
                wait = 0
            for name in self.outputs[source].parts:
                copy = reads.count(name) + sum(read.startswith(f"{name}+") for read in reads)
                reads.append(self._delayed(name, wait, copy) if wait or copy else name)
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

    def _delayed(self, name: str, wait: int, copy: int) -> str:
        """A part that repeats another one `wait` steps later; `copy` tells apart those that one InPort sums."""
        delayed = f"{name}+{wait}" + f"#{copy}" * (copy > 0)
        if delayed not in self.parts:
            part = self.parts[name]
            self._put(Part(delayed, "delay", (name,), part.outputs, part.outputs, part.latency + wait, {"delay": wait}))
        return delayed


def pool_of(node: IntMaxPool | IntSumPool) -> Pool:
    """What a pooling node does."""
    if isinstance(node, IntMaxPool):
        return Pool(True, node.size, node.stride, node.padding)
    return Pool(False, node.size, node.size, 0)


def to_lava(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., H, W, C) to Lava's (..., W, H, C), or back."""
    return np.ascontiguousarray(np.swapaxes(images, -3, -2))
