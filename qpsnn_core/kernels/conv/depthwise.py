"""Convolutions in which each output channel reads one input channel: forward, and both gradients.

All arrays are flat: images `[M*H*W*C]`, outputs `[M*Ho*Wo*C_out]`, C_out a multiple of C, and weights as `lay_weights`
gives them. The rows that a row of outputs reads lie in lines, where each pixel has whole vectors of channels and zeros
stand around the image; so every output adds all taps of its channels, in the order of the kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.windows import Pair
from qpsnn_core.kernels.conv.winograd import back_rows
from qpsnn_core.kernels.simd.vector import (
    fill32,
    item,
    load32,
    multiply_add,
    set_item,
    store,
    store_masked,
    to,
)
from qpsnn_core.kernels.threads import kernel

LANES = 32


class DepthwiseGeometry(NamedTuple):
    """The sizes of a depthwise convolution, in pixels and channels.

    height, width, channels: of its input. outputs: C_out. rows, columns: of the kernel. down, right: the stride. top,
    left: the padding, which cuts the image where it is negative. out_height, out_width: of its output. below, beside:
    how far neighbouring pixels of the input are apart, zeros between them.
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
    below: int = 1
    beside: int = 1

    @classmethod
    def of(
        cls, shape: tuple[int, int, int], out: tuple[int, int, int], kernel: Pair, stride: Pair, padding: Pair
    ) -> DepthwiseGeometry:
        """The geometry from an input (H, W, C) to an output (Ho, Wo, C_out). The others: (rows, columns)."""
        return cls(*shape, out[2], *kernel, *stride, *padding, *out[:2])

    def back(self) -> DepthwiseGeometry:
        """From gradients of outputs, each pixel in whole vectors, to those of inputs, C_out of each; kernel turned."""
        edge = self.rows - 1 - self.top, self.columns - 1 - self.left
        wide = whole(self.outputs)
        size = self.out_height, self.out_width, wide, self.outputs, self.rows, self.columns
        return DepthwiseGeometry(*size, 1, 1, *edge, self.height, self.width, self.down, self.right)


def lay_weights(weights: Array, dtype: Any, *, turned: bool = False) -> Array:
    """Weights [rows, columns, ..., C_out] in whole vectors of channels, flat; turned: by half a turn."""
    outputs = weights.shape[-1]
    taps = weights.reshape(-1, outputs)
    out = np.zeros((len(taps), whole(outputs)), dtype)
    out[:, :outputs] = taps[::-1] if turned else taps
    return out.reshape(-1)


@kernel
def whole(channels):
    """So many channels in whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


@kernel
def empty_lines(images, geometry):
    """Zeros, of the type of `images`, for the lines of one row of outputs, and how many numbers each has.

    geometry: a DepthwiseGeometry.
    """
    pitch = ((geometry.out_width - 1) * geometry.right + geometry.columns) * whole(geometry.outputs)
    return np.zeros(geometry.rows * pitch, images.dtype), pitch


@kernel
def copy(images, begin, count, lines, at):
    """`count` numbers of the images, from `begin` on, into `lines[at:]`."""
    done = 0
    while done + LANES <= count:
        store(lines, at + done, load32(images, begin + done))
        done += LANES
    for i in range(done, count):
        set_item(lines, at + i, item(images, begin + i))


@kernel
def fill_line(images, begin, lines, at, geometry):
    """A row of the images, which begins at `begin`, into the line of `lines` that begins at `at`.

    geometry: a DepthwiseGeometry.
    """
    channels, outputs, left, beside = geometry.channels, geometry.outputs, geometry.left, geometry.beside
    span, wide = (geometry.out_width - 1) * geometry.right + geometry.columns, whole(outputs)
    first = max(0, (beside - 1 - left) // beside)
    last = min(geometry.width - 1, (span - 1 - left) // beside)
    if beside == 1 and channels == wide:
        copy(images, begin + first * channels, (last - first + 1) * channels, lines, at + (first + left) * wide)
        return
    for x in range(first, last + 1):
        pixel, place = begin + x * channels, at + (x * beside + left) * wide
        if channels >= outputs:
            copy(images, pixel, outputs, lines, place)
        else:
            for o in range(outputs):
                set_item(lines, place + o, item(images, pixel + o // (outputs // channels)))


@kernel
def fill_lines(images, first, y, lines, pitch, geometry):
    """The rows that row y of outputs reads, of the image that begins at `first`; those of row y - 1 are there.

    Row q of the padded image lies in line q modulo the kernel's rows. images: flat. lines, pitch: from `empty_lines`.
    geometry: a DepthwiseGeometry.
    """
    rows, down, below = geometry.rows, geometry.down, geometry.below
    there = (y - 1) * down + rows if y else 0
    for q in range(max(there, y * down), y * down + rows):
        at, row = q % rows * pitch, q - geometry.top
        if row >= 0 and row % below == 0 and row // below < geometry.height:
            fill_line(images, first + row // below * geometry.width * geometry.channels, lines, at, geometry)
        else:
            lines[at : at + pitch] = 0


@kernel
def write(total, at, sums, count):
    """The first `count` sums, or all of them, into `total[at:]`."""
    if count >= LANES:
        store(total, at, to(sums, total))
    else:
        store_masked(total, at, to(sums, total), count)


@kernel
def sum_image(images, first, weights, total, at, geometry, lines, pitch):
    """All sums of the image that begins at `first` of `images`, into `total[at:]`.

    weights: from `lay_weights`. lines, pitch: from `empty_lines`. geometry: a DepthwiseGeometry.
    """
    outputs, rows, columns, out_width = geometry.outputs, geometry.rows, geometry.columns, geometry.out_width
    wide = whole(outputs)
    step, last = geometry.right * wide, (out_width - 1) * geometry.right * wide
    for y in range(geometry.out_height):
        fill_lines(images, first, y, lines, pitch, geometry)
        upper = y * geometry.down % rows
        for c in range(0, outputs, LANES):
            out, count = at + y * out_width * outputs + c, outputs - c
            for x in range(0, out_width, 4):
                s0 = s1 = s2 = s3 = fill32(0, weights)
                p0 = x * step + c
                p1, p2, p3 = min(p0 + step, last + c), min(p0 + 2 * step, last + c), min(p0 + 3 * step, last + c)
                tap = c
                for ky in range(rows):
                    i = (upper + ky if upper + ky < rows else upper + ky - rows) * pitch
                    for _ in range(columns):
                        weight = load32(weights, tap)
                        s0 = s0 + weight * to(load32(lines, p0 + i), weights)
                        s1 = s1 + weight * to(load32(lines, p1 + i), weights)
                        s2 = s2 + weight * to(load32(lines, p2 + i), weights)
                        s3 = s3 + weight * to(load32(lines, p3 + i), weights)
                        tap += wide
                        i += wide
                write(total, out + x * outputs, s0, count)
                write(total, out + min(x + 1, out_width - 1) * outputs, s1, count)
                write(total, out + min(x + 2, out_width - 1) * outputs, s2, count)
                write(total, out + min(x + 3, out_width - 1) * outputs, s3, count)


@kernel
def depthwise_forward(start, stop, images, weights, total, geometry):
    """`total[m, y, x, o] = sum_{ky,kx} weights[ky, kx, o] * images[m, y*down + ky - top, x*right + kx - left, o // n]`.

    n is C_out / C. Images start..stop-1, of integers no wider than the weights, or float32. weights, total: integers of
    a type that holds the sums, as the caller has shown, or float32. geometry: DepthwiseGeometry.
    """
    size = geometry.height * geometry.width * geometry.channels
    out = geometry.out_height * geometry.out_width * geometry.outputs
    lines, pitch = empty_lines(images, geometry)
    for m in range(start, stop):
        sum_image(images, m * size, weights, total, m * out, geometry, lines, pitch)


@kernel
def depthwise_inputs(start, stop, acc_gradient, weights, out, geometry):
    """`out[m, row, column, o] = sum weights[ky, kx, o] * dL/dacc[m, y, x, o]` over all windows that read the pixel.

    Images start..stop-1, window after window. acc_gradient: AccGradient. weights: float32, turned. out: float32
    `[M*H*W*C_out]`. geometry: that of `DepthwiseGeometry.back`.
    """
    places = geometry.height * geometry.width
    size = geometry.out_height * geometry.out_width * geometry.outputs
    back = np.zeros(places * geometry.channels, np.float32)
    lines, pitch = empty_lines(back, geometry)
    for m in range(start, stop):
        back_rows(acc_gradient, m * places, places, geometry.channels, back)
        sum_image(back, 0, weights, out, m * size, geometry, lines, pitch)


@kernel
def depthwise_weights(start, stop, images, acc_gradient, sums, geometry):
    """`sums[ky, kx, o] += dL/dacc[m, y, x, o] * images[...]`, the pixels as above, images start..stop-1 in order.

    images: any numbers. acc_gradient: AccGradient. sums: float32, laid as weights. geometry: DepthwiseGeometry.
    """
    outputs, rows, columns, out_width = geometry.outputs, geometry.rows, geometry.columns, geometry.out_width
    size, wide, taps = geometry.height * geometry.width * geometry.channels, whole(outputs), rows * columns
    lines, pitch = empty_lines(images, geometry)
    back, begins = np.zeros(out_width * wide, np.float32), np.empty(taps + 2, np.int64)
    for m in range(start, stop):
        for y in range(geometry.out_height):
            fill_lines(images, m * size, y, lines, pitch, geometry)
            back_rows(acc_gradient, (m * geometry.out_height + y) * out_width, out_width, wide, back)
            for tap in range(taps + 2):
                ky, kx = min(tap, taps - 1) // columns, min(tap, taps - 1) % columns
                begins[tap] = (y * geometry.down + ky) % rows * pitch + kx * wide
            for c in range(0, outputs, LANES):
                for tap in range(0, taps, 3):
                    p0, p1, p2 = begins[tap] + c, begins[tap + 1] + c, begins[tap + 2] + c
                    t0, t1, t2 = tap * wide + c, min(tap + 1, taps - 1) * wide + c, min(tap + 2, taps - 1) * wide + c
                    s0, s1, s2 = load32(sums, t0), load32(sums, t1), load32(sums, t2)
                    for x in range(out_width):
                        given, i = load32(back, x * wide + c), x * geometry.right * wide
                        s0 = multiply_add(given, to(load32(lines, p0 + i), sums), s0)
                        s1 = multiply_add(given, to(load32(lines, p1 + i), sums), s1)
                        s2 = multiply_add(given, to(load32(lines, p2 + i), sums), s2)
                    store(sums, t0, s0)
                    store(sums, t1, s1)
                    store(sums, t2, s2)
