"""Event-driven convolution: add the weight rows of the spikes in each window; its weight gradient, likewise.

Flat arrays, channels last. Spikes `[M, H*W*C_in]` hold counts; weights `[k*k*C_in, C_out]`, rows in (ky, kx, ci) order.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.parallel import kernel

CACHED = 2**16
"""Gradients (float32) that stay in the second-level cache."""


@kernel
def list_active(image, binary, height, width, channels, padding, positions, starts):
    """List the spikes of one image row by row, a count of k listed k times.

    positions[i] = x*C + c with x counted from the padded left edge; starts[y*(W+2p) + x] = the first at or after x.
    """
    n = 0
    source = 0
    place = 0
    padded = width + 2 * padding
    for y in range(-padding, height + padding):
        inside = 0 <= y < height
        for x in range(padded):
            starts[place] = n
            place += 1
            if inside and padding <= x < width + padding:
                base = x * channels
                if binary:
                    for c in range(channels):
                        positions[n] = base + c
                        n += np.int64(image[source + c])
                else:
                    for c in range(channels):
                        for _ in range(image[source + c]):
                            positions[n] = base + c
                            n += 1
                source += channels
    starts[place] = n


@kernel
def add_rows(total, weights, rows, n):
    """`total[:] = sum_i weights[rows[i]]`, four rows at a time."""
    outputs = total.shape[0]
    wide = total.dtype.type  # two int8 codes need not fit an int8
    for j in range(outputs):
        total[j] = 0
    whole = n // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = weights[rows[i]], weights[rows[i + 1]], weights[rows[i + 2]], weights[rows[i + 3]]
        for j in range(outputs):
            total[j] += (wide(a[j]) + wide(b[j])) + (wide(c[j]) + wide(d[j]))
    for i in range(whole, n):
        a = weights[rows[i]]
        for j in range(outputs):
            total[j] += a[j]


@kernel
def conv_forward(low, high, spikes, peak, weights, total, height, width, channels, size, stride, padding):
    """`total[m*Ho*Wo + y*Wo + x] = sum of the weight rows under the spikes of the window`, for images low..high-1.

    total: `[M*Ho*Wo, C_out]`, int16, int32 or float32 (the caller has shown that the sums fit).
    """
    padded = width + 2 * padding
    out_height = (height + 2 * padding - size) // stride + 1
    out_width = (padded - size) // stride + 1
    positions = np.empty(height * width * channels * peak + 1, np.int32)
    starts = np.empty((height + 2 * padding) * padded + 1, np.int32)
    rows = np.empty(size * size * channels * peak + 1, np.int32)
    for m in range(low, high):
        list_active(spikes[m], peak == 1, height, width, channels, padding, positions, starts)
        out = m * out_height * out_width
        for y in range(out_height):
            for x in range(out_width):
                n = 0
                left = x * stride
                for ky in range(size):
                    first = (y * stride + ky) * padded + left
                    shift = (ky * size - left) * channels
                    for i in range(starts[first], starts[first + size]):
                        rows[n] = positions[i] + shift
                        n += 1
                add_rows(total[out], weights, rows, n)
                out += 1


@kernel
def add_gradients(total, gradients, rows, first, last, offset):
    """`total[:] += sum_i gradients[rows[i] + offset]`, four rows at a time."""
    outputs = total.shape[0]
    whole = first + (last - first) // 4 * 4
    for i in range(first, whole, 4):
        a, b = gradients[rows[i] + offset], gradients[rows[i + 1] + offset]
        c, d = gradients[rows[i + 2] + offset], gradients[rows[i + 3] + offset]
        for j in range(outputs):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])
    for i in range(whole, last):
        a = gradients[rows[i] + offset]
        for j in range(outputs):
            total[j] += a[j]


@kernel
def list_by_channel(images, first, last, low, high, height, width, channels, size, ends, rows):
    """List the places of the spikes of channels low..high-1 in images first..last-1; channel c's end at ends[c - low].

    A place is the row of the padded gradients, counted from image `first`, at which the spike's window begins; a count
    of k is listed k times.
    """
    padded = width + size - 1
    area = (height + size - 1) * padded
    for c in range(high - low + 1):
        ends[c] = 0
    for m in range(first, last):
        for base in range(0, height * width * channels, channels):
            for c in range(low, high):
                ends[c - low + 1] += images[m, base + c]
    for c in range(high - low):
        ends[c + 1] += ends[c]
    for m in range(first, last):
        for y in range(height):
            for x in range(width):
                base = (y * width + x) * channels
                place = (m - first) * area + y * padded + x
                for c in range(low, high):
                    for _ in range(images[m, base + c]):
                        rows[ends[c - low]] = place
                        ends[c - low] += 1


@kernel
def conv_weight_gradient(low, high, spikes, peak, gradients, total, height, width, channels, size):
    """`total[(ky*k + kx)*C + ci] += sum over spikes (y, x, ci) of G[y + k-1-ky, x + k-1-kx]`, ci from low to high-1.

    gradients: `[M*(H+k-1)*(W+k-1), C_out]`, as `spread_gradient` lays them out. total: float32 `[k*k*C, C_out]`.
    Small images are taken several at a time, as many as keep their gradients in the cache.
    """
    padded = width + size - 1
    area = (height + size - 1) * padded
    group = max(1, CACHED // (area * gradients.shape[1]))
    rows = np.empty(group * height * width * (high - low) * peak + 1, np.int32)
    ends = np.empty(high - low + 1, np.int64)
    for m in range(0, spikes.shape[0], group):
        last = min(m + group, spikes.shape[0])
        list_by_channel(spikes, m, last, low, high, height, width, channels, size, ends, rows)
        begin = 0
        for c in range(low, high):
            end = ends[c - low]
            for ky in range(size):
                for kx in range(size):
                    offset = m * area + (size - 1 - ky) * padded + size - 1 - kx
                    add_gradients(total[(ky * size + kx) * channels + c], gradients, rows, begin, end, offset)
            begin = end


@kernel
def spread_gradient(
    low, high, gradient, total, by_gradient, by_total, constant, out, height, width, size, stride, padding
):
    """Batch norm's backward, laid out for the convolution's: `by_gradient*g + by_total*acc + constant` per channel.

    gradient, total: `[M*Ho*Wo, C_out]`. out: `[M*(H+k-1)*(W+k-1), C_out]`, zero but at (y*stride + k-1-p, ...).
    """
    padded_height, padded_width = height + size - 1, width + size - 1
    out_height = (height + 2 * padding - size) // stride + 1
    out_width = (width + 2 * padding - size) // stride + 1
    outputs = gradient.shape[1]
    corner = size - 1 - padding
    for m in range(low, high):
        for i in range(m * padded_height * padded_width, (m + 1) * padded_height * padded_width):
            out[i, :] = 0
        for y in range(out_height):
            for x in range(out_width):
                g = gradient[(m * out_height + y) * out_width + x]
                a = total[(m * out_height + y) * out_width + x]
                o = out[(m * padded_height + y * stride + corner) * padded_width + x * stride + corner]
                for j in range(outputs):
                    o[j] = by_gradient[j] * g[j] + by_total[j] * np.float32(a[j]) + constant[j]
