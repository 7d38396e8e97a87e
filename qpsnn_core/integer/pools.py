"""The pools of an integer network: of counts, of images and of currents."""

from __future__ import annotations

from functools import partial

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array
from qpsnn_core.integer.nodes import IntMaxPool, IntSumPool
from qpsnn_core.integer.step import IntCurrent, OperationContext, Step
from qpsnn_core.kernels.conv.windows import add_windows
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.extreme_pool import extreme_forward
from qpsnn_core.kernels.pool import max_forward, sum_forward
from qpsnn_core.kernels.threads import parallel_for


def max_pool(node: IntMaxPool, context: OperationContext, value: Array | IntCurrent) -> Step:
    """The largest of each window; of a current, of accumulators where its gain is positive, else the least."""
    x, turned = (value.acc, value.gain < 0) if isinstance(value, IntCurrent) else (value, None)
    out = context.room((*x.shape[:2], *context.gives.shape), x.dtype)
    images, pooled = _maps(x), _maps(out)
    if turned is None and x.dtype.kind == "u" and _square(node):
        run = partial(parallel_for, max_forward, len(images), 1, images, pooled, node.size, node.stride, node.padding)
        return Step(out, run)
    signs = np.zeros(x.shape[-1], np.bool_) if turned is None else turned
    window = (*both(node.size), *both(node.stride), *both(node.padding))
    dtype = np.int64 if x.dtype == np.uint32 else np.int32
    given, found = context.room(images.shape, dtype), context.room(pooled.shape, dtype)

    def extreme() -> None:
        given[...] = images
        parallel_for(extreme_forward, len(images), 1, given, signs, found, window)
        pooled[...] = found

    return Step(IntCurrent(out, value.gain) if isinstance(value, IntCurrent) else out, extreme)


def sum_pool(node: IntSumPool, context: OperationContext, value: Array | IntCurrent) -> Step:
    """The sum of each window, of a current of its accumulators."""
    x = value.acc if isinstance(value, IntCurrent) else value
    counts = context.gives.kind == "counts"
    dtype = count_type(context.gives.max_count) if counts else np.int32
    out = context.room((*x.shape[:2], *context.gives.shape), dtype)
    images, pooled = _maps(x), _maps(out)
    if counts and _square(node):
        return Step(out, partial(parallel_for, sum_forward, len(images), 1, images, pooled, node.size, node.step))
    wide = images if images.dtype == dtype else context.room(images.shape, dtype)

    def add() -> None:
        if wide is not images:
            wide[...] = images
        add_windows(wide, both(node.size), both(node.step), pooled)

    return Step(IntCurrent(out, value.gain) if isinstance(value, IntCurrent) else out, add)


def _square(node: IntMaxPool | IntSumPool) -> bool:
    return not any(isinstance(size, tuple) for size in (node.size, node.step, getattr(node, "padding", 0)))


def _maps(x: Array) -> Array:
    return x.reshape(-1, *x.shape[2:])
