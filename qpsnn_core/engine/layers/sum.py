"""Sum: spikes added element by element (SEW's ADD), or currents, which are then multiplied out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.batch_norm import DeferredGradient
from qpsnn_core.engine.layers.currents import added, as_current
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Sum

init = nothing


class Cache(NamedTuple):
    """lengths: of each source, in steps. accs: the accumulators of currents, none of spikes. parts: the context's."""

    lengths: tuple[int, ...]
    accs: tuple[Array, ...]
    parts: int


def forward(node: Sum, context: LayerContext, *values: Any) -> LayerOutput:
    """Counts [T, B, H, W, C]; of currents `added`."""
    if isinstance(values[0], Current):
        accs = tuple(one.acc for one in values)
        return LayerOutput(as_current(added(values)), Cache(tuple(map(len, accs)), accs, context.parts), {})
    shape = np.broadcast_shapes(*(value.shape for value in values))
    out = np.zeros(shape, count_type(node.output(*context.inputs).max_count))
    for value in values:
        out += value
    return LayerOutput(out, Cache(tuple(map(len, values)), (), context.parts), {})


def backward(node: Sum, cache: Cache, gradient: Floats | CurrentGradient) -> Gradients:
    """Every input gets the gradient; one that is the same at every step, its sum over T."""
    array = gradient.array if isinstance(gradient, CurrentGradient) else gradient
    given = {n: array if n == len(array) else add_steps(array)[None] for n in cache.lengths}
    shares = [given[n] for n in cache.lengths]
    if not isinstance(gradient, CurrentGradient):
        return Gradients(tuple(shares), {})
    pairs = zip(shares, cache.accs, strict=True)
    return Gradients(tuple(DeferredGradient(share, acc, cache.parts) for share, acc in pairs), {})
