"""MaxPool and AvgPool over spike counts, images and currents; the average is kept as its integer sum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Bools, Floats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.windows import add_windows, spread_windows
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.extreme_pool import extreme_backward, extreme_forward
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


class Cache(NamedTuple):
    """x: what was read, of a current its accumulator; turned: the channels of negative scale, None of no current.

    parts: as of the LayerContext.
    """

    x: Array
    turned: Bools | None
    parts: int


def max_pool(node: MaxPool, context: LayerContext, x: Array | Current) -> LayerOutput:
    """The largest of each window; of a current, the accumulator of the largest, or the least where its scale is < 0."""
    values, turned = (x.acc, x.scale < 0) if isinstance(x, Current) else (x, None)
    if _plain(node, values, turned):
        images, out = _images(values), _empty(node, context, values, values.dtype)
        parallel_for(max_forward, len(images), 1, images, _images(out), node.size, node.step, node.padding)
    else:
        given = _signed(values)
        signed = _empty(node, context, given, given.dtype)
        signs = np.zeros(given.shape[-1], np.bool_) if turned is None else turned
        images = _images(given)
        parallel_for(extreme_forward, len(images), 1, images, signs, _images(signed), _window(node))
        out = signed if turned is not None else signed.astype(values.dtype)
    pooled: Any = x._replace(acc=out) if isinstance(x, Current) else out
    kept = Cache(values, turned, context.parts) if _learns(context) or turned is not None else None
    return LayerOutput(pooled, kept, {})


def max_pool_back(node: MaxPool, cache: Cache | None, gradient: Floats | CurrentGradient) -> Gradients:
    """Each window's gradient goes to its first largest value, as in PyTorch."""
    if cache is None:
        return Gradients((None,), {})
    x, turned, parts = cache
    given = gradient.array if isinstance(gradient, CurrentGradient) else gradient
    out = empty(x.shape, np.float32)
    if _plain(node, x, turned):
        images = _images(x)
        args = (images, _images(given), _images(out), node.size)
        if node.step == node.size and not node.padding:
            parallel_for(apart_backward, len(images), 1, *args)
        else:
            out[...] = 0
            parallel_for(max_backward, len(images), 1, *args, node.step, node.padding)
    else:
        images = _images(_signed(x))
        signs = np.zeros(x.shape[-1], np.bool_) if turned is None else turned
        window = _window(node)
        parallel_for(extreme_backward, len(images), 1, images, signs, _images(given), _images(out), window)
    return Gradients((out if turned is None else with_moments(out, x, parts),), {})


def avg_pool(node: AvgPool, context: LayerContext, x: Array | Current) -> LayerOutput:
    """The sum of each window; 1/area is in the value's scale. Raises NumericsError (sums beyond int32)."""
    if isinstance(x, Current):
        acc = _summed(node, context, x.acc)
        pooled = Current(acc, x.scale * np.float32(1 / node.area), x.shift)
        return LayerOutput(pooled, Cache(x.acc, x.scale < 0, context.parts), {})
    kept = Cache(x, None, context.parts) if _learns(context) else None
    if not _plain(node, x, None):
        real = x.dtype.kind == "f"
        out = _empty(node, context, x, np.float32 if real else _sum_type(node, context))
        add_windows(_images(x if real else x.astype(out.dtype)), both(node.size), both(node.step), _images(out))
        return LayerOutput(out, kept, {})
    images, out = _images(x), _empty(node, context, x, _sum_type(node, context))
    parallel_for(sum_forward, len(images), 1, images, _images(out), node.size, node.step)
    return LayerOutput(out, kept, {})


def avg_pool_back(node: AvgPool, cache: Cache | None, gradient: Floats | CurrentGradient) -> Gradients:
    """Every pixel of a window gets its gradient, of a current its share; of windows that overlap, their sum."""
    if cache is None:
        return Gradients((None,), {})
    out = empty(cache.x.shape, np.float32)
    if isinstance(gradient, CurrentGradient):
        share = gradient.array * np.float32(1 / node.area)
        spread_windows(_images(share), both(node.size), both(node.step), _images(out))
        return Gradients((with_moments(out, cache.x, cache.parts),), {})
    images = _images(gradient)
    if not _plain(node, cache.x, None):
        spread_windows(images, both(node.size), both(node.step), _images(out))
    elif node.step == node.size:
        parallel_for(sum_backward, len(images), 1, images, _images(out), node.size)
    else:
        out[...] = 0
        parallel_for(slid_sum_backward, len(images), 1, images, _images(out), node.size, node.step)
    return Gradients((out,), {})


def _learns(context: LayerContext) -> bool:
    """Whether the gradient of what is read is needed; of an image it never is."""
    return context.needs_input_grad and context.inputs[0].kind != "analog"


def _plain(node: MaxPool | AvgPool, x: Array, turned: Bools | None) -> bool:
    """Whether the kernels for counts and square windows take it."""
    sizes = node.size, node.stride, getattr(node, "padding", 0)
    return turned is None and x.dtype.kind == "u" and not any(isinstance(size, tuple) for size in sizes)


def _summed(node: AvgPool, context: LayerContext, acc: Array) -> Array:
    """The accumulators of each window added up, int32 or float32."""
    real = acc.dtype.kind == "f"
    if not real and acc.dtype.itemsize > 2:
        largest = node.area * max(int(acc.max(initial=0)), -int(acc.min(initial=0)))
        if largest >= 2**31:
            want = "sums of a window's accumulators below 2**31"
            raise NumericsError(expected("window", want, Unquoted(f"up to {largest}")))
    out = _empty(node, context, acc, np.float32 if real else np.int32)
    add_windows(_images(acc), both(node.size), both(node.step), _images(out))
    return out


def _signed(x: Array) -> Array:
    """Numbers as the kernels for any sign take them: int32, int64 where that does not hold them, or float32."""
    if x.dtype.kind == "f":
        return x
    return x.astype(np.int64 if x.dtype == np.uint32 else np.int32)


def _sum_type(node: AvgPool, context: LayerContext) -> Any:
    value = node.output(context.inputs[0])
    return np.int32 if value.low < 0 else count_type(value.max_count)


def _window(node: MaxPool) -> tuple[int, ...]:
    return (*both(node.size), *both(node.step), *both(node.padding))


def _empty(node: MaxPool | AvgPool, context: LayerContext, x: Array, dtype: Any) -> Array:
    return empty((*x.shape[:2], *node.output(context.inputs[0]).shape), dtype)


def _images(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1, *x.shape[2:])
