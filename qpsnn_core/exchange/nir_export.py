"""Networks as NIR files: exact, from integers, or for float simulators with one threshold for each layer.

NIR's LIF at step dt is `v += dt/tau*((v_leak - v) + r*I)`, it fires when `v > v_threshold` and is reset to v_reset.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any, NamedTuple

import nir
import numpy as np
import numpy.typing as npt

from qpsnn_core.errors import ConfigError, UnsupportedError, Words, expected
from qpsnn_core.exchange.graph import Graph, copying, gap, named
from qpsnn_core.exchange.nir_model import of_model
from qpsnn_core.integer.bounds import Array
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.model import Model
from qpsnn_core.storage import replacing, write_all

EXACT_DT = 1.0
FLOAT_DT = 1e-4
"""The step that snnTorch takes for granted, and SpikingJelly's default."""

FLOAT32_BITS = 24


class NirSummary(NamedTuple):
    """What was written. bits: that a float needs for the same spikes as the integers, 0 where none are promised."""

    variant: str
    nodes: int
    edges: int
    dt: float
    steps: int
    bits: int

    @property
    def float32(self) -> bool:
        """Whether simulators that compute in float32 give the same spikes."""
        return 0 < self.bits <= FLOAT32_BITS


def save_nir(
    path: str | os.PathLike[str], source: Model | IntegerNetwork, *, exact: bool = False, dt: float = 0.0
) -> NirSummary:
    """Write a model, or an integer network, whole or not at all.

    exact (integers only): weights, biases and sums as they are, `tau = dt/(1 - beta)`, `r = tau/dt` (dt 1: tau 2, r 2
    for a leak of 1/2), `v_threshold = theta - 2**-(shift*(T-1) + 1)`: between the largest state that is below theta
    and theta, so that `>` and `>=` give the same spikes, as integers do. Else thresholds and `r` are folded into the
    weights (`v_threshold` 1, `r` 1), batch norm too; sum-pools become mean-pools. dt: 0 is 1 if exact, else 1e-4.
    Raises UnsupportedError (a max-pool of counts; if exact, a leak that is no power of two), ConfigError (floats
    cannot be exact, dt).
    """
    if exact and not isinstance(source, IntegerNetwork):
        raise ConfigError(expected("nir: exact", "an integer network (lower it first)", Words("a model in floats")))
    if not (isinstance(dt, (int, float)) and 0 <= dt < float("inf")):
        raise ConfigError(expected("nir: dt", "a positive number, or 0", dt))
    step = dt or (EXACT_DT if exact else FLOAT_DT)
    bits = 0
    if isinstance(source, IntegerNetwork):
        bits = _bits(source) if exact else 0
        graph = _of_integers(source, exact, step, np.float64 if bits > FLOAT32_BITS else np.float32)
        network: Any = source
    else:
        graph = of_model(source, step)
        network = source.network
    about = {
        "variant": "exact" if exact else "float",
        "rule": ">=",
        "dt": step,
        "steps": network.steps,
        "input": {"peak": network.input.peak, "scale": _input_scale(network), "events": _events(network)},
        "bits": {node: _width(array) for node, array in _codes(source).items()},
    }
    made = graph.finished({"qpsnn": json.dumps(about)})
    image = io.BytesIO()
    nir.write(image, made)
    with replacing(path) as beside:
        write_all(beside, image.getbuffer())
    return NirSummary(about["variant"], len(made.nodes), len(made.edges), step, network.steps, bits)


def _of_integers(network: IntegerNetwork, exact: bool, dt: float, dtype: Any) -> Graph:
    graph = Graph(network.input.name, network.input.shape, dtype)
    areas = {network.input.name: 1}  # a mean-pool's output times this is the count
    for node in network.nodes[1:]:
        arrays = network.arrays[node.name]
        if isinstance(node, IntLIF):
            beta, margin = _leak(network, node, exact)
            level = arrays["threshold"].astype(np.float64) - margin
            scale = np.ones_like(level) if exact else 1 / (level * gap(beta))
            _currents(graph, network, node, node.sources, arrays["bias"], scale, areas)
            graph.neuron(
                node.name,
                [named(network, source, node.name) for source in node.sources],
                beta,
                1 / gap(beta) if exact else 1.0,
                level if exact else np.ones_like(level),
                dt,
            )
            areas[node.name] = 1
        elif isinstance(node, IntSumPool):
            graph.pool(node.name, node.source, node.size, mean=not exact)
            areas[node.name] = areas[node.source] * (1 if exact else node.size**2)
        elif isinstance(node, IntMaxPool) and network.values[node.source].peak == 1:
            window = (node.size, node.stride, node.padding)
            graph.max_pool(node.name, node.source, *window, dt, mean=not exact, r=2.0 if exact else 1.0)
            areas[node.name] = 1
        elif isinstance(node, IntSum):
            _same_areas(node, areas)
            graph.join(node.name, node.sources)
            areas[node.name] = areas[node.sources[0]]
        elif isinstance(node, IntReadout):
            scale = np.ones(network.classes) if exact else np.full(network.classes, node.scale)
            _currents(graph, network, node, (node.source,), arrays["bias"], scale, areas)
            graph.output(node.name, named(network, node.source, node.name))
        elif not isinstance(node, (IntConv, IntLinear, IntShortcut, IntInput)):
            raise _no_node(node)
    return graph


def _currents(
    graph: Graph,
    network: IntegerNetwork,
    reader: IntLIF | IntReadout,
    sources: tuple[str, ...],
    bias: Array,
    scale: npt.NDArray[np.float64],
    areas: dict[str, int],
) -> None:
    """The synapses of one reader, times `scale` per channel; the first has its bias."""
    for index, source in enumerate(sources):
        node: Any = network[source]
        arrays = network.arrays[source]
        name = named(network, source, reader.name)
        factor = scale * arrays["gain"] * areas[node.source]
        offset = bias * scale if index == 0 else np.zeros(len(scale))
        if isinstance(node, IntShortcut):
            weight = copying(node.channel_map, network.shape(node.source)[2])
            graph.conv(name, node.source, weight * factor, offset, node.stride, 0, network.shape(source))
        elif isinstance(node, IntLinear):
            graph.linear(name, node.source, arrays["codes"] * factor, offset, network.shape(node.source))
        else:
            weight = arrays["codes"] * factor
            graph.conv(name, node.source, weight, offset, node.stride, node.padding, network.shape(source))


def _leak(network: IntegerNetwork, node: IntLIF, exact: bool) -> tuple[float, float]:
    """beta, and how far below theta the threshold is put."""
    if node.multiplier > 1 and node.shift:
        if exact:
            got = Words(f"{node.multiplier}/{2**node.shift}, whose rounding no real-valued simulator has")
            raise UnsupportedError(expected(f"nir: {node.name}", "a leak that is a power of two, if exact", got))
        return node.multiplier / 2**node.shift, 0.5
    beta = 0.0 if not node.multiplier else 2.0**-node.shift
    return beta, 2.0 ** -(node.shift * (network.steps - 1) + 1)


def _bits(network: IntegerNetwork) -> int:
    """Bits that hold every state, with the binary digits that its leaks and its threshold have below the point."""
    most = 1
    for node in network.of(IntLIF):
        reach = network.values[node.name].membrane
        largest = int(reach.largest.max()) if reach is not None else 0
        largest = max(largest, int(network.arrays[node.name]["threshold"].max()))
        most = max(most, largest.bit_length() + node.shift * (network.steps - 1) + 1)
    return max(most, int(network.values[network.readout.name].peak).bit_length())


def _same_areas(node: IntSum, areas: dict[str, int]) -> None:
    found = {areas[source] for source in node.sources}
    if len(found) > 1:
        raise UnsupportedError(expected(f"nir: {node.name}", "sources pooled alike", Words(f"areas {sorted(found)}")))


def _no_node(node: Any) -> UnsupportedError:
    want = "a kind that NIR can express (of counts, no max-pool)"
    return UnsupportedError(expected(f"nir: {node.name}", want, Words(type(node).__name__)))


def _codes(source: Model | IntegerNetwork) -> dict[str, Array]:
    if isinstance(source, IntegerNetwork):
        return {name: arrays["codes"] for name, arrays in source.arrays.items() if "codes" in arrays}
    chosen = {node.name: node.quantizer for node in source.network.synapses if node.quantizer is not None}
    return {name: np.array([quantizer.levels]) for name, quantizer in chosen.items()}


def _width(codes: Array) -> int:
    """Of a b-bit quantizer, whose codes go to 2**b - 1."""
    return int(np.abs(codes.astype(np.int64)).max()).bit_length()


def _input_scale(network: Any) -> float:
    return float(getattr(network.input, "scale", 1.0))


def _events(network: Any) -> bool:
    return bool(getattr(network.input, "spikes", False))
