"""Windows of images as rows of a matrix, and a convolution that multiplies them through BLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.threads import parallel_map

ROWS = 1024
"""Windows that are laid out at a time for BLAS: enough to be fast, few enough to stay in the cache."""


def unfold(images: Array, size: int, stride: int, dtype: Any) -> Array:
    """Every `size` x `size` window, each `stride`, of padded images [M, H, W, C] as a row [M*H'*W', size*size*C]."""
    view = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))  # type: ignore[call-overload] # numpy 1.26 takes a tuple
    view = view[:, ::stride, ::stride]
    return np.ascontiguousarray(view.transpose(0, 1, 2, 4, 5, 3), dtype).reshape(-1, size * size * images.shape[3])


def padded(images: Array, padding: int) -> Array:
    """Images [..., H, W, C] as [M, H + 2*padding, W + 2*padding, C], with zeros at the edges."""
    edge = (padding, padding)
    return np.pad(images.reshape(-1, *images.shape[-3:]), ((0, 0), edge, edge, (0, 0)))


def dense_conv(images: Array, weights: Array, size: int, stride: int, out: Array) -> None:
    """`out[m*H'*W' + i] = (window i of image m) @ weights`, in the weights' float; the same on any number of threads.

    images: padded, [M, H, W, C]. weights: float32 or float64 [size*size*C, C_out]. out: [M*H'*W', C_out], of the
    weights' type, or of an integer type, for which every sum must be an integer that both types hold.
    """
    area = len(out) // len(images)
    step = max(1, ROWS // area)

    def part(start: int, stop: int) -> None:
        rows = unfold(images[start:stop], size, stride, weights.dtype)
        where = out[start * area : stop * area]
        if out.dtype == weights.dtype:
            np.dot(rows, weights, out=where)
        else:
            where[...] = rows @ weights

    parallel_map(part, [(start, min(start + step, len(images))) for start in range(0, len(images), step)])
