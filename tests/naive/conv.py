"""Loops-only twins of the convolution kernels: the equations on `[M, H, W, C]` arrays, one number at a time.

Sums are Python integers for integer weights and Python floats (64 bits) for real ones, so they never overflow and lose
almost nothing.
"""

from __future__ import annotations

import numpy as np


def out_size(size, kernel, stride, padding):
    """How many windows fit along one edge."""
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def taps(shape, kernel, stride, padding):
    """Every (m, y, x, ky, kx, row, column): the window at (y, x) looks at pixel (row, column) through (ky, kx)."""
    images, height, width = shape
    for m in range(images):
        for y in range(out_size(height, kernel, stride, padding)):
            for x in range(out_size(width, kernel, stride, padding)):
                for ky in range(kernel):
                    for kx in range(kernel):
                        row, column = y * stride + ky - padding, x * stride + kx - padding
                        if 0 <= row < height and 0 <= column < width:
                            yield m, y, x, ky, kx, row, column


def forward(spikes, weight, stride, padding):
    """`acc[m, y, x, o] = sum_{ky,kx,i} W[ky, kx, i, o] * S[m, y*stride + ky - padding, x*stride + kx - padding, i]`."""
    kernel, _, inputs, outputs = weight.shape
    height, width = (out_size(size, kernel, stride, padding) for size in spikes.shape[1:3])
    acc = np.zeros((len(spikes), height, width, outputs), object)
    for m, y, x, ky, kx, row, column in taps(spikes.shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                acc[m, y, x, o] += weight[ky, kx, i, o].item() * spikes[m, row, column, i].item()
    return acc.astype(np.int64 if weight.dtype.kind == "i" else np.float64)


def weight_gradient(spikes, gradient, kernel, stride, padding):
    """`dW[ky, kx, i, o] = sum_{m,y,x} S[m, row, column, i] * g[m, y, x, o]`, float64."""
    inputs, outputs = spikes.shape[3], gradient.shape[3]
    total = np.zeros((kernel, kernel, inputs, outputs))
    for m, y, x, ky, kx, row, column in taps(spikes.shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                total[ky, kx, i, o] += spikes[m, row, column, i].item() * gradient[m, y, x, o].item()
    return total


def input_gradient(weight, gradient, shape, stride, padding):
    """`dS[m, row, column, i] = sum_{y,x,ky,kx,o} W[ky, kx, i, o] * g[m, y, x, o]`, float64; shape: that of S."""
    kernel, _, inputs, outputs = weight.shape
    total = np.zeros(shape)
    for m, y, x, ky, kx, row, column in taps(shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                total[m, row, column, i] += weight[ky, kx, i, o].item() * gradient[m, y, x, o].item()
    return total


def spread(gradient, acc, by_gradient, by_acc, constant, shape, kernel, stride, padding):
    """`by_gradient*g + by_acc*acc + constant` at (y*stride + kernel-1-padding, x*stride + ...), else 0; float64."""
    images, height, width = shape
    corner = kernel - 1 - padding
    total = np.zeros((images, height + kernel - 1, width + kernel - 1, gradient.shape[3]))
    for m, y, x, o in np.ndindex(gradient.shape):
        value = by_gradient[o].item() * gradient[m, y, x, o].item() + by_acc[o].item() * acc[m, y, x, o].item()
        total[m, y * stride + corner, x * stride + corner, o] = value + constant[o].item()
    return total


def active(image, padding):
    """`(positions, starts)` of one image [H, W, C]: its spikes row by row, and where each padded pixel's begin."""
    height, width, channels = image.shape
    positions, starts = [], []
    for y in range(-padding, height + padding):
        for x in range(width + 2 * padding):
            starts.append(len(positions))
            if 0 <= y < height and 0 <= x - padding < width:
                for c in range(channels):
                    positions += [x * channels + c] * image[y, x - padding, c].item()
    return positions, [*starts, len(positions)]


def by_channel(images, low, high, kernel):
    """For each channel from low to high-1, the rows of the padded gradients at which its spikes' windows begin."""
    count, height, width, _ = images.shape
    padded_height, padded_width = height + kernel - 1, width + kernel - 1
    return [
        [
            (m * padded_height + y) * padded_width + x
            for m in range(count)
            for y in range(height)
            for x in range(width)
            for _ in range(images[m, y, x, c].item())
        ]
        for c in range(low, high)
    ]


def sum_of_rows(table, rows):
    """`sum_i table[rows[i]]`, per column, in Python numbers."""
    return [sum(table[row, column].item() for row in rows) for column in range(table.shape[1])]
