"""SelfAttention: spikes of queries, keys and values to a Current of integers; the gradient of each of the three."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.kernels.attention import HeadShape, attention_backward, attention_forward
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.attention import SelfAttention

init = nothing

MIN_CHUNK_HEADS = 16
"""Least number of heads, of all images and steps, in a chunk."""


class Cache(NamedTuple):
    """read: q, k and v, uint8 [T or 1, B, H, W, C]; None where no gradient is needed. scale: of the current."""

    read: tuple[Array, Array, Array] | None
    scale: np.float32


def forward(node: SelfAttention, context: LayerContext, query: Array, key: Array, value: Array) -> LayerOutput:
    """acc: A, int16 or int32 [T or 1, B, H, W, C_v]."""
    spikes = query, key, value
    steps = max(map(len, spikes))
    largest, shape = node.most(context.inputs[0]), _shape(node, spikes)
    acc = empty((steps, *spikes[2].shape[1:]), sum_type(largest))
    given = (*(_flat(one, steps) for one in spikes), acc.reshape(-1), shape)
    parallel_for(attention_forward, _heads(node, acc), MIN_CHUNK_HEADS, *given)
    channels = acc.shape[-1]
    scale = np.float32(node.scale * prod(one.scale for one in context.inputs))
    current = Current(acc, np.full(channels, scale, np.float32), np.zeros(channels, np.float32))
    return LayerOutput(current, Cache(spikes if context.needs_input_grad else None, scale), {})


def backward(node: SelfAttention, cache: Cache, gradient: CurrentGradient) -> Gradients:
    """dL/dq, dL/dk, dL/dv; of one that is the same at every step, its sum over T."""
    if cache.read is None:
        return Gradients((None, None, None), {})
    steps = len(gradient.array)
    out = tuple(empty((steps, *one.shape[1:]), np.float32) for one in cache.read)
    given = (*(_flat(one, steps) for one in cache.read), np.ascontiguousarray(gradient.array).reshape(-1), cache.scale)
    flat = tuple(one.reshape(-1) for one in out)
    work = (*given, flat, _shape(node, cache.read))
    parallel_for(attention_backward, _heads(node, gradient.array), MIN_CHUNK_HEADS, *work)
    same = zip(out, cache.read, strict=True)
    return Gradients(tuple(one if len(one) == len(read) else add_steps(one)[None] for one, read in same), {})


def _heads(node: SelfAttention, array: Floats | Array) -> int:
    return array.shape[0] * array.shape[1] * node.heads


def _shape(node: SelfAttention, spikes: tuple[Array, ...]) -> HeadShape:
    query, _, value = spikes
    tokens = query.shape[2] * query.shape[3]
    return HeadShape(tokens, node.heads, query.shape[4] // node.heads, value.shape[4] // node.heads)


def _flat(spikes: Array, steps: int) -> Array:
    """At every step, uint8."""
    full = spikes if len(spikes) == steps else np.broadcast_to(spikes, (steps, *spikes.shape[1:]))
    return np.ascontiguousarray(full, np.uint8).reshape(-1)
