"""The input gradient of any convolution: what each window's product with the weights gives to the pixels under it."""

from __future__ import annotations

from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import put, take16


@kernel
def fold(low, high, columns, out, height, width, channels, size, stride, padding, out_height, out_width):
    """`out[y*s + ky - p, x*s + kx - p] += columns[y, x, ky, kx]`, images low..high-1; out flat, set to zero here.

    columns: flat `[M*Ho*Wo, k*k*C]`, counted from image `low`; out: flat `[M*H*W*C]`.
    """
    area = height * width * channels
    source = 0
    for m in range(low, high):
        out[m * area : (m + 1) * area] = 0
        for y in range(out_height):
            for x in range(out_width):
                for ky in range(size):
                    row = y * stride + ky - padding
                    for kx in range(size):
                        column = x * stride + kx - padding
                        if 0 <= row < height and 0 <= column < width:
                            at = m * area + (row * width + column) * channels
                            for c in range(0, channels, 16):
                                count = channels - c
                                total = take16(out, at + c, count) + take16(columns, source + c, count)
                                put(out, at + c, total, count)
                        source += channels
