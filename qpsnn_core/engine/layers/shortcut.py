"""Shortcut: spikes as a current, subsampled, each output channel from its source channel or none."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.types import Array
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.network.synapses import Shortcut, neighbours

init = nothing


def forward(node: Shortcut, context: LayerContext, x: Array) -> LayerOutput:
    """acc: the mapped counts, in their own type, itself where nothing changes; its scale is the spikes'."""
    value = context.inputs[0]
    chosen, placed = _map(node, value.shape[2])
    seen = x[:, :, :: node.stride, :: node.stride]
    if len(chosen) == value.shape[2] == node.channels and (chosen == placed).all():
        acc = np.ascontiguousarray(seen)
    else:
        acc = np.zeros((*seen.shape[:-1], node.channels), x.dtype)
        acc[..., neighbours(placed)] = seen[..., neighbours(chosen)]
    scale = np.full(node.channels, value.scale, np.float32)
    return LayerOutput(
        Current(acc, scale, np.zeros(node.channels, np.float32)), (x.shape, value.scale, context.needs_input_grad), {}
    )


def backward(node: Shortcut, cache: tuple[tuple[int, ...], float, bool], gradient: CurrentGradient) -> Gradients:
    """The gradient goes back along the map, times the scale of a spike."""
    shape, scale, needs_input_grad = cache
    if not needs_input_grad:
        return Gradients((None,), {})
    chosen, placed = _map(node, shape[-1])
    array = gradient.array if scale == 1 else gradient.array * np.float32(scale)
    if array.shape == shape and len(chosen) == shape[-1] and (chosen == placed).all():
        return Gradients((array,), {})
    out = np.zeros(shape, np.float32)
    seen = out[:, :, :: node.stride, :: node.stride]
    if len(set(chosen.tolist())) == len(chosen):
        seen[..., neighbours(chosen)] = array[..., neighbours(placed)]
    else:
        for place, source in zip(placed, chosen, strict=True):
            seen[..., source] += array[..., place]
    return Gradients((out,), {})


def _map(node: Shortcut, inputs: int) -> tuple[Array, Array]:
    """The source channels, and the output channels that they go to."""
    mapping = np.array(node.mapping(inputs))
    placed = np.flatnonzero(mapping >= 0)
    return mapping[placed], placed
