"""The input gradient of a 3x3 convolution by Winograd's F(4x4, 3x3): 36 products for 16 pixels in place of 144.

`dS[y, x] = sum W[ky, kx] dX[y + 1 - ky, x + 1 - kx]` is a correlation of dX, with a border of one zero, with the
flipped weights. Of each tile of 6x6 gradients and each 3x3 kernel a transform is taken, `B'dB` and `GgG'`; their
products, summed over the output channels by BLAS, are transformed back, `A'mA`, to 4x4 input gradients (Lavin and Gray
2016, arXiv:1509.09308, section 4.3). Transforms hold `[36, tiles or C_out, C]`, a little apart: matrices that begin a
power of two after one another would push each other out of the cache.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import fill16, load16, put, store, take16, to

TILE = 4
POINTS = 36


@kernel
def gradient_line(a, b, c, d, e, f, like):
    """One row of `B'`, six numbers to six."""
    two, four, five = fill16(2, like), fill16(4, like), fill16(5, like)
    even, odd = e - four * c, d - four * b
    near, far = e - c, two * (d - b)
    return four * a - five * c + e, even + odd, even - odd, near + far, near - far, four * b - five * d + f


@kernel
def weight_line(a, b, c, like):
    """One row of `G`, three numbers to six."""
    quarter, sixth = fill16(0.25, like), fill16(np.float32(1 / 6), like)
    twelfth, last = fill16(np.float32(1 / 12), like), fill16(np.float32(1 / 24), like)
    sums, outer = sixth * (a + c), last * a + sixth * c
    zero = fill16(0, like)
    return quarter * a, zero - sums - sixth * b, sixth * b - sums, outer + twelfth * b, outer - twelfth * b, c


@kernel
def back_line(a, b, c, d, e, f, like):
    """One row of `A'`, six numbers to four."""
    two, four, eight = fill16(2, like), fill16(4, like), fill16(8, like)
    sums, wide_sums, differences, wide = b + c, d + e, b - c, d - e
    return a + sums + wide_sums, differences + two * wide, sums + four * wide_sums, differences + eight * wide + f


@kernel
def gradient_tiles(low, high, gradient, total, factors, height, width, apart, out):
    """Of each tile of images low..high-1, `B'dB` of `d = f0*g + f1*acc + f2` (batch norm's backward), `[36, tiles, C]`.

    gradient, total: `[M*H*W, C]`; factors: float32 `[3, C]`. Tiles are counted from image `low`; out is flat, each of
    the 36 matrices begins `apart` numbers after the one before.
    """
    channels = gradient.shape[1]
    flat, acc = gradient.reshape(-1), total.reshape(-1)
    part = np.empty(POINTS * 16, np.float32)
    zero = fill16(0, part)
    for c in range(0, channels, 16):
        count = channels - c
        by_gradient, by_total = take16(factors[0], c, count), take16(factors[1], c, count)
        constant = take16(factors[2], c, count)
        target = c
        for m in range(low, high):
            for top in range(-1, height - 1, TILE):
                for left in range(-1, width - 1, TILE):
                    for i in range(6):
                        for j in range(6):
                            value = zero
                            if 0 <= top + i < height and 0 <= left + j < width:
                                at = ((m * height + top + i) * width + left + j) * channels + c
                                value = by_gradient * take16(flat, at, count) + constant
                                value = value + by_total * to(take16(acc, at, count), part)
                            store(part, (i * 6 + j) * 16, value)
                    for j in range(6):
                        at = j * 16
                        d0, d1, d2 = load16(part, at), load16(part, at + 96), load16(part, at + 192)
                        d3, d4, d5 = load16(part, at + 288), load16(part, at + 384), load16(part, at + 480)
                        d0, d1, d2, d3, d4, d5 = gradient_line(d0, d1, d2, d3, d4, d5, part)
                        store(part, at, d0)
                        store(part, at + 96, d1)
                        store(part, at + 192, d2)
                        store(part, at + 288, d3)
                        store(part, at + 384, d4)
                        store(part, at + 480, d5)
                    for i in range(6):
                        at = i * 96
                        d0, d1, d2 = load16(part, at), load16(part, at + 16), load16(part, at + 32)
                        d3, d4, d5 = load16(part, at + 48), load16(part, at + 64), load16(part, at + 80)
                        d0, d1, d2, d3, d4, d5 = gradient_line(d0, d1, d2, d3, d4, d5, part)
                        at = i * 6 * apart + target
                        put(out, at, d0, count)
                        put(out, at + apart, d1, count)
                        put(out, at + 2 * apart, d2, count)
                        put(out, at + 3 * apart, d3, count)
                        put(out, at + 4 * apart, d4, count)
                        put(out, at + 5 * apart, d5, count)
                    target += channels


@kernel
def weight_points(low, high, weights, inputs, outputs, apart, out):
    """`GgG'` of the flipped kernels g of output channels low..high-1, `[36, C_out, C_in]`.

    weights: flat `[9, C_out, C_in]`; each of the 36 matrices begins `apart` numbers after the one before.
    """
    part = np.empty(18 * 16, np.float32)
    size = inputs * outputs
    for row in range(low * inputs, high * inputs, 16):
        count = high * inputs - row
        for j in range(3):
            a = to(take16(weights, (8 - j) * size + row, count), part)
            b = to(take16(weights, (5 - j) * size + row, count), part)
            c = to(take16(weights, (2 - j) * size + row, count), part)
            a, b, c, d, e, f = weight_line(a, b, c, part)
            store(part, j * 16, a)
            store(part, (3 + j) * 16, b)
            store(part, (6 + j) * 16, c)
            store(part, (9 + j) * 16, d)
            store(part, (12 + j) * 16, e)
            store(part, (15 + j) * 16, f)
        for i in range(6):
            at = i * 48
            a, b, c, d, e, f = weight_line(load16(part, at), load16(part, at + 16), load16(part, at + 32), part)
            at = i * 6 * apart + row
            put(out, at, a, count)
            put(out, at + apart, b, count)
            put(out, at + 2 * apart, c, count)
            put(out, at + 3 * apart, d, count)
            put(out, at + 4 * apart, e, count)
            put(out, at + 5 * apart, f, count)


@kernel
def tiles_back(low, high, points, apart, height, width, out):
    """`A'mA` of the products, [36, tiles, C], as the input gradients of images low..high-1, `[M*H*W, C]`."""
    channels = out.shape[1]
    flat = out.reshape(-1)
    part = np.empty(24 * 16, np.float32)
    for c in range(0, channels, 16):
        count = channels - c
        source = c
        for m in range(low, high):
            for top in range(0, height, TILE):
                for left in range(0, width, TILE):
                    for j in range(6):
                        at = j * apart + source
                        a, b = take16(points, at, count), take16(points, at + 6 * apart, count)
                        c_, d = take16(points, at + 12 * apart, count), take16(points, at + 18 * apart, count)
                        e, f = take16(points, at + 24 * apart, count), take16(points, at + 30 * apart, count)
                        a, b, c_, d = back_line(a, b, c_, d, e, f, part)
                        store(part, j * 16, a)
                        store(part, (6 + j) * 16, b)
                        store(part, (12 + j) * 16, c_)
                        store(part, (18 + j) * 16, d)
                    for i in range(min(TILE, height - top)):
                        at = i * 96
                        a, b, c_ = load16(part, at), load16(part, at + 16), load16(part, at + 32)
                        d, e, f = load16(part, at + 48), load16(part, at + 64), load16(part, at + 80)
                        a, b, c_, d = back_line(a, b, c_, d, e, f, part)
                        at = ((m * height + top + i) * width + left) * channels + c
                        put(flat, at, a, count)
                        if left + 1 < width:
                            put(flat, at + channels, b, count)
                        if left + 2 < width:
                            put(flat, at + 2 * channels, c_, count)
                        if left + 3 < width:
                            put(flat, at + 3 * channels, d, count)
                    source += channels
