"""Shortcut: spikes as a current, subsampled, each output channel from its source channel or none."""

from __future__ import annotations

import numpy as np

from qpsnn_core.layers.base import Array, Back, Call, Current, Floats, Output, nothing
from qpsnn_core.network.synapses import Shortcut

init = nothing


def forward(node: Shortcut, call: Call, x: Array) -> Output:
    """acc: the mapped counts, int16 (int32 where they could be larger); its scale is the spikes'."""
    value = call.inputs[0]
    chosen, placed = _map(node, value.shape[2])
    seen = x[:, :, :: node.stride, :: node.stride]
    acc = np.zeros((*seen.shape[:-1], node.channels), np.int16 if (value.peak or 1) < 2**15 else np.int32)
    acc[..., placed] = seen[..., chosen]
    scale = np.full(node.channels, value.scale, np.float32)
    return Output(Current(acc, scale, np.zeros(node.channels, np.float32)), (x.shape, value.scale, call.wanted), {})


def backward(node: Shortcut, cache: tuple[tuple[int, ...], float, bool], gradient: Floats) -> Back:
    """The gradient goes back along the map, times the scale of a spike."""
    shape, scale, wanted = cache
    if not wanted:
        return Back((None,), {})
    chosen, placed = _map(node, shape[-1])
    out = np.zeros(shape, np.float32)
    seen = out[:, :, :: node.stride, :: node.stride]
    for place, source in zip(placed, chosen, strict=True):
        seen[..., source] += gradient[..., place] * np.float32(scale)
    return Back((out,), {})


def _map(node: Shortcut, inputs: int) -> tuple[Array, Array]:
    mapping = np.array(node.mapping(inputs))
    placed = np.flatnonzero(mapping >= 0)
    return mapping[placed], placed
