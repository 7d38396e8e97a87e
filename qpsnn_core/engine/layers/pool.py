"""MaxPool and AvgPool over spike counts; the average is kept as its integer sum."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.pool import (
    apart_backward,
    max_backward,
    max_forward,
    slid_sum_backward,
    sum_backward,
    sum_forward,
)
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.nodes import AvgPool, MaxPool

init = nothing


def max_pool(node: MaxPool, context: LayerContext, x: Array) -> LayerOutput:
    """The largest count of each window."""
    images, out = _images(x), _empty(node, context, x)
    parallel_for(max_forward, len(images), 1, images, _images(out), node.size, node.step, node.padding)
    return LayerOutput(out, x if context.needs_input_grad else None, {})


def max_pool_back(node: MaxPool, x: Array | None, gradient: Floats) -> Gradients:
    """Each window's gradient goes to its first largest count, as in PyTorch."""
    if x is None:
        return Gradients((None,), {})
    out, images = empty(x.shape, np.float32), _images(x)
    given = (images, _images(gradient), _images(out), node.size)
    if node.step == node.size and not node.padding:
        parallel_for(apart_backward, len(images), 1, *given)
    else:
        out[...] = 0
        parallel_for(max_backward, len(images), 1, *given, node.step, node.padding)
    return Gradients((out,), {})


def avg_pool(node: AvgPool, context: LayerContext, x: Array) -> LayerOutput:
    """The sum of each window; 1/size**2 is in the value's scale."""
    images, out = _images(x), _empty(node, context, x)
    parallel_for(sum_forward, len(images), 1, images, _images(out), node.size, node.step)
    return LayerOutput(out, x.shape if context.needs_input_grad else None, {})


def avg_pool_back(node: AvgPool, shape: tuple[int, ...] | None, gradient: Floats) -> Gradients:
    """Every pixel of a window gets its gradient; of windows that overlap, their sum."""
    if shape is None:
        return Gradients((None,), {})
    out, images = empty(shape, np.float32), _images(gradient)
    if node.step == node.size:
        parallel_for(sum_backward, len(images), 1, images, _images(out), node.size)
    else:
        out[...] = 0
        parallel_for(slid_sum_backward, len(images), 1, images, _images(out), node.size, node.step)
    return Gradients((out,), {})


def _empty(node: MaxPool | AvgPool, context: LayerContext, x: Array) -> Array:
    value = node.output(context.inputs[0])
    return empty((*x.shape[:2], *value.shape), count_type(value.max_count))


def _images(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1, *x.shape[2:])
