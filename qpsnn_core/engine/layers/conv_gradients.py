"""The two gradients of an event-driven convolution: of its weights, spike by spike, and of its inputs, dense."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import rows
from qpsnn_core.kernels.buffers import empty, scratch
from qpsnn_core.kernels.conv.channel_lists import list_channels, pixels_of
from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH, panels_of, products
from qpsnn_core.kernels.conv.input_gradient import SMALL, through_windows
from qpsnn_core.kernels.conv.weight_gradient import SUMS, Layout, layout, weight_gradient
from qpsnn_core.kernels.conv.winograd import POINTS, TILE, gradient_tiles, through_tiles, tiles_back, weight_points
from qpsnn_core.kernels.threads import CHUNKS, chunks, parallel_for, parallel_map, per_thread_ranges
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec

TILES = 32
"""Tiles whose products are taken at a time by one thread, where weights are few: both stay in its cache."""

FEW = 2**14
"""Weights of one tap that are transformed once, and for each group of tiles otherwise."""

MANY = 128
"""Tiles whose products are taken at a time by all threads, where weights are many."""

WINDOWS = 2**17
"""Products with windows (float32) that stay in the second-level cache."""


def weight_sums(node: Conv, value: ValueSpec, x: Array, gradient: Floats, acc: Array, factors: Floats) -> Floats:
    """`dW[ky, kx, ci] = sum over spikes (y, x, ci) of dL/dacc[(y + p - ky) / s, (x + p - kx) / s]`, `[k*k*C, C_out]`.

    dL/dacc = factors[0]*gradient + factors[1]*acc + factors[2], of which gradient and acc are `[M*Ho*Wo, C_out]`.
    """
    height, width, channels = value.shape
    out_height, out_width, outputs = node.output(value).shape
    sizes = (node.kernel, node.stride, node.padding)
    steps, batch = x.shape[:2]
    shape = layout(steps, batch, height, width, *sizes, out_height, out_width, value.max_count)
    groups, fit = -(-outputs // shape.lanes), max(1, SUMS // (node.kernel**2 * channels * shape.lanes))
    several = -(-groups // -(-groups // fit))
    blocks = -(-groups // several)
    parts = min(max(1, 4 // blocks), shape.tables)
    found = empty((parts, node.kernel**2 * channels, outputs), np.float32)
    pixels, spots, room = room_of(value, node.stride, shape)
    source, listed = (rows(x).reshape(-1), pixels, spots, node.stride * width, height * width), blocks > 1
    counts = np.zeros((shape.tables if listed else parts) * node.stride**2 * channels, np.int32)
    places = empty((len(counts) * room,), np.uint16 if shape.rows <= 2**16 else np.int32)
    if listed:
        parallel_map(
            list_channels, chunks(shape.tables), 0, source, channels, shape.units, tuple(shape), counts, places
        )
    tasks = [(task, task + 1) for task in range(blocks * parts)]
    given = (source, places, counts, (gradient, acc, factors), found.reshape(-1))
    parallel_map(weight_gradient, tasks, parts, several, listed, *given, shape.units, channels, *sizes, tuple(shape))
    total: Floats = found.sum(0) if parts > 1 else found[0]
    return total


def room_of(value: ValueSpec, stride: int, shape: Layout) -> tuple[Array, Array, int]:
    """`pixels_of` a unit, and how many places one channel may have in a table."""
    columns = -(-value.shape[1] // stride)
    pixels = np.empty((stride * stride, -(-shape.band * columns // 16) * 16), np.int64)
    spots = np.empty(pixels.size, np.int32)
    pixels_of(value.shape[1], stride, tuple(shape), pixels, spots)
    return pixels, spots, pixels.shape[1] * shape.together * (shape.sets if shape.span == 1 else 1)


def input_gradient(node: Conv, value: ValueSpec, codes: Array, gradient: Floats, acc: Array, factors: Floats) -> Floats:
    """`dS[y, x] = sum over taps of codes[ky, kx] dL/dacc[(y + p - ky) / s, (x + p - kx) / s]`, float32 `[M*H*W, C]`.

    dL/dacc as above. By Winograd's algorithm where it pays: 3x3 kernels that keep the size of the image.
    """
    height, width, channels = value.shape
    images = len(gradient) // int(np.prod(node.output(value).shape[:2]))
    out = empty((images * height * width, channels), np.float32)
    same = (node.kernel, node.stride, node.padding) == (3, 1, 1)
    product = _by_tiles if same and min(height, width) > 2 else _by_windows
    product(node, value, codes, images, (gradient, acc, factors), out)
    return out


def _by_tiles(node: Conv, value: ValueSpec, codes: Array, images: int, given: tuple[Any, ...], out: Floats) -> None:
    """Few weights are transformed once and stay in the cache, for small groups of tiles; many, for each large group."""
    height, width, channels = value.shape
    outputs = node.channels
    tiles = -(-height // TILE) * -(-width // TILE)
    panels = -(-channels // WIDTH)
    pitch, wide, tall = -(-outputs // 16) * 16, panels * WIDTH, outputs * WIDTH + 16
    few = channels * outputs <= FEW
    size = min(max(1, (TILES if few else MANY) // tiles), images)
    sizes = [POINTS * (max(size * tiles, ROWS) * columns + 16) for columns in (pitch, wide)]
    weights = np.ascontiguousarray(codes).reshape(-1)
    if few:
        points = _points(weights, channels, outputs, tall)

        def part(start: int, stop: int) -> None:
            rooms = scratch("tiles", (sizes[0],), np.float32), scratch("products", (sizes[1],), np.float32)
            through_tiles(start, stop, size, *given, height, width, points, *rooms, out)

        several = size * -(-images // (size * CHUNKS))
        parallel_map(part, per_thread_ranges(images, several))
        return
    seen, found = empty((sizes[0],), np.float32), empty((sizes[1],), np.float32)
    apart, further = sizes[0] // POINTS, sizes[1] // POINTS
    for start in range(0, images, size):
        stop = min(start + size, images)
        spans = [(start + first, start + last) for first, last in per_thread_ranges(stop - start, 1)]

        def before(first: int, last: int, start: int = start) -> None:
            gradient_tiles(first, last, *given, height, width, pitch, apart, seen[(first - start) * tiles * pitch :])

        def panel(first: int, last: int, rows: int = (stop - start) * tiles) -> None:
            right = scratch("points", (POINTS * tall,), np.float32)
            weight_points(first, last, weights, channels, outputs, tall, right)
            products(POINTS, seen, apart, pitch, right, tall, found, further, wide, rows, outputs, first * WIDTH)

        def after(first: int, last: int, start: int = start) -> None:
            tiles_back(first, last, found[(first - start) * tiles * wide :], wide, further, height, width, out)

        parallel_map(before, spans)
        parallel_map(panel, [(first, first + 1) for first in range(panels)])
        parallel_map(after, spans)


def _points(weights: Array, channels: int, outputs: int, apart: int) -> Array:
    """The transformed weights, all panels of them: `[panels, 36 * apart]`."""
    panels = -(-channels // WIDTH)
    points = empty((panels, POINTS * apart), np.float32)

    def panel(start: int, stop: int) -> None:
        weight_points(start, stop, weights, channels, outputs, apart, points[start:stop].reshape(-1))

    parallel_map(panel, [(start, start + 1) for start in range(panels)])
    return points


def _by_windows(node: Conv, value: ValueSpec, codes: Array, images: int, given: tuple[Any, ...], out: Floats) -> None:
    """As many images at a time as fit the cache; where only some taps lie inside, more, for each panel of weights."""
    out_height, out_width, outputs = node.output(value).shape
    area, taps = out_height * out_width, node.kernel**2 * value.shape[2]
    count = -(-taps // WIDTH)
    wide, pitch = count * WIDTH, -(-outputs // 16) * 16
    panels = empty((count, outputs * WIDTH), np.float32)
    matrix = np.ascontiguousarray(codes).reshape(-1)
    parallel_for(panels_of, count, 1, matrix, taps, outputs, panels.reshape(-1))
    most = max(1, (WINDOWS if area > SMALL else 8 * WINDOWS) // (area * wide))
    sizes = (*value.shape, node.kernel, node.stride, node.padding, out_height, out_width)
    room = max(most, ROWS) * area

    def part(start: int, stop: int) -> None:
        back = scratch("back", (room * pitch,), np.float32)
        columns = scratch("columns", (room * wide,), np.float32)
        through_windows(start, stop, most, *given, panels, back, columns, out.reshape(-1), sizes)

    several = most * -(-images // (most * CHUNKS))
    parallel_map(part, per_thread_ranges(images, several))
