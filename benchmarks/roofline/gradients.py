"""The kernels of a layer's two gradients and of its weights, timed inside the gradients that call them."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from benchmarks.roofline import costs
from benchmarks.roofline.costs import ConvSize
from benchmarks.roofline.layer import LayerSize, Work, codes_of, conv_size, counts, spikes_of
from qpsnn_core.engine.layers import conv_gradients
from qpsnn_core.engine.layers.conv_gradients import geometry_of, input_gradient, room_of, weight_sums
from qpsnn_core.kernels.conv.channel_lists import SpikeSource, list_channels, tables_of
from qpsnn_core.kernels.conv.geometry import AccGradient
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.weight_gradient import layout
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.parts import parts_of
from qpsnn_core.kernels.quantize import encode
from qpsnn_core.kernels.sgd import SGDFactors, sgd_step
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec

WIDE = ConvSize(1, 1, 1, 1, 256, 256)
"""Whose weights are quantized, packed and updated, whatever the layer."""


def weight_works(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    """The weight gradient, quantizing and updating weights."""
    node, value, spikes, acc_gradient, _ = _backward(layer, rng)
    size, weights = conv_size(layer), WIDE.weights
    weight, codes = rng.normal(0, 1, weights).astype(np.float32), np.empty(weights, np.int8)
    scale, sums = tile_channels(np.ones(WIDE.outputs, np.float32)), np.zeros(WIDE.outputs, np.int64)
    rows = weights // len(sums)
    coded = (weight, scale, 15, codes, sums)
    encode(0, rows, *coded)
    shaped = codes.reshape(WIDE.kernel, WIDE.kernel, WIDE.channels, WIDE.outputs)
    speed, new, newer = (np.zeros(weights, np.float32) for _ in range(3))
    factors = SGDFactors(np.float32(0.1), np.float32(0.9), np.float32(0.1), False)

    def whole() -> Any:
        return weight_sums(geometry_of(node, value), value.max_count, spikes, acc_gradient, parts_of(spikes.shape[1]))

    def update() -> None:
        sgd_step(0, len(weight), weight, weight, speed, factors, new, newer)

    return {
        "list_channels": Work(costs.list_channels(size), _lists(node, value, spikes)),
        "weight_gradient": Work(costs.weight_gradient(size), whole, inner=True),
        "encode": Work(costs.encode(WIDE), lambda: encode(0, rows, *coded)),
        "pack": Work(costs.pack(WIDE), lambda: pack(shaped, levels=15)),
        "sgd_step": Work(costs.sgd_step(WIDE), update),
    }


def _lists(node: Conv, value: ValueSpec, spikes: Any) -> Callable[[], Any]:
    """A call that lists all spikes."""
    height, width, channels = value.shape
    shape = layout(*spikes.shape[:2], geometry_of(node, value), value.max_count)
    pixels, spots, room = room_of(geometry_of(node, value), shape)
    units, (_, *_, tables) = tables_of(shape, parts_of(spikes.shape[1]))
    counts = np.zeros(tables * channels, np.int32)
    places = np.empty(len(counts) * room, np.uint16)
    source = SpikeSource(spikes.reshape(-1), pixels, spots, width, height * width, channels)

    def call() -> None:
        counts[:] = 0
        list_channels(0, tables, 0, source, shape, units, counts, places)

    return call


def input_works(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    """The input gradient."""
    node, value, _, acc_gradient, codes = _backward(layer, rng)

    def whole() -> Any:
        return input_gradient(geometry_of(node, value), codes, acc_gradient)

    kernels = ("through_tiles", "gradient_tiles", "products", "tiles_back")
    return {name: Work(costs.COSTS[name](conv_size(layer)), whole, inner=True) for name in kernels}


def _backward(layer: LayerSize, rng: np.random.Generator) -> tuple[Any, ...]:
    """A Conv with its input's value, spikes, dL/dacc and codes."""
    images, pixels, _ = counts(layer)
    node = Conv("conv", "in", layer.channels)
    value = ValueSpec("spikes", (layer.side, layer.side, layer.channels), 1)
    spikes = spikes_of(layer, rng).reshape(layer.steps, layer.batch, *value.shape)
    gradient = rng.normal(0, 1, (images * pixels, layer.channels)).astype(np.float32)
    acc, factors = np.ones(gradient.shape, np.int16), np.ones((3, layer.channels), np.float32)
    return node, value, spikes, AccGradient(gradient, acc, factors), codes_of(layer, rng)


def inside(call: Callable[[], Any], names: tuple[str, ...], seconds: float, least: int = 3) -> dict[str, float]:
    """The least seconds that the kernels of these names take in one call of a gradient, where it calls them at all."""
    kept = {name: getattr(conv_gradients, name) for name in names if hasattr(conv_gradients, name)}
    spent, best = dict.fromkeys(kept, 0.0), dict.fromkeys(kept, float("inf"))

    def clocked(name: str) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            start = thread_time()
            result = kept[name](*arguments)
            spent[name] += thread_time() - start
            return result

        return run

    call()
    began, turns = perf_counter(), 0
    try:
        for name in kept:
            setattr(conv_gradients, name, clocked(name))
        while turns < least or perf_counter() - began < seconds * len(names):
            spent.update(dict.fromkeys(kept, 0.0))
            call()
            best = {name: min(best[name], spent[name]) for name in kept}
            turns += 1
    finally:
        for name, function in kept.items():
            setattr(conv_gradients, name, function)
    return {name: taken for name, taken in best.items() if taken > 0}
