"""NIR's LIF and IF as neurons of ours: thresholds, r and v_leak go into the synapses that they read."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.errors import NetworkError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Shape
from qpsnn_core.exchange.draft import Layers
from qpsnn_core.exchange.values import Held, by_channel
from qpsnn_core.network.nodes import LIF, AvgPool, MaxPool

STRICT = float(np.nextafter(np.float32(1), np.float32(2)))
"""`U >= STRICT` is `U > 1` for every float32."""

FLOAT32_ERROR = 1e-6
"""By what share a quotient of file numbers in float32 may be off."""


def lif(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    """A LIF; its time constant is one for all neurons."""
    _neuron(layers, name, node, sources, by_channel(name, "tau", node.tau, sources[0].shape))


def if_(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    """A neuron without a leak."""
    _neuron(layers, name, node, sources, None)


def _neuron(layers: Layers, name: str, node: Any, sources: list[Held], tau: Doubles | None) -> None:
    """Folds thresholds, r and v_leak into the synapses, which no other neuron may read. tau: None without a leak."""
    if len(sources) == 1 and not sources[0].current and _max_pool(layers, name, node, sources[0], tau):
        return
    for source in sources:
        if not source.current:
            raise NetworkError(expected(f"nir: {name}", "to read convolutions or linear layers", source.node))
        if source.shape != sources[0].shape:
            raise ShapeError(expected(f"nir: {name} (from {source.node})", f"{sources[0].shape}", source.shape))
        if any(source.node in other.sources for other in layers.nodes if isinstance(other, LIF)):
            want = f"to be the only neuron that reads {source.node}"
            raise NetworkError(expected(f"nir: {name}", want, Unquoted("two")))
    shape, units = sources[0].shape, layers.options.units
    level = by_channel(name, "v_threshold", node.v_threshold, shape)
    reset = by_channel(name, "v_reset", getattr(node, "v_reset", 0.0), shape)
    if reset.any():
        raise NetworkError(expected(f"nir: {name}.v_reset", "0", float(reset[reset != 0][0])))
    if not (level > 0).all():
        raise NetworkError(expected(f"nir: {name}.v_threshold", "positive numbers", float(level.min())))
    offset, beta = np.zeros(shape[2]), 1.0
    if tau is not None:
        if tau.min() != tau.max() or not tau.min() >= (0 if units.exponential else units.dt * (1 - FLOAT32_ERROR)):
            got = Unquoted(f"{tau.min():g} to {tau.max():g}")
            want = f"one of at least dt ({units.dt:g}) for all neurons (dt: {units.said})"
            raise NetworkError(expected(f"nir: {name}.tau", want, got))
        share = min(1 - float(units.leak(tau)[0]), 1.0)
        beta = round(1 - share, 7)  # float32 holds tau and dt to 7 digits
        offset = by_channel(name, "v_leak", node.v_leak, shape) * share
    gain = _gain(layers, name, node, shape, tau)
    for index, source in enumerate(sources):
        arrays = layers.arrays[source.node]
        arrays["weight"] = arrays["weight"] * (gain / level)
        arrays["bias"] = arrays["bias"] * (gain / level) + (offset / level if index == 0 else 0.0)
    threshold = 1.0 if layers.options.inclusive else STRICT
    names = tuple(source.node for source in sources)
    made = LIF(layers.named(name), names, threshold, beta, reset=reset_of(layers, node))
    layers.put(name, made, Held(made.name, shape, False, flat=sources[0].flat))


def _gain(layers: Layers, name: str, node: Any, shape: Shape, tau: Doubles | None) -> Doubles:
    """What the currents are times at each step, [C]."""
    r, units = by_channel(name, "r", node.r, shape), layers.options.units
    return units.if_gain(r) if tau is None else units.lif_gain(r, tau)


def reset_of(layers: Layers, node: Any) -> Any:
    """As the node's metadata says, where they do: NIR has no field for it."""
    return node.metadata.get("reset", layers.options.reset)


def _max_pool(layers: Layers, name: str, node: Any, source: Held, tau: Doubles | None) -> bool:
    """A neuron that fires whenever a spike is in the window of its pool: together they are a max-pool."""
    made = {each.name: each for each in layers.nodes}
    pool = made[source.node]
    if not isinstance(pool, AvgPool) or not isinstance(made[pool.source], (LIF, MaxPool)):
        return False
    one = _gain(layers, name, node, source.shape, tau) * source.gain / pool.area
    level = by_channel(name, "v_threshold", node.v_threshold, source.shape)
    rest = [by_channel(name, label, getattr(node, label, 0.0), source.shape).any() for label in ("v_leak", "v_reset")]
    if reset_of(layers, node) != "zero" or any(rest) or not ((level > 0) & (one > level * (1 + FLOAT32_ERROR))).all():
        return False
    layers.nodes.remove(pool)
    found = MaxPool(layers.named(name), pool.source, pool.size, pool.stride)
    layers.put(name, found, source._replace(node=found.name, gain=1.0))
    return True
