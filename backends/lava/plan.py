"""From an integer network to Lava's wiring: latencies, the delays that align them, and the arrays in Lava's layout.

A synapse process sends what it received one step ago; every other process answers within the step. So a value's latency
is the number of synapses on its way, and where two ways of different lengths meet the shorter one is delayed.
Lava's activations are (W, H, C); its convolution flips the kernel, so it gets a flipped one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava.planner import LavaPlan, Output, Planner
from qpsnn_backends.lava.wiring import LavaProcessSpec, Pool, Wiring
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Pair
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)


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
        inputs, reads = planner.shape(source), planner.aligned((source,), latency)
        names.append(f"{node.name}@{first}")
        settings = {"first": first}
        spec = LavaProcessSpec(names[-1], "delay", reads, inputs, (width, height, channels), latency, settings)
        planner.parts[spec.name] = spec
        first += inputs[2]
    planner.outputs[node.name] = Output(tuple(names), latency)


def _upsample(planner: Planner, node: IntUpsample) -> None:
    planner.put(node, "delay", {"repeat": node.factor})


def _gate(planner: Planner, node: IntGate) -> None:
    planner.put(node, "gate", {"size": node.size})
    planner.keep(node, **planner.network.arrays[node.name])


def _attention(planner: Planner, node: IntAttention) -> None:
    """It multiplies within the step in which all three arrive."""
    latency = max(planner.outputs[source].latency for source in node.sources)
    reads, keys, values = (planner.aligned((source,), latency) for source in node.sources)
    shapes = planner.shape(node.query), planner.shape(node.name)
    spec = LavaProcessSpec(node.name, "attention", reads, *shapes, latency, {"heads": node.heads})
    planner.parts[node.name] = replace(spec, ports={"k_in": keys, "v_in": values})
    planner.outputs[node.name] = Output((node.name,), latency)
    planner.keep(node, gain=planner.network.arrays[node.name]["gain"])


def _current_readout(planner: Planner, node: IntCurrentReadout) -> None:
    planner.put(node, "stream", {"places": node.places, "shift": node.shift, "bias_shift": node.bias_shift})
    planner.keep(node, **planner.network.arrays[node.name])


def _prior(planner: Planner, node: IntMembrane) -> None:
    """The levels that the neurons stored at the step before, which they send beside their spikes, added up."""
    planner.put(node, "prior", pool=Pool(False, (node.size, node.size), (node.size, node.size), (0, 0)))


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
        IntUpsample: _upsample,
        IntGate: _gate,
        IntAttention: _attention,
        IntMembrane: _prior,
        IntReadout: _readout,
        IntCurrentReadout: _current_readout,
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
