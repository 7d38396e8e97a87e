"""The first convolution: of an image, whose every pixel counts, with rows of weights multiplied by it."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.events import LANES
from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import fill64, item, load64, multiply_add, store, to


@kernel
def image_forward(low, high, images, weights, together, total, outputs, height, width, channels, size, stride, padding):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co] = sum of W[ky, kx, ci] * image[y*s + ky - p, x*s + kx - p, ci]`.

    Images low..high-1, flat, any numbers; weights: float32, packed by `packing.pack`, as is `together`. total: flat, of
    any type; integers come out exact where no sum reaches 2**24.
    """
    out_height = (height + 2 * padding - size) // stride + 1
    out_width = (width + 2 * padding - size) // stride + 1
    across, lanes = size + (together - 1) * stride, outputs * together
    area = out_height * out_width * outputs
    spare = np.empty(LANES, total.dtype)
    blocks = (lanes + LANES - 1) // LANES
    for block in range(blocks):
        begins = block * (len(weights) // blocks)
        column = max(0, min(block * LANES, lanes - LANES))
        for m in range(low, high):
            out = m * area + column
            for y in range(out_height):
                for left in range(-padding, out_width * stride - padding, stride * together):
                    sums = fill64(0, weights)
                    for ky in range(max(0, padding - y * stride), min(size, height + padding - y * stride)):
                        row = (m * height + y * stride + ky - padding) * width
                        first, last = max(0, -left), min(across, width - left)
                        at = begins + (ky * across + first) * channels * LANES
                        for i in range((row + left + first) * channels, (row + left + last) * channels):
                            sums = multiply_add(fill64(item(images, i), weights), load64(weights, at), sums)
                            at += LANES
                    if out + LANES <= high * area:
                        store(total, out, to(sums, total))
                    else:
                        store(spare, 0, to(sums, total))
                        total[out : out + lanes] = spare[:lanes]
                    out += lanes
