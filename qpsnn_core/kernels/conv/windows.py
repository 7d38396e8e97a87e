"""Windows of images as rows of a matrix, and a convolution of real numbers that takes them in the order of events."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.dense import panels_of_columns, through_panels

ROWS = 1024
"""Windows that are laid out at a time: enough to be fast, few enough to stay in the cache."""


def unfold(images: Array, size: int, stride: int, dtype: Any, *, by_column: bool = False) -> Array:
    """Every `size` x `size` window, each `stride`, of padded images [M, H, W, C] as a row [M*H'*W', size*size*C].

    A window goes row after row, or `by_column` column after column.
    """
    view = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))  # type: ignore[call-overload] # numpy 1.26 takes a tuple
    view = view[:, ::stride, ::stride]
    order = (5, 4, 3) if by_column else (4, 5, 3)
    return np.ascontiguousarray(view.transpose(0, 1, 2, *order), dtype).reshape(-1, size * size * images.shape[3])


def padded(images: Array, padding: int) -> Array:
    """Images [..., H, W, C] as [M, H + 2*padding, W + 2*padding, C], with zeros at the edges."""
    edge = (padding, padding)
    return np.pad(images.reshape(-1, *images.shape[-3:]), ((0, 0), edge, edge, (0, 0)))


def real_conv(images: Array, weights: Array, stride: int, out: Array) -> None:
    """`out[m*H'*W' + i] = (window i of image m) @ weights`: each sum goes column after column, as events do.

    images: padded, [M, H, W, C]. weights: float32 [k, k, C, C_out]. out: float32 [M*H'*W', C_out]. Where images are 0
    and 1, the bits are those of `conv_forward`.
    """
    size, area = len(weights), len(out) // len(images)
    panels = panels_of_columns(weights.swapaxes(0, 1).reshape(-1, weights.shape[-1]))
    for start, stop in _ranges(len(images), area):
        rows = unfold(images[start:stop], size, stride, np.float32, by_column=True)
        out[start * area : stop * area] = through_panels(rows, panels, weights.shape[-1])


def _ranges(images: int, area: int) -> list[tuple[int, int]]:
    """So many images at a time that their windows, `area` of each, are about ROWS."""
    step = max(1, ROWS // area)
    return [(start, min(start + step, images)) for start in range(0, images, step)]
