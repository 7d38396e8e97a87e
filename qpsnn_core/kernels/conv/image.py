"""The first convolution: of an image, whose every pixel counts, with weights multiplied by it; and their gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.gemm import WIDTH, fill, load
from qpsnn_core.kernels.conv.packing import aligned
from qpsnn_core.kernels.conv.winograd import back_rows, six_apart
from qpsnn_core.kernels.simd.vector import item, multiply_add, store, store_masked, to
from qpsnn_core.kernels.threads import kernel


def panels(weights: Array) -> Array:
    """Real weights [k, k, C_in, C_out] as `image_forward` reads them: panels of [taps*C_in, WIDTH]."""
    rows, outputs = weights.size // weights.shape[-1], weights.shape[-1]
    count = -(-outputs // WIDTH)
    blocks: Any = aligned(count * rows * WIDTH, np.float32).reshape(count, rows, WIDTH)
    blocks[...] = 0
    for block in range(count):
        part = weights.reshape(rows, outputs)[:, block * WIDTH : (block + 1) * WIDTH]
        blocks[block, :, : part.shape[1]] = part
    flat: Array = blocks.reshape(-1)
    return flat


@kernel
def fill_lines(images, first, top, height, line, size, padding, lines):
    """Rows top..top+size-1 of the image that begins at `first`, as float32 [size, line + 2*padding], zeros outside.

    images: flat, any numbers. height: the image's rows. line, padding: numbers (not pixels) of a row, and before and
    after it. lines: flat, written.
    """
    pitch = line + 2 * padding
    for ky in range(size):
        if 0 <= top + ky < height:
            begin = first + (top + ky) * line
            for i in range(line):
                lines[ky * pitch + padding + i] = images[begin + i]
        else:
            lines[ky * pitch : (ky + 1) * pitch] = 0


@kernel
def write(total, at, sums, count):
    """The first `count` sums, or all WIDTH of them, into `total[at:]`, in its type."""
    if count >= WIDTH:
        store(total, at, to(sums, total))
    else:
        store_masked(total, at, to(sums, total), count)


@kernel
def image_forward(start, stop, images, weights, total, geometry):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co] = sum of W[ky, kx, ci] * image[y*s + ky - p, x*s + kx - p, ci]`.

    Images start..stop-1, flat `[M*H*W*C_in]`, any numbers; weights: float32, from `panels`. total: of any type, flat
    `[M*Ho*Wo*C_out]`, written; integers come out exact where no sum reaches 2**24. geometry: ConvGeometry.
    """
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    line, edge, taps = width * channels, padding * channels, size * channels
    pitch, step, last = line + 2 * edge, stride * channels, (out_width - 1) * stride * channels
    lines = np.zeros(size * pitch, np.float32)
    for m in range(start, stop):
        for y in range(out_height):
            fill_lines(images, m * height * line, y * stride - padding, height, line, size, edge, lines)
            for column in range(0, outputs, WIDTH):
                begins = column * size * taps
                out, count = (m * out_height + y) * out_width * outputs + column, outputs - column
                for x in range(0, out_width, 6):
                    s0 = s1 = s2 = s3 = s4 = s5 = fill(0, weights)
                    p0 = x * step
                    p1, p2, p3 = min(p0 + step, last), min(p0 + 2 * step, last), min(p0 + 3 * step, last)
                    p4, p5 = min(p0 + 4 * step, last), min(p0 + 5 * step, last)
                    at = begins
                    for ky in range(size):
                        for i in range(ky * pitch, ky * pitch + taps):
                            row = load(weights, at)
                            s0 = multiply_add(fill(item(lines, p0 + i), weights), row, s0)
                            s1 = multiply_add(fill(item(lines, p1 + i), weights), row, s1)
                            s2 = multiply_add(fill(item(lines, p2 + i), weights), row, s2)
                            s3 = multiply_add(fill(item(lines, p3 + i), weights), row, s3)
                            s4 = multiply_add(fill(item(lines, p4 + i), weights), row, s4)
                            s5 = multiply_add(fill(item(lines, p5 + i), weights), row, s5)
                            at += WIDTH
                    write(total, out + x * outputs, s0, count)
                    write(total, out + min(x + 1, out_width - 1) * outputs, s1, count)
                    write(total, out + min(x + 2, out_width - 1) * outputs, s2, count)
                    write(total, out + min(x + 3, out_width - 1) * outputs, s3, count)
                    write(total, out + min(x + 4, out_width - 1) * outputs, s4, count)
                    write(total, out + min(x + 5, out_width - 1) * outputs, s5, count)


@kernel
def image_gradient(start, stop, images, acc_gradient, geometry, wide, out):
    """`out[(ky*k + kx)*C_in + ci, co] += sum of dL/dacc[y, x, co] * image[y*s + ky - p, x*s + kx - p, ci]`.

    Images start..stop-1, flat `[M*H*W*C_in]`, any numbers. acc_gradient: AccGradient. geometry: ConvGeometry. out:
    float32, flat, rows of `wide` numbers (a multiple of WIDTH, not below C_out), and a multiple of six rows.
    """
    height, width, channels, _, size, stride, padding, out_height, out_width = geometry
    line, edge, across = width * channels, padding * channels, size * channels
    pitch, step, last = line + 2 * edge, stride * channels, size * across - 1
    lines, back = np.zeros(size * pitch, np.float32), np.zeros(out_width * wide, np.float32)
    for m in range(start, stop):
        for y in range(out_height):
            fill_lines(images, m * height * line, y * stride - padding, height, line, size, edge, lines)
            back_rows(acc_gradient, (m * out_height + y) * out_width, out_width, wide, back)
            for column in range(0, wide, WIDTH):
                for tap in range(0, last + 1, 6):
                    a, b, c = tap, min(tap + 1, last), min(tap + 2, last)
                    d, e, f = min(tap + 3, last), min(tap + 4, last), min(tap + 5, last)
                    p0, p1 = a // across * pitch + a % across, b // across * pitch + b % across
                    p2, p3 = c // across * pitch + c % across, d // across * pitch + d % across
                    p4, p5 = e // across * pitch + e % across, f // across * pitch + f % across
                    place = tap * wide + column
                    s0, s1, s2 = load(out, place), load(out, place + wide), load(out, place + 2 * wide)
                    s3, s4, s5 = load(out, place + 3 * wide), load(out, place + 4 * wide), load(out, place + 5 * wide)
                    for x in range(out_width):
                        row, i = load(back, x * wide + column), x * step
                        s0 = multiply_add(fill(item(lines, p0 + i), out), row, s0)
                        s1 = multiply_add(fill(item(lines, p1 + i), out), row, s1)
                        s2 = multiply_add(fill(item(lines, p2 + i), out), row, s2)
                        s3 = multiply_add(fill(item(lines, p3 + i), out), row, s3)
                        s4 = multiply_add(fill(item(lines, p4 + i), out), row, s4)
                        s5 = multiply_add(fill(item(lines, p5 + i), out), row, s5)
                    six_apart(out, place, wide, (s0, s1, s2, s3, s4, s5))
