"""Each kernel on one layer: the bytes and operations that it must move and do, and a call of it to be timed.

The layer: 3x3, stride 1, C channels to C, on spikes `[T, B, H, W, C]` at one firing rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.roofline import costs
from benchmarks.roofline.gradients import input_works, inside, weight_works
from benchmarks.roofline.layer import LayerSize, Work, codes_of, conv_size, counts, spikes_of
from benchmarks.roofline.peaks import fastest
from qpsnn_core.kernels.conv.byte_products import dense_forward, pack_bytes
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.image import image_forward, panels
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.spike_lists import GROUP, LANES, ColumnLists, list_columns
from qpsnn_core.kernels.conv.table_products import table_forward
from qpsnn_core.kernels.conv.tables import pack_tables
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.neurons.batch_norm import short_moments
from qpsnn_core.kernels.neurons.integer_lif import LANES as NEURONS
from qpsnn_core.kernels.neurons.integer_lif import IntLIFSettings, int_lif
from qpsnn_core.kernels.neurons.integer_lif import current as integer_current
from qpsnn_core.kernels.neurons.lif import TRIANGLE, LIFSettings, current, lif_backward, lif_forward
from qpsnn_core.kernels.pool import apart_backward, max_forward
from qpsnn_core.kernels.threads import chunks, kernel, parallel_map


@kernel
def list_all_columns(images, counts, geometry, lists):
    """`list_columns` of every row of windows, to the same place."""
    for m in range(images):
        first = m * geometry.height * geometry.width * geometry.channels
        for y in range(geometry.height):
            list_columns(counts, first, 1, y - geometry.padding, geometry, geometry.kernel, lists, 0)


def works(layer: LayerSize) -> dict[str, Work]:
    """Every kernel on that layer."""
    rng = np.random.default_rng(0)
    return {**_forward(layer, rng), **_neurons(layer, rng), **weight_works(layer, rng), **input_works(layer, rng)}


def _forward(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    images, pixels, neurons = counts(layer)
    channels, side = layer.channels, layer.side
    spikes, codes = spikes_of(layer, rng), codes_of(layer, rng)
    sizes = ConvGeometry.of((side, side, channels), channels, 3, 1, 1)
    words, tables = pack_bytes(codes, 1), pack_tables(codes, sizes)
    narrow, real = pack(codes, levels=15), pack(codes.astype(np.float32))
    short, wide = np.empty(neurons, np.int16), np.empty(neurons, np.float32)
    listed, ladder = np.empty((3 * channels + GROUP) * side + 16, np.int32), np.arange(16, dtype=np.int32) * LANES
    ends, counted = np.empty(side + 3, np.int32), np.empty(side + 3, np.int32)
    listing = (images, spikes, sizes, ColumnLists(listed, ends, counted, ladder))
    pictures = rng.integers(0, 256, layer.batch * pixels * 3).astype(np.uint8)
    kernels = rng.normal(0, 1, (3, 3, 3, channels)).astype(np.float32)
    packed, shown = panels(kernels), np.empty(layer.batch * pixels * channels, np.float32)
    of_images = (pictures, packed, shown, ConvGeometry.of((side, side, 3), channels, 3, 1, 1))
    size, image = conv_size(layer), conv_size(layer)._replace(steps=1, channels=3, rate=1.0)
    return {
        "list_columns": Work(costs.list_columns(size), lambda: list_all_columns(*listing)),
        "conv_forward, bytes": Work(
            costs.conv_bytes(size),
            lambda: parallel_map(conv_forward, chunks(images), spikes, 1, narrow, short, sizes),
        ),
        "conv_forward, floats": Work(
            costs.conv_floats(size),
            lambda: parallel_map(conv_forward, chunks(images), spikes, 1, real, wide, sizes),
        ),
        "dense_forward": Work(
            costs.dense_forward(size),
            lambda: parallel_map(dense_forward, chunks(images), spikes, 1, words, short, sizes),
        ),
        "table_forward": Work(
            costs.table_forward(size),
            lambda: parallel_map(table_forward, chunks(images), spikes, 1, tables, short, sizes),
        ),
        "image_forward": Work(
            costs.image_forward(image),
            lambda: parallel_map(image_forward, chunks(layer.batch), *of_images),
        ),
    }


def _neurons(layer: LayerSize, rng: np.random.Generator) -> dict[str, Work]:
    images, pixels, _ = counts(layer)
    channels, positions = layer.channels, layer.batch * pixels
    acc = rng.normal(0, 60, (images * pixels, channels)).astype(np.int16)
    ones = np.ones(channels, np.float32)
    driving = current(acc, ones / 60, 0 * ones, positions)
    spikes, gradient = np.empty(acc.shape, np.uint8), rng.normal(0, 1, acc.shape).astype(np.float32)
    back, moments = np.empty(acc.shape, np.float32), np.zeros((3, channels))
    leak, one = np.float32(0.5), np.float32(1)
    whole = integer_current(acc, np.ones(channels, np.int32), positions)
    bias, limit = (tile_channels(np.full(channels, value, np.int32), NEURONS) for value in (0, 60))
    none = np.empty((0, channels), np.int32)
    sums, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    maps = (rng.random((images, layer.side, layer.side, channels)) < layer.rate).astype(np.uint8)
    half = np.empty((images, layer.side // 2, layer.side // 2, channels), np.uint8)
    given, under = np.ones(half.shape, np.float32), np.zeros(maps.shape, np.float32)
    spans, parts = chunks(positions, 64), chunks(len(acc), 256)
    settings = LIFSettings(layer.steps, positions, leak, one, None, TRIANGLE, one, False)
    integers = IntLIFSettings(bias, limit, layer.steps, positions, 1, 1, None)
    calls: dict[str, Callable[[], Any]] = {
        "short_moments": lambda: parallel_map(short_moments, parts, acc, sums, squares),
        "lif_forward": lambda: parallel_map(lif_forward, spans, driving, None, spikes, settings),
        "lif_backward": lambda: parallel_map(lif_backward, spans, driving, None, gradient, back, moments, settings),
        "int_lif": lambda: parallel_map(int_lif, spans, whole, None, spikes, none, integers),
        "max_forward": lambda: parallel_map(max_forward, chunks(images), maps, half, 2, 2, 0),
        "apart_backward": lambda: parallel_map(apart_backward, chunks(images), maps, given, under, 2),
    }
    return {name: Work(costs.COSTS[name](conv_size(layer)), call) for name, call in calls.items()}


def measure(layer: LayerSize, seconds: float) -> dict[str, Any]:
    """Every kernel's work on the layer, with the least seconds that it takes."""
    made = works(layer)
    best = fastest({name: work.call for name, work in made.items() if not work.inner}, seconds)
    for call in dict.fromkeys(work.call for work in made.values() if work.inner):
        best |= inside(call, tuple(name for name, work in made.items() if work.call is call), seconds)
    found = {}
    for name, work in made.items():
        if name in best:
            found[name] = {**work.cost._asdict(), "seconds": best[name]}
    return {"layer": layer._asdict(), "works": found}
