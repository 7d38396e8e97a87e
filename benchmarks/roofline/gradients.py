"""The kernels of a layer's two gradients and of its weights, timed inside the gradients that call them."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from benchmarks.roofline.layer import LayerSize, Work, codes_of, counts, spikes_of
from qpsnn_core.engine.layers import conv_gradients
from qpsnn_core.engine.layers.conv_gradients import TILES, geometry_of, input_gradient, room_of, weight_sums
from qpsnn_core.kernels.conv.channel_lists import SpikeSource, list_channels
from qpsnn_core.kernels.conv.geometry import AccGradient
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.spike_lists import LANES
from qpsnn_core.kernels.conv.weight_gradient import SPAN, layout
from qpsnn_core.kernels.conv.winograd import POINTS, TILE
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.quantize import encode
from qpsnn_core.kernels.sgd import SGDFactors, sgd_step
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec


def weight_works(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    """The weight gradient, quantizing and updating weights."""
    _, _, neurons, blocks, _ = counts(layer)
    node, value, spikes, acc_gradient, _ = _backward(layer, rng)
    span = min(layer.steps, SPAN)
    listed = neurons / span * (1 - (1 - layer.rate) ** span)
    adds = 9 * listed * blocks * LANES
    laid = 4 * neurons + (2**span - 1 - span) / span * neurons
    shape = layout(*spikes.shape[:2], geometry_of(node, value), value.max_count)
    table, size = 4 * shape.rows * shape.lanes, 9 * 256 * 256
    weight, codes = rng.normal(0, 1, size).astype(np.float32), np.empty(size, np.int8)
    scale, sums = tile_channels(np.ones(256, np.float32)), np.zeros(256, np.int64)
    rows = size // len(sums)
    coded = (weight, scale, 15, codes, sums)
    encode(0, rows, *coded)
    shaped = codes.reshape(3, 3, 256, 256)
    speed, new, newer = (np.zeros(size, np.float32) for _ in range(3))
    factors = SGDFactors(np.float32(0.1), np.float32(0.9), np.float32(0.1), False)

    def whole() -> Any:
        return weight_sums(node, value, spikes, acc_gradient)

    return {
        "list_channels": Work(neurons, 2 * listed, 0, 0, neurons, "uint8", _lists(node, value, spikes)),
        "weight_gradient": Work(6 * neurons, 0, adds * 4, table, adds + laid, "float32", whole, inner=True),
        "encode": Work(
            4 * size, size, 0, 0, 14 * size, "float32", lambda: encode(0, rows, weight, scale, 15, codes, sums)
        ),
        "pack": Work(size, size, 0, 0, 2 * size, "uint8", lambda: pack(shaped, levels=15)),
        "sgd_step": Work(
            12 * size,
            8 * size,
            0,
            0,
            6 * size,
            "float32",
            lambda: sgd_step(0, len(weight), weight, weight, speed, factors, new, newer),
        ),
    }


def _lists(node: Conv, value: ValueSpec, spikes: Any) -> Callable[[], Any]:
    """A call that lists all spikes."""
    height, width, channels = value.shape
    shape = layout(*spikes.shape[:2], geometry_of(node, value), value.max_count)
    pixels, spots, room = room_of(value, node.stride, shape)
    counts = np.zeros(shape.tables * channels, np.int32)
    places = np.empty(len(counts) * room, np.uint16)
    source = SpikeSource(spikes.reshape(-1), pixels, spots, width, height * width, channels)

    def call() -> None:
        counts[:] = 0
        list_channels(0, shape.tables, 0, source, shape, counts, places)

    return call


def input_works(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    """The input gradient."""
    _, _, neurons, _, _ = counts(layer)
    node, value, _, acc_gradient, codes = _backward(layer, rng)
    matrices = POINTS / TILE**2 * 4 * neurons
    room = POINTS * TILES * layer.channels * 4

    def whole() -> Any:
        return input_gradient(node, value, codes, acc_gradient)

    done = matrices / 2 * layer.channels
    return {
        "through_tiles": Work(
            6 * neurons, 4 * neurons, 4 * matrices, 2 * room, done, "multiply_add", whole, inner=True
        ),
        "gradient_tiles": Work(6 * neurons, 0, matrices, room, 23 * neurons, "float32", whole, inner=True),
        "products": Work(0, 0, 2 * matrices, 2 * room, done, "multiply_add", whole, inner=True),
        "tiles_back": Work(0, 4 * neurons, matrices, room, 8 * neurons, "float32", whole, inner=True),
    }


def _backward(layer: LayerSize, rng: np.random.Generator) -> tuple[Any, ...]:
    """A Conv with its input's value, spikes, dL/dacc and codes."""
    images, pixels, _, _, _ = counts(layer)
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
