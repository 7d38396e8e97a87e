"""How many additions one spike causes in a synapse, by its place: a spike times this is a synaptic operation."""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Bools, Longs, Shape
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
