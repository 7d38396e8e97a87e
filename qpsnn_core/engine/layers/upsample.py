"""Upsample: each pixel of spikes, or of a current's accumulators, several times."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.windows import add_windows
from qpsnn_core.network.nodes import Upsample

init = nothing


class Cache(NamedTuple):
    """x: what was read, of a current its accumulators. parts: as of the LayerContext."""

    x: Array
    parts: int


def forward(node: Upsample, context: LayerContext, x: Array | Current) -> LayerOutput:
    """In the type of what is read; scale and shift of a current stay as they are."""
    given = x.acc if isinstance(x, Current) else x
    steps, batch, height, width, channels = given.shape
    factor = node.factor
    out = empty((steps, batch, height * factor, width * factor, channels), given.dtype)
    fine = out.reshape(steps, batch, height, factor, width, factor, channels)
    np.copyto(fine, given[:, :, :, None, :, None])
    value: Any = x._replace(acc=out) if isinstance(x, Current) else out
    return LayerOutput(value, Cache(given, context.parts), {})


def backward(node: Upsample, cache: Cache, gradient: Floats | CurrentGradient) -> Gradients:
    """Each pixel gets the sum of what its copies have."""
    array = gradient.array if isinstance(gradient, CurrentGradient) else gradient
    out, window = empty(cache.x.shape, np.float32), (node.factor, node.factor)
    fine = np.ascontiguousarray(array).reshape(-1, *array.shape[2:])
    add_windows(fine, window, window, out.reshape(-1, *out.shape[2:]))
    return Gradients((with_moments(out, cache.x, cache.parts) if isinstance(gradient, CurrentGradient) else out,), {})
