"""The two gradients of an event-driven convolution: of its weights, spike by spike, and of its inputs, dense."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import rows
from qpsnn_core.kernels.buffers import empty, scratch
from qpsnn_core.kernels.conv.channel_lists import Layout, SpikeSource, list_channels, pixels_of, tables_of
from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH, panels_of, products
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry, Matrices
from qpsnn_core.kernels.conv.input_gradient import SMALL, through_windows
from qpsnn_core.kernels.conv.weight_gradient import SUMS, layout, weight_gradient
from qpsnn_core.kernels.conv.winograd import POINTS, TILE, gradient_tiles, through_tiles, tiles_back, weight_points
from qpsnn_core.kernels.parts import Parts
from qpsnn_core.kernels.threads import CHUNKS, chunks, parallel_for, parallel_map, per_thread_ranges, threads
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


def geometry_of(node: Conv, value: ValueSpec) -> ConvGeometry:
    """The sizes of a plain Conv on `value`, as the kernels take them."""
    (kernel, _), (stride, _), (padding, _) = map(both, (node.kernel, node.stride, node.padding))
    return ConvGeometry.of(value.shape, node.channels, kernel, stride, padding)


def weight_sums(
    geometry: ConvGeometry, max_count: int | None, x: Array, acc_gradient: AccGradient, parts: Parts
) -> Floats:
    """`dW[ky, kx, ci] = sum over spikes (y, x, ci) of dL/dacc[(y + p - ky) / s, (x + p - kx) / s]`, `[k*k*C, C_out]`.

    dL/dacc is `acc_gradient`. x: spikes [T, B, H, W, C], `max_count` at most. parts: of the batch. Where few output
    channels make few tasks, threads share the parts, whose sums are then added afterwards, in the same order.
    """
    channels, outputs, taps = geometry.channels, geometry.outputs, geometry.kernel**2
    shape = layout(x.shape[0], x.shape[1], geometry, max_count)
    tables, firsts = tables_of(shape, parts)
    groups, fit = -(-outputs // shape.lanes), max(1, SUMS // (taps * channels * shape.lanes))
    several = -(-groups // -(-groups // fit))
    blocks = -(-groups // several)
    even = blocks % threads() == 0 or blocks >= 2 * threads()
    shares = 1 if even else len(parts)
    found = empty((shares, taps * channels, outputs), np.float32)
    pixels, spots, room = room_of(geometry, shape)
    area = geometry.height * geometry.width
    source = tuple(SpikeSource(rows(x).reshape(-1), pixels, spots, geometry.stride * geometry.width, area, channels))
    listed = blocks > 1
    counts = np.zeros((firsts[-1] if listed else shares) * geometry.stride**2 * channels, np.int32)
    places = empty((len(counts) * room,), np.uint16 if shape.rows <= 2**16 else np.int32)
    if listed:
        parallel_map(list_channels, chunks(int(firsts[-1])), 0, source, tuple(shape), tables, counts, places)
    tasks = [(task, task + 1) for task in range(blocks * shares)]
    lists, split = (source, counts, places, listed), (shares, several, tables, firsts)
    given = lists, tuple(acc_gradient), tuple(geometry), tuple(shape)
    parallel_map(weight_gradient, tasks, split, *given, found.reshape(-1))
    total: Floats = found[0]
    for share in found[1:]:
        np.add(total, share, out=total)
    return total


def room_of(geometry: ConvGeometry, shape: Layout) -> tuple[Array, Array, int]:
    """`pixels_of` a unit, and how many places one channel may have in a table."""
    stride = geometry.stride
    columns = -(-geometry.width // stride)
    pixels = np.empty((stride * stride, -(-shape.band * columns // 16) * 16), np.int64)
    spots = np.empty(pixels.size, np.int32)
    pixels_of(geometry.width, stride, shape, pixels, spots)
    return pixels, spots, pixels.shape[1] * shape.together * (shape.sets if shape.span == 1 else 1)


def input_gradient(geometry: ConvGeometry, codes: Array, acc_gradient: AccGradient) -> Floats:
    """`dS[y, x] = sum over taps of codes[ky, kx] dL/dacc[(y + p - ky) / s, (x + p - kx) / s]`, float32 `[M*H*W, C]`.

    dL/dacc as above. By Winograd's algorithm where it pays: 3x3 kernels that keep the size of the image.
    """
    height, width, channels = geometry[:3]
    images = len(acc_gradient.gradient) // (geometry.out_height * geometry.out_width)
    out = empty((images * height * width, channels), np.float32)
    same = (geometry.kernel, geometry.stride, geometry.padding) == (3, 1, 1)
    product = _by_tiles if same and min(height, width) > 2 else _by_windows
    product(geometry, codes, images, acc_gradient, out)
    return out


def _by_tiles(geometry: ConvGeometry, codes: Array, images: int, acc_gradient: AccGradient, out: Floats) -> None:
    """Few weights are transformed once and stay in the cache, for small groups of tiles; many, for each large group."""
    height, width, channels, outputs = geometry[:4]
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
            if ((stop - start) % size or size) * tiles < ROWS:  # `products` reads ROWS rows, and forgets the others
                rooms[0][: POINTS * (ROWS * pitch + 16)] = 0
            through_tiles(start, stop, size, acc_gradient, points, rooms, out, geometry)

        several = size * -(-images // (size * CHUNKS))
        parallel_map(part, per_thread_ranges(images, several))
        return
    seen, found = empty((sizes[0],), np.float32), empty((sizes[1],), np.float32)
    if size * tiles < ROWS:
        seen[:] = 0
    apart, further = sizes[0] // POINTS, sizes[1] // POINTS
    for start in range(0, images, size):
        stop = min(start + size, images)
        spans = [(start + first, start + last) for first, last in per_thread_ranges(stop - start, 1)]

        def before(first: int, last: int, start: int = start) -> None:
            own = Matrices(seen[(first - start) * tiles * pitch :], apart, pitch)
            gradient_tiles(first, last, acc_gradient, height, width, own)

        def panel(first: int, last: int, rows: int = (stop - start) * tiles) -> None:
            right = scratch("points", (POINTS * tall,), np.float32)
            weight_points(first, last, weights, channels, outputs, tall, right)
            left, product = Matrices(seen, apart, pitch), Matrices(found, further, wide)
            products(POINTS, left, Matrices(right, tall, WIDTH), product, rows, outputs, first * WIDTH)

        def after(first: int, last: int, start: int = start) -> None:
            own = Matrices(found[(first - start) * tiles * wide :], further, wide)
            tiles_back(first, last, own, height, width, out)

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


def _by_windows(geometry: ConvGeometry, codes: Array, images: int, acc_gradient: AccGradient, out: Floats) -> None:
    """As many images at a time as fit the cache; where only some taps lie inside, more, for each panel of weights."""
    outputs, area = geometry.outputs, geometry.out_height * geometry.out_width
    taps = geometry.kernel**2 * geometry.channels
    count = -(-taps // WIDTH)
    wide, pitch = count * WIDTH, -(-outputs // 16) * 16
    panels = empty((count, outputs * WIDTH), np.float32)
    matrix = np.ascontiguousarray(codes).reshape(-1)
    parallel_for(panels_of, count, 1, matrix, taps, outputs, panels.reshape(-1))
    most = max(1, (WINDOWS if area > SMALL else 8 * WINDOWS) // (area * wide))
    room = max(most, ROWS) * area

    def part(start: int, stop: int) -> None:
        rooms = scratch("back", (room * pitch,), np.float32), scratch("columns", (room * wide,), np.float32)
        if ((stop - start) % most or most) < ROWS and area <= max(SMALL, ROWS):
            rooms[0][: ROWS * area * pitch] = 0
        through_windows(start, stop, most, acc_gradient, panels, rooms, out.reshape(-1), geometry)

    several = most * -(-images // (most * CHUNKS))
    parallel_map(part, per_thread_ranges(images, several))
