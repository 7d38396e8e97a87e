"""The input gradient of any convolution: every window's product with the weights, added to the pixels under it."""

from __future__ import annotations

from qpsnn_core.kernels.conv.gemm import WIDTH, products
from qpsnn_core.kernels.conv.geometry import Matrices
from qpsnn_core.kernels.conv.winograd import back_rows
from qpsnn_core.kernels.simd.vector import store_masked, take16
from qpsnn_core.kernels.threads import kernel

SMALL = 4
"""Pixels of a map up to which only those taps of a window are multiplied that lie inside."""


@kernel
def tap_inside(q, tap, geometry):
    """Whether a tap, `ky*kernel + kx`, of window q of a map lies inside of it; geometry: ConvGeometry."""
    height, width, _, _, size, stride, padding, _, out_width = geometry
    row, column = q // out_width * stride + tap // size - padding, q % out_width * stride + tap % size - padding
    return 0 <= row < height and 0 <= column < width


@kernel
def col2im(start, stop, columns, pitch, out, geometry):
    """`out[y*s + ky - p, x*s + kx - p] += columns[y, x, ky, kx]`, images start..stop-1; out flat, set to zero here.

    columns: float32, flat `[M*Ho*Wo, k*k*C]`, counted from image `start`, a row every `pitch` numbers; out: float32,
    flat `[M*H*W*C]`. geometry: ConvGeometry.
    """
    height, width, channels, _, size, stride, padding, out_height, out_width = geometry
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
def through_windows(start, stop, most, acc_gradient, panels, rooms, out, geometry):
    """The input gradients of images start..stop-1, `most` images at a time.

    acc_gradient: AccGradient. panels: float32 `[panels, C_out*WIDTH]`, the weights of taps and input channels. rooms:
    two flat float32 arrays for `most` images (ROWS at least) of windows, of C_out numbers (made up to 16s) and of
    WIDTH for each panel. out: float32, flat `[M*H*W*C_in]`, written. geometry: ConvGeometry.
    """
    height, width, channels, outputs, _, _, _, out_height, out_width = geometry
    back, columns = rooms
    area, wide = out_height * out_width, len(panels) * WIDTH
    pitch = (outputs + 15) // 16 * 16
    few = area <= SMALL and channels % WIDTH == 0
    for first in range(start, stop, most):
        last = min(first + most, stop)
        back_rows(acc_gradient, first * area, (last - first) * area, pitch, back)
        for panel in range(len(panels)):
            right, column = Matrices(panels[panel], 0, WIDTH), panel * WIDTH
            if not few:
                left, product = Matrices(back, 0, pitch), Matrices(columns, 0, wide)
                products(1, left, right, product, (last - first) * area, outputs, column)
                continue
            for q in range(area):
                if tap_inside(q, column // channels, geometry):
                    left, product = (
                        Matrices(back[q * pitch :], 0, area * pitch),
                        Matrices(columns[q * wide :], 0, area * wide),
                    )
                    products(1, left, right, product, last - first, outputs, column)
        own = out[first * height * width * channels :]
        col2im(0, last - first, columns, wide, own, geometry)
