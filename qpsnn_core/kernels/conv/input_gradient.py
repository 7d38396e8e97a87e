"""The input gradient of any convolution: every window's product with the weights, added to the pixels under it."""

from __future__ import annotations

from qpsnn_core.kernels.conv.gemm import WIDTH, products
from qpsnn_core.kernels.conv.winograd import back_rows
from qpsnn_core.kernels.simd.vector import store_masked, take16
from qpsnn_core.kernels.threads import kernel

SMALL = 4
"""Pixels of a map up to which only those taps of a window are multiplied that lie inside."""


@kernel
def tap_inside(q, tap, height, width, size, stride, padding, out_width):
    """Whether a tap of window q of a map lies inside of it."""
    row, column = q // out_width * stride + tap // size - padding, q % out_width * stride + tap % size - padding
    return 0 <= row < height and 0 <= column < width


@kernel
def col2im(start, stop, columns, pitch, out, height, width, channels, size, stride, padding, out_height, out_width):
    """`out[y*s + ky - p, x*s + kx - p] += columns[y, x, ky, kx]`, images start..stop-1; out flat, set to zero here.

    columns: flat `[M*Ho*Wo, k*k*C]`, counted from image `start`, a row every `pitch` numbers; out: flat `[M*H*W*C]`.
    """
    area = height * width * channels
    line = 0
    for m in range(start, stop):
        out[m * area : (m + 1) * area] = 0
        for y in range(out_height):
            for x in range(out_width):
                source = line
                for ky in range(size):
                    row = y * stride + ky - padding
                    for kx in range(size):
                        column = x * stride + kx - padding
                        if 0 <= row < height and 0 <= column < width:
                            at = m * area + (row * width + column) * channels
                            for c in range(0, channels, 16):
                                count = channels - c
                                total = take16(out, at + c, count) + take16(columns, source + c, count)
                                store_masked(out, at + c, total, count)
                        source += channels
                line += pitch


@kernel
def through_windows(start, stop, most, gradient, total, factors, panels, back, columns, out, shape):
    """The input gradients of images start..stop-1, `[M*H*W*C]` flat, `most` images at a time.

    gradient, total: `[M*Ho*Wo, C_out]`, factors: `[3, C_out]`, of which dL/dacc is `f0*g + f1*acc + f2`. panels:
    `[panels, C_out*WIDTH]`, the weights of taps and input channels. back, columns: room for `most` images (ROWS at
    least) of windows, of C_out numbers (made up to 16s) and of WIDTH for each panel. shape: H, W, C_in, k, stride,
    padding, Ho, Wo.
    """
    height, width, channels, size, stride, padding, out_height, out_width = shape
    outputs, area, wide = gradient.shape[1], out_height * out_width, len(panels) * WIDTH
    pitch = (outputs + 15) // 16 * 16
    few = area <= SMALL and channels % WIDTH == 0
    for first in range(start, stop, most):
        last = min(first + most, stop)
        back_rows(gradient, total, factors, first * area, (last - first) * area, pitch, back)
        for panel in range(len(panels)):
            right, column = panels[panel], panel * WIDTH
            if not few:
                products(1, back, 0, pitch, right, 0, columns, 0, wide, (last - first) * area, outputs, column)
                continue
            for q in range(area):
                if tap_inside(q, column // channels, height, width, size, stride, padding, out_width):
                    given = back[q * pitch :], 0, area * pitch, right, 0, columns[q * wide :], 0, area * wide
                    products(1, *given, last - first, outputs, column)
        own = out[first * height * width * channels :]
        col2im(0, last - first, columns, wide, own, *shape)
