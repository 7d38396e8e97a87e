"""Windows of images as rows of a matrix, and a convolution of real numbers that takes them in the order of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.dense import panels_of_columns, through_panels
from qpsnn_core.kernels.threads import parallel_for

Pair = tuple[int, int]
"""(rows, columns)."""

Window = tuple[Pair, Pair, Pair]
"""Kernel, stride and padding."""

ROWS = 1024
"""Windows that are laid out at a time: enough to be fast, few enough to stay in the cache."""


def unfold(images: Array, size: Pair, stride: Pair, dtype: Any, *, by_column: bool = False) -> Array:
    """Every window of that size, each `stride`, of padded images [M, H, W, C] as a row [M*H'*W', rows*columns*C].

    A window goes row after row, or `by_column` column after column.
    """
    view = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))  # type: ignore[call-overload] # numpy 1.26 takes a tuple
    view = view[:, :: stride[0], :: stride[1]]
    order = (5, 4, 3) if by_column else (4, 5, 3)
    return np.ascontiguousarray(view.transpose(0, 1, 2, *order), dtype).reshape(-1, size[0] * size[1] * images.shape[3])


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
        rows = unfold(images[start:stop], (size, size), (stride, stride), np.float32, by_column=True)
        out[start * area : stop * area] = through_panels(rows, panels, weights.shape[-1])


def _ranges(images: int, area: int) -> list[tuple[int, int]]:
    """So many images at a time that their windows, `area` of each, are about ROWS."""
    step = max(1, ROWS // area)
    return [(start, min(start + step, images)) for start in range(0, images, step)]


def lay_out(images: Array, kernel: Pair, stride: Pair, padding: Pair, out: Array) -> None:
    """Each window of images [M, H, W, C] as one pixel: `out[m, y, x]` is (ky, kx, c), row after row, 0 beyond the edge.

    out: [M, Ho, Wo, rows*columns*C], of the images' type. A convolution of any window is one of one pixel of it.
    """
    channels = images.shape[3]
    taps = list(_taps(images.shape[1:3], out.shape[1:3], kernel, stride, padding))

    def part(start: int, stop: int) -> None:
        out[start:stop] = 0
        for tap, here, there in taps:
            of_tap = slice(tap * channels, (tap + 1) * channels)
            out[start:stop, here[0], here[1], of_tap] = images[start:stop, there[0], there[1]]

    parallel_for(part, len(images), 1)


def gather(windows: Array, kernel: Pair, stride: Pair, padding: Pair, out: Array) -> None:
    """The transpose of `lay_out`: each pixel of `out` [M, H, W, C] is the sum of what stands for it, tap after tap."""
    channels = out.shape[3]
    taps = list(_taps(out.shape[1:3], windows.shape[1:3], kernel, stride, padding))

    def part(start: int, stop: int) -> None:
        out[start:stop] = 0
        for tap, here, there in taps:
            of_tap = slice(tap * channels, (tap + 1) * channels)
            out[start:stop, there[0], there[1]] += windows[start:stop, here[0], here[1], of_tap]

    parallel_for(part, len(out), 1)


def _taps(
    shape: Sequence[int], out: Sequence[int], kernel: Pair, stride: Pair, padding: Pair
) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
    """Of each tap: the windows that see a pixel through it, and the pixels that they see, (rows, columns)."""
    rows, columns = kernel
    for ky in range(rows):
        for kx in range(columns):
            places = zip((ky, kx), shape, out, stride, padding, strict=True)
            (up, above), (side, beside) = (_seen(*place) for place in places)
            yield ky * columns + kx, (up, side), (above, beside)


def _seen(tap: int, size: int, out: int, stride: int, padding: int) -> tuple[slice, slice]:
    first = max(0, -(-(padding - tap) // stride))
    count = max(0, min(out - 1, (size - 1 + padding - tap) // stride) - first + 1)
    begin = first * stride + tap - padding
    return slice(first, first + count), slice(begin, begin + count * stride, stride)


def add_windows(images: Array, kernel: Pair, stride: Pair, out: Array) -> None:
    """`out[m, y, x]` [M, Ho, Wo, C] is the sum of each window of images [M, H, W, C], tap after tap."""
    taps = list(_taps(images.shape[1:3], out.shape[1:3], kernel, stride, (0, 0)))

    def part(start: int, stop: int) -> None:
        out[start:stop] = 0
        for _, here, there in taps:
            out[start:stop, here[0], here[1]] += images[start:stop, there[0], there[1]]

    parallel_for(part, len(images), 1)


def spread_windows(sums: Array, kernel: Pair, stride: Pair, out: Array) -> None:
    """The transpose of `add_windows`: each pixel of `out` is the sum of what its windows have, tap after tap."""
    taps = list(_taps(out.shape[1:3], sums.shape[1:3], kernel, stride, (0, 0)))

    def part(start: int, stop: int) -> None:
        out[start:stop] = 0
        for _, here, there in taps:
            out[start:stop, there[0], there[1]] += sums[start:stop, here[0], here[1]]

    parallel_for(part, len(out), 1)
