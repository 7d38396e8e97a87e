"""Convolutions in which each output channel reads one input channel: forward, and both gradients.

All arrays are flat: images `[M*H*W*C]`, outputs `[M*Ho*Wo*C_out]`, weights `[rows*columns*C_out]`, C_out a multiple of
C. Each sum goes tap after tap, in the order of the kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.conv.windows import Pair
from qpsnn_core.kernels.threads import kernel


class DepthwiseGeometry(NamedTuple):
    """The sizes of a depthwise convolution, in pixels and channels.

    height, width, channels: of its input. outputs: C_out. rows, columns: of the kernel. down, right: the stride. top,
    left: the padding. out_height, out_width: of its output.
    """

    height: int
    width: int
    channels: int
    outputs: int
    rows: int
    columns: int
    down: int
    right: int
    top: int
    left: int
    out_height: int
    out_width: int

    @classmethod
    def of(
        cls, shape: tuple[int, int, int], out: tuple[int, int, int], kernel: Pair, stride: Pair, padding: Pair
    ) -> DepthwiseGeometry:
        """The geometry from an input (H, W, C) to an output (Ho, Wo, C_out). The others: (rows, columns)."""
        return cls(*shape, out[2], *kernel, *stride, *padding, *out[:2])


@kernel
def depthwise_forward(start, stop, images, weights, total, geometry):
    """`total[m, y, x, o] = sum_{ky,kx} weights[ky, kx, o] * images[m, y*down + ky - top, x*right + kx - left, o // n]`.

    n is C_out / C. Images start..stop-1. images: integers, or float32; weights and total: int32, or all float32; the
    caller has shown that the sums fit. geometry: DepthwiseGeometry.
    """
    height, width, channels, outputs, rows, columns, down, right, top, left, out_height, out_width = geometry
    times = outputs // channels
    for m in range(start, stop):
        for y in range(out_height):
            for x in range(out_width):
                at = ((m * out_height + y) * out_width + x) * outputs
                for o in range(outputs):
                    total[at + o] = 0
                for ky in range(rows):
                    row = y * down + ky - top
                    if row < 0 or row >= height:
                        continue
                    for kx in range(columns):
                        column = x * right + kx - left
                        if column < 0 or column >= width:
                            continue
                        pixel = ((m * height + row) * width + column) * channels
                        tap = (ky * columns + kx) * outputs
                        if times == 1:
                            for o in range(outputs):
                                total[at + o] += weights[tap + o] * images[pixel + o]
                        else:
                            for o in range(outputs):
                                total[at + o] += weights[tap + o] * images[pixel + o // times]


@kernel
def depthwise_weights(start, stop, images, gradient, sums, geometry):
    """`sums[ky, kx, o] += gradient[m, y, x, o] * images[...]`, the pixels as above, images start..stop-1 in order.

    All float32. geometry: DepthwiseGeometry.
    """
    height, width, channels, outputs, rows, columns, down, right, top, left, out_height, out_width = geometry
    times = outputs // channels
    for m in range(start, stop):
        for y in range(out_height):
            for x in range(out_width):
                at = ((m * out_height + y) * out_width + x) * outputs
                for ky in range(rows):
                    row = y * down + ky - top
                    if row < 0 or row >= height:
                        continue
                    for kx in range(columns):
                        column = x * right + kx - left
                        if column < 0 or column >= width:
                            continue
                        pixel = ((m * height + row) * width + column) * channels
                        tap = (ky * columns + kx) * outputs
                        if times == 1:
                            for o in range(outputs):
                                sums[tap + o] += gradient[at + o] * images[pixel + o]
                        else:
                            for o in range(outputs):
                                sums[tap + o] += gradient[at + o] * images[pixel + o // times]


@kernel
def depthwise_inputs(start, stop, gradient, weights, out, geometry):
    """`out[m, row, column, c] = sum weights[ky, kx, o] * gradient[m, y, x, o]` over all that read the pixel.

    Images start..stop-1, window after window. All float32. geometry: DepthwiseGeometry.
    """
    height, width, channels, outputs, rows, columns, down, right, top, left, out_height, out_width = geometry
    times = outputs // channels
    for m in range(start, stop):
        for i in range(m * height * width * channels, (m + 1) * height * width * channels):
            out[i] = np.float32(0)
        for y in range(out_height):
            for x in range(out_width):
                at = ((m * out_height + y) * out_width + x) * outputs
                for ky in range(rows):
                    row = y * down + ky - top
                    if row < 0 or row >= height:
                        continue
                    for kx in range(columns):
                        column = x * right + kx - left
                        if column < 0 or column >= width:
                            continue
                        pixel = ((m * height + row) * width + column) * channels
                        tap = (ky * columns + kx) * outputs
                        if times == 1:
                            for o in range(outputs):
                                out[pixel + o] += weights[tap + o] * gradient[at + o]
                        else:
                            for o in range(outputs):
                                out[pixel + o // times] += weights[tap + o] * gradient[at + o]
