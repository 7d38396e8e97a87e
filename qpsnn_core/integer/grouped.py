"""Integer convolutions in groups of channels, and with windows that are not square, by the kernels of plain ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array
from qpsnn_core.integer.nodes import IntConv
from qpsnn_core.kernels.conv.depthwise import DepthwiseGeometry, depthwise_forward, lay_weights
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import Product, integer_conv
from qpsnn_core.kernels.conv.windows import Window, lay_out
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.threads import parallel_for

Room = Callable[[tuple[int, ...], Any], Array]


def type_of_sums(node: IntConv, counts: Array, largest: int) -> Any:
    """int16 where a depthwise convolution's sums, at most `largest` in magnitude, fit it, else int32."""
    narrow = counts.shape[-1] == node.groups > 1 and counts.dtype == np.uint8
    return sum_type(largest) if narrow else np.int32


def grouped(
    node: IntConv, codes: Array, max_count: int, counts: Array, acc: Array, ready: dict[str, Any], room: Room
) -> Callable[[], None]:
    """What writes `acc` [T or 1, B, H', W', C_out], of `type_of_sums`, from counts [T or 1, B, H, W, C].

    max_count: the largest magnitude. ready: keeps packed weights. room: gives memory.
    """
    window = both(node.kernel), both(node.stride), both(node.padding)
    images, out = counts.reshape(-1, *counts.shape[2:]), acc.reshape(-1, *acc.shape[2:])
    if images.shape[3] == node.groups > 1:
        return _depthwise(codes, images, out, window)
    inputs, outputs = codes.shape[2], node.channels // node.groups
    taps = (1, 1, int(np.prod(codes.shape[:3])), outputs)
    read = images[..., :inputs] if node.square else room((*out.shape[:3], taps[2]), counts.dtype)
    shape = codes.shape[:3] if node.square else taps[:3]
    size, step, edge = (one[0] for one in window) if node.square else (1, 1, 0)
    height, width, channels = read.shape[1:]
    geometry = ConvGeometry.of((height, width, channels), outputs, size, step, edge)
    products = [
        Product(
            np.ascontiguousarray(codes[..., g * outputs : (g + 1) * outputs]).reshape(*shape, outputs),
            max_count,
            geometry,
        )
        for g in range(node.groups)
    ]
    part = room((*out.shape[:3], outputs), np.int32) if node.groups > 1 else out

    def run() -> None:
        for g, product in enumerate(products):
            own = np.ascontiguousarray(images[..., g * inputs : (g + 1) * inputs])
            if not node.square:
                lay_out(own, *window, read)
                own = read
            integer_conv(product, own.reshape(-1), part.reshape(-1), ready.setdefault(f"group{g}", {}))
            if node.groups > 1:
                out[..., g * outputs : (g + 1) * outputs] = part

    return run


def _depthwise(codes: Array, images: Array, out: Array, window: Window) -> Callable[[], None]:
    (height, width, channels), (tall, wide, outputs) = images.shape[1:], out.shape[1:]
    geometry = DepthwiseGeometry.of((height, width, channels), (tall, wide, outputs), *window)
    weights = lay_weights(codes, out.dtype)

    def run() -> None:
        given = images if out.dtype == np.int16 else images.astype(np.int32)
        parallel_for(depthwise_forward, len(images), 1, given.reshape(-1), weights, out.reshape(-1), geometry)

    return run
