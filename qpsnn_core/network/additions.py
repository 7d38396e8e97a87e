"""How many additions one spike causes in a synapse, by its place: a spike times this is a synaptic operation."""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Bools, Longs, Shape
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.synapses import Conv, Linear, Shortcut


def conv_reach(node: Conv, source: Shape, output: Shape, mask: Bools | None) -> Longs:
    """Of a tap and an input channel the outputs of its group, or those whose weight is not 0."""
    sizes = zip(source[:2], output[:2], both(node.kernel), both(node.stride), both(node.padding), strict=True)
    rows, columns = (_seen(*one) for one in sizes)
    shape = (*both(node.kernel), source[2] // node.groups, node.groups)
    outputs = node.channels // node.groups if mask is None else mask.reshape(*shape, -1).sum(-1)
    taps = np.broadcast_to(outputs, shape).swapaxes(2, 3).reshape(*shape[:2], -1)
    reach: Longs = np.einsum("ya,xb,abc->yxc", rows, columns, taps)
    return reach


def _seen(size: int, out: int, kernel: int, stride: int, padding: int) -> Longs:
    """Whether each position along one axis is seen by each tap of some window, 0 or 1, [size, kernel]."""
    start = np.arange(size)[:, None] + padding - np.arange(kernel)
    seen: Longs = ((start % stride == 0) & (start >= 0) & (start // stride < out)).astype(np.int64)
    return seen


def linear_reach(node: Linear, source: Shape, output: Shape, mask: Bools | None) -> Longs:
    """All outputs, or those whose weight is not 0."""
    outputs = output[2] if mask is None else mask.sum(-1)
    reach: Longs = np.broadcast_to(np.asarray(outputs), math.prod(source)).reshape(source)
    return reach


def shortcut_reach(node: Shortcut, source: Shape, output: Shape, mask: Bools | None) -> Longs:
    """The channels that take it, at every `stride`-th pixel."""
    reach = np.zeros(source, np.int64)
    used = [channel for channel in node.mapping(source[2]) if channel >= 0]
    reach[:: node.stride, :: node.stride] = np.bincount(np.array(used, np.int64), minlength=source[2])
    return reach


def attention_reach(node: SelfAttention, source: Shape, output: Shape, mask: Bools | None) -> Longs:
    """All tokens: a spike of q adds its channel of every k to a row of `q k^T`, one of v a column of that to a sum."""
    return np.full(source, source[0] * source[1], np.int64)


def masked_additions(
    window: tuple[int, int, int], shape: Shape, counts: Array, mask: Array | None, steps: int
) -> Longs:
    """Additions of a gated convolution for each of its sums, over images and all steps, int64 `shape` (H', W', C).

    counts: what it reads, behind its input gate, [T or 1, B, H, W, C]; a count of k is k additions, padding adds none.
    mask: of its sums, [T or 1, B, H' or 1, W' or 1, C or 1], None for all open. window: kernel, stride, padding,
    which are alike for rows and columns where there is a gate.
    """
    x = counts.sum(-1, dtype=np.int64)
    height, width, channels = shape
    size, stride, padding = window
    edge = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), edge, edge))
    seen = np.zeros((*x.shape[:2], height, width), np.int64)
    for ky in range(size):
        for kx in range(size):
            rows = slice(ky, ky + (height - 1) * stride + 1, stride)
            seen += padded[:, :, rows, kx : kx + (width - 1) * stride + 1 : stride]
    opened = np.ones((1, 1, 1, 1, 1), np.int64) if mask is None else mask.astype(np.int64)
    done = max(len(seen), len(opened))
    opened = np.broadcast_to(opened, (done, *seen.shape[1:2], *opened.shape[2:]))
    seen = np.broadcast_to(seen, (done, *seen.shape[1:]))
    total = np.zeros((height, width, channels), np.int64)
    for step in range(done):
        each = np.broadcast_to(opened[step], (*seen.shape[1:], opened.shape[4]))
        total += np.einsum("byx,byxc->yxc", seen[step], each)
    return total * (steps // done)
