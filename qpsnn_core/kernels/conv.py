"""Event-driven convolution: add the weight rows of the spikes in each window.

Flat arrays, channels last. Spikes `[M*H*W*C_in]` hold counts; weights are packed by `packing.pack`: 64 output channels
at a time, so that one block's rows stay in the cache while all images pass, rows in (ky, kx, ci) order. Where there are
32 output channels or less, several windows side by side are taken as one, with the channels of all.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.events import LANES, list_columns, list_pixels
from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import fill64, item, load64, store, to

SPIKES = 2**16
"""Images are listed together while they cannot hold more spikes than this."""


@kernel
def add_rows(weights, base, rows, begin, end, often, total):
    """The sum of the 64 numbers at `weights[base + row]` for `rows[begin:end]`, in the type of `total`.

    Eight rows are added in the weights' own narrow type, `often` times over, before the sum is widened.
    """
    sums = fill64(0, total)
    i = begin
    while i + 8 <= end:
        stop = min(i + 8 * often, end - 7)
        part = fill64(0, weights)
        while i < stop:
            part = part + load64(weights, base + item(rows, i)) + load64(weights, base + item(rows, i + 1))
            part = part + load64(weights, base + item(rows, i + 2)) + load64(weights, base + item(rows, i + 3))
            part = part + load64(weights, base + item(rows, i + 4)) + load64(weights, base + item(rows, i + 5))
            part = part + load64(weights, base + item(rows, i + 6)) + load64(weights, base + item(rows, i + 7))
            i += 8
        sums = sums + to(part, total)
    part = fill64(0, weights)
    while i < end:
        part = part + load64(weights, base + item(rows, i))
        i += 1
    return sums + to(part, total)


@kernel
def conv_forward(
    low,
    high,
    spikes,
    peak,
    weights,
    gain,
    offset,
    often,
    together,
    total,
    outputs,
    height,
    width,
    channels,
    size,
    stride,
    padding,
):
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co] = gain * (sum of weight rows) + offset * (spikes in the window)`.

    Images low..high-1. total: int16, int32 or float32 (the caller has shown that the sums fit), flat. together: windows
    side by side that one row of the packed weights serves.
    """
    out_height = (height + 2 * padding - size) // stride + 1
    out_width = (width + 2 * padding - size) // stride + 1
    across, step, lanes = size + (together - 1) * stride, stride * together, outputs * together
    area = out_height * out_width * outputs
    pixels = height * width
    most = pixels * channels * peak
    batch = max(1, min(high - low, SPIKES // most))
    positions = np.empty(batch * most + 16, np.int32)
    starts = np.empty(batch * (pixels + 1), np.int32)
    listed = np.empty(size * width * channels * peak + 16, np.int32)
    ends = np.empty(width + 2 * padding + 1, np.int32)
    spare = np.empty(LANES, total.dtype)
    times = fill64(gain, total)
    for begin in range(low, high, batch):
        end = min(high, begin + batch)
        for m in range(begin, end):
            k, first = m - begin, m * pixels * channels
            list_pixels(spikes, first, peak, pixels, channels, positions[k * most :], starts[k * (pixels + 1) :])
        for block in range(0, lanes, LANES):
            begins = block // LANES * size * across * channels * LANES
            column = max(0, min(block, lanes - LANES))
            for m in range(begin, end):
                k = m - begin
                here, place = positions[k * most :], starts[k * (pixels + 1) :]
                out = m * area + column
                for y in range(out_height):
                    top = y * stride - padding
                    list_columns(here, place, top, height, width, channels, size, across, padding, listed, ends)
                    for left in range(0, out_width * stride, step):
                        base = begins - left * channels * LANES
                        i, j = item(ends, left), item(ends, left + across)
                        sums = add_rows(weights, base, listed, i, j, often, total) * times
                        sums = sums + fill64(offset * (j - i), total)
                        if out + LANES <= high * area:
                            store(total, out, sums)
                        else:
                            store(spare, 0, sums)
                            total[out : out + lanes] = spare[:lanes]
                        out += lanes
