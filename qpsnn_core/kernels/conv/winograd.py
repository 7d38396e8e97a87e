"""The input gradient of a 3x3 convolution by Winograd's F(4x4, 3x3): 36 products for 16 pixels in place of 144.

`dS[y, x] = sum W[ky, kx] dX[y + 1 - ky, x + 1 - kx]` is a correlation of dX, with a border of one zero, with the
flipped weights. Of each tile of 6x6 gradients and each 3x3 kernel a transform is taken, `B'dB` and `GgG'`; their
products, summed over the output channels (gemm.py), are transformed back, `A'mA`, to 4x4 input gradients (Lavin and
Gray 2016, arXiv:1509.09308, section 4.3). Transforms hold `[36, tiles or C_out, channels]`, rows being whole vectors,
matrices a little apart: those that begin a power of two after one another would push each other out of the cache.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH, products, square_of
from qpsnn_core.kernels.conv.geometry import Matrices
from qpsnn_core.kernels.conv.weight_gradient import zeros_on_line
from qpsnn_core.kernels.simd.vector import fill16, load16, multiply_add, store, store_masked, take16, to
from qpsnn_core.kernels.threads import kernel

TILE = 4
POINTS = 36


@kernel
def gradient_line(a, b, c, d, e, f, like):
    """One row of `B'`, six vectors (a, b, c, d, e, f) to six, of the type of the array `like`."""
    two, four = fill16(2, like), fill16(4, like)
    less, least, lost = fill16(-2, like), fill16(-4, like), fill16(-5, like)
    even, odd = multiply_add(least, c, e), multiply_add(least, b, d)
    near, far = e - c, d - b
    first, last = multiply_add(lost, c, multiply_add(four, a, e)), multiply_add(lost, d, multiply_add(four, b, f))
    return first, even + odd, even - odd, multiply_add(two, far, near), multiply_add(less, far, near), last


@kernel
def weight_line(a, b, c, like):
    """One row of `G`, three vectors (a, b, c) to six, of the type of the array `like`."""
    quarter, sixth = fill16(0.25, like), fill16(np.float32(1 / 6), like)
    twelfth, last = fill16(np.float32(1 / 12), like), fill16(np.float32(1 / 24), like)
    sums, outer = sixth * (a + c), last * a + sixth * c
    zero = fill16(0, like)
    return quarter * a, zero - sums - sixth * b, sixth * b - sums, outer + twelfth * b, outer - twelfth * b, c


@kernel
def back_line(a, b, c, d, e, f, like):
    """One row of `A'`, six vectors (a, b, c, d, e, f) to four, of the type of the array `like`."""
    two, four, eight = fill16(2, like), fill16(4, like), fill16(8, like)
    sums, wide_sums, differences, wide = b + c, d + e, b - c, d - e
    third, fourth = multiply_add(four, wide_sums, sums), multiply_add(eight, wide, differences)
    return a + sums + wide_sums, multiply_add(two, wide, differences), third, fourth + f


@kernel
def six_apart(out, at, apart, six):
    """Store six vectors in `out` from `at` on, `apart` numbers apart."""
    a, b, c, d, e, f = six
    store(out, at, a)
    store(out, at + apart, b)
    store(out, at + 2 * apart, c)
    store(out, at + 3 * apart, d)
    store(out, at + 4 * apart, e)
    store(out, at + 5 * apart, f)


@kernel
def back_at(inside, flat, acc, at, count, by_gradient, by_total, constant):
    """dL/dacc of `count` numbers from `at` on, or zeros where not `inside` the image.

    flat, acc: gradient and accumulators, flat. by_gradient, by_total, constant: batch norm's factors, vectors of 16.
    """
    if inside:
        value = multiply_add(by_total, to(take16(acc, at, count), flat), constant)
        return multiply_add(by_gradient, take16(flat, at, count), value)
    return fill16(0, flat)


@kernel
def back_rows(acc_gradient, first, rows, pitch, out):
    """dL/dacc of `rows` rows of `[M*H*W, C]`, from `first` on.

    acc_gradient: AccGradient. out: float32, flat, each row `pitch` numbers after the one before; 16 numbers are written
    at a time, zeros beyond C.
    """
    gradient, total, factors = acc_gradient
    channels = gradient.shape[1]
    flat, acc = gradient.reshape(-1), total.reshape(-1)
    for c in range(0, channels, 16):
        count = channels - c
        factor = take16(factors[0], c, count), take16(factors[1], c, count), take16(factors[2], c, count)
        for row in range(rows):
            value = back_at(True, flat, acc, (first + row) * channels + c, count, *factor)
            store(out, row * pitch + c, value)


@kernel
def gradient_tiles(start, stop, acc_gradient, height, width, matrices):
    """`B'dB` of each tile of images start..stop-1, d of acc_gradient (AccGradient), `[36, tiles, C]`.

    height, width: of an image, in pixels. matrices: Matrices, float32, written; tiles are counted from image `start`,
    rows written 16 numbers at a time, the last ones zero. Of a row of tiles first the columns are transformed, once
    each, then the rows of each tile.
    """
    gradient, total, factors = acc_gradient
    out, apart, pitch = matrices
    channels = gradient.shape[1]
    flat, acc = gradient.reshape(-1), total.reshape(-1)
    across, line, target = -(-width // TILE), width * channels, 0
    part = zeros_on_line((across * TILE + 2) * 96)
    for m in range(start, stop):
        for top in range(-1, height - 1, TILE):
            for c in range(0, channels, 16):
                count = channels - c
                factor = take16(factors[0], c, count), take16(factors[1], c, count), take16(factors[2], c, count)
                at = (m * height + top) * line + c
                for place in range(96, (width + 1) * 96, 96):
                    d0 = back_at(top >= 0, flat, acc, at, count, *factor)
                    d1 = back_at(True, flat, acc, at + line, count, *factor)
                    d2 = back_at(top + 2 < height, flat, acc, at + 2 * line, count, *factor)
                    d3 = back_at(top + 3 < height, flat, acc, at + 3 * line, count, *factor)
                    d4 = back_at(top + 4 < height, flat, acc, at + 4 * line, count, *factor)
                    d5 = back_at(top + 5 < height, flat, acc, at + 5 * line, count, *factor)
                    six_apart(part, place, 16, gradient_line(d0, d1, d2, d3, d4, d5, part))
                    at += channels
                for tile in range(across):
                    for i in range(6):
                        at = tile * TILE * 96 + i * 16
                        d0, d1, d2 = load16(part, at), load16(part, at + 96), load16(part, at + 192)
                        d3, d4, d5 = load16(part, at + 288), load16(part, at + 384), load16(part, at + 480)
                        found = gradient_line(d0, d1, d2, d3, d4, d5, part)
                        six_apart(out, i * 6 * apart + target + tile * pitch + c, apart, found)
            target += across * pitch


@kernel
def weight_points(start, stop, weights, inputs, outputs, apart, out):
    """`GgG'` of the flipped kernels g, in panels start..stop-1 of WIDTH input channels, `[panels, 36, C_out, WIDTH]`.

    weights: codes or float32, flat `[9, C_in, C_out]`, zeros beyond the last; inputs, outputs: C_in, C_out. out:
    float32, flat, written; each of the 36 matrices begins `apart` numbers after the one before, and panel `start` where
    `out` does.
    """
    part = zeros_on_line(18 * 16)
    block, room = np.empty((9, 1024), weights.dtype), np.empty(1024, weights.dtype)
    target = 0
    for panel in range(start, stop):
        for column in range(0, WIDTH, 16):
            for first in range(0, outputs, 64):
                for tap in range(9):
                    square_of(
                        weights, tap * inputs, inputs, outputs, panel * WIDTH + column, first, block[8 - tap], room
                    )
                for row in range(min(64, outputs - first)):
                    for j in range(3):
                        a = to(load16(block[j], row * 16), part)
                        b = to(load16(block[3 + j], row * 16), part)
                        c = to(load16(block[6 + j], row * 16), part)
                        six_apart(part, j * 16, 48, weight_line(a, b, c, part))
                    for i in range(6):
                        a, b, c = load16(part, i * 48), load16(part, i * 48 + 16), load16(part, i * 48 + 32)
                        place = target + i * 6 * apart + (first + row) * WIDTH + column
                        six_apart(out, place, apart, weight_line(a, b, c, part))
        target += 36 * apart


@kernel
def tiles_back(start, stop, matrices, height, width, out):
    """`A'mA` of the products, [36, tiles, C], as the input gradients of images start..stop-1.

    matrices: Matrices, float32, as of gradient_tiles. height, width: of an image, in pixels. out: float32
    `[M*H*W, C]`, written.
    """
    points, apart, pitch = matrices
    channels = out.shape[1]
    flat = out.reshape(-1)
    part = zeros_on_line(24 * 16)
    source = 0
    for m in range(start, stop):
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                for c in range(0, channels, 16):
                    count = channels - c
                    for j in range(6):
                        at = j * apart + source + c
                        a, b, c_ = load16(points, at), load16(points, at + 6 * apart), load16(points, at + 12 * apart)
                        at += 18 * apart
                        d, e, f = load16(points, at), load16(points, at + 6 * apart), load16(points, at + 12 * apart)
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
                        store_masked(flat, at, a, count)
                        if left + 1 < width:
                            store_masked(flat, at + channels, b, count)
                        if left + 2 < width:
                            store_masked(flat, at + 2 * channels, c_, count)
                        if left + 3 < width:
                            store_masked(flat, at + 3 * channels, d, count)
                source += pitch


@kernel
def through_tiles(start, stop, size, acc_gradient, points, rooms, out, geometry):
    """The input gradients of images start..stop-1, `size` at a time.

    acc_gradient: AccGradient. points: weight_points of all panels, float32 `[panels, 36 * apart]`; rooms: two flat
    float32 arrays, for the transforms of the gradients and of the products of `size` images. out: float32
    `[M*H*W, C_in]`, written. geometry: ConvGeometry.
    """
    height, width, _, outputs, _, _, _, _, _ = geometry
    panels = len(points)
    tiles, pitch, wide = -(-height // TILE) * -(-width // TILE), -(-outputs // 16) * 16, panels * WIDTH
    for first in range(start, stop, size):
        last = min(first + size, stop)
        rows = (last - first) * tiles
        apart, further = max(rows, ROWS) * pitch + 16, max(rows, ROWS) * wide + 16
        seen, found = Matrices(rooms[0], apart, pitch), Matrices(rooms[1], further, wide)
        gradient_tiles(first, last, acc_gradient, height, width, seen)
        for panel in range(panels):
            right = Matrices(points[panel], points.shape[1] // POINTS, WIDTH)
            products(POINTS, seen, right, found, rows, outputs, panel * WIDTH)
        tiles_back(first, last, found, height, width, out)
