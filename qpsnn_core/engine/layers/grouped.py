"""Convolutions in groups of channels, and with windows that are not square, by the kernels of those that are.

A window of any kind is laid out as one pixel, whose convolution is a product with its weights; a group is a convolution
of its own. Where each output reads one channel (depthwise), kernels of their own compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.quantized_weights import Weights, accumulator
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.depthwise import (
    DepthwiseGeometry,
    depthwise_forward,
    depthwise_inputs,
    depthwise_weights,
    lay_weights,
    whole,
)
from qpsnn_core.kernels.conv.geometry import AccGradient
from qpsnn_core.kernels.conv.windows import Window, gather, lay_out
from qpsnn_core.kernels.parts import Parts, add_in_order
from qpsnn_core.kernels.threads import parallel_for, parallel_map
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec


class Group(NamedTuple):
    """A plain convolution: its node, what it reads, and which channels of input and output are its own."""

    node: Conv
    value: ValueSpec
    inputs: slice
    outputs: slice


def groups_of(node: Conv, value: ValueSpec) -> list[Group]:
    """The groups of a node, each as a plain convolution: of its windows as pixels, where they are not square."""
    inputs, outputs = value.shape[2] // node.groups, node.channels // node.groups
    shape: tuple[int, int, int] = (*value.shape[:2], inputs)
    own = replace(node, channels=outputs, groups=1)
    if not own.plain:
        height, width, _ = node.output(value).shape
        shape = height, width, int(np.prod(node.weight_shape(value)[:3]))
        own = replace(own, kernel=1, stride=1, padding=0)
    return [
        Group(
            own, replace(value, shape=shape), slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
        )
        for g in range(node.groups)
    ]


def is_depthwise(node: Conv, value: ValueSpec) -> bool:
    """Whether each output channel reads one channel of several."""
    return value.shape[2] == node.groups > 1


def read(node: Conv, group: Group, x: Array) -> Array:
    """What a group reads of x [T or 1, B, H, W, C], as its plain convolution does."""
    own = np.ascontiguousarray(x[..., group.inputs])
    if node.square:
        return own
    out = empty((*x.shape[:2], *group.value.shape), x.dtype)
    lay_out(own.reshape(-1, *own.shape[2:]), *_window(node), out.reshape(-1, *out.shape[2:]))
    return out


def weights_of(group: Group, used: Weights) -> Weights:
    """A group's weights in the shape of its plain convolution."""
    codes = np.ascontiguousarray(used.codes[..., group.outputs]).reshape(group.node.weight_shape(group.value))
    return Weights(codes, used.step[group.outputs], used.gamma[group.outputs], used.bound)


def accumulated(
    node: Conv, value: ValueSpec, used: Weights, x: Array, plain: Callable[[Group, Weights, Array], Array]
) -> Array:
    """The sums of all groups, [T or 1, B, H', W', C_out]. plain: computes one."""
    if is_depthwise(node, value):
        return _depthwise(node, value, used, x)
    parts = [plain(group, weights_of(group, used), read(node, group, x)) for group in groups_of(node, value)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def weight_gradients(
    node: Conv,
    value: ValueSpec,
    x: Array,
    found: AccGradient,
    parts: Parts,
    plain: Callable[[Group, Array, AccGradient], Floats],
) -> Floats:
    """dL/dW_hat, [rows, columns, C_in / groups, C_out]. plain: that of one group."""
    shape = node.weight_shape(value)
    if is_depthwise(node, value):
        return _depthwise_weights(node, value, x, found, parts).reshape(shape)
    each = [
        plain(group, read(node, group, x), _columns(found, group)).reshape(*shape[:3], -1)
        for group in groups_of(node, value)
    ]
    return np.ascontiguousarray(np.concatenate(each, axis=-1))


def input_gradients(
    node: Conv,
    value: ValueSpec,
    used: Weights,
    found: AccGradient,
    shape: tuple[int, ...],
    plain: Callable[[Group, Array, AccGradient], Floats],
) -> Floats:
    """dL/dS of the shape of x. plain: that of one group, flat."""
    if is_depthwise(node, value):
        return _depthwise_inputs(node, value, used, found, shape)
    out = empty(shape, np.float32)
    images = out.reshape(-1, *shape[2:])
    for group in groups_of(node, value):
        share = plain(group, weights_of(group, used).codes, _columns(found, group))
        share = share.reshape(len(images), *group.value.shape)
        if node.square:
            images[..., group.inputs] = share
        else:
            own = empty((*images.shape[:3], group.inputs.stop - group.inputs.start), np.float32)
            gather(share, *_window(node), own)
            images[..., group.inputs] = own
    return out


def _columns(found: AccGradient, group: Group) -> AccGradient:
    """The gradient of a group's outputs."""
    return AccGradient(*(np.ascontiguousarray(array[..., group.outputs]) for array in found))


def _geometry(node: Conv, value: ValueSpec) -> DepthwiseGeometry:
    return DepthwiseGeometry.of(value.shape, node.output(value).shape, *_window(node))


def _window(node: Conv) -> Window:
    """Kernel, stride and padding, each (rows, columns)."""
    return both(node.kernel), both(node.stride), both(node.padding)


def _depthwise(node: Conv, value: ValueSpec, used: Weights, x: Array) -> Array:
    """Integers of integers and codes, else float32."""
    dtype = accumulator(used, value.magnitude)  # NumericsError where int32 does not hold the sums
    if not used.integer or value.magnitude is None:
        dtype = np.float32
    elif x.dtype != np.uint8:
        dtype = np.int32
    if dtype != np.int16:
        x = x.astype(dtype)
    out = empty((*x.shape[:2], *node.output(value).shape), dtype)
    images = np.ascontiguousarray(x).reshape(-1)
    given = images, lay_weights(used.codes, dtype), out.reshape(-1), _geometry(node, value)
    parallel_for(depthwise_forward, x.shape[0] * x.shape[1], 1, *given)
    return out


def _depthwise_weights(node: Conv, value: ValueSpec, x: Array, found: AccGradient, parts: Parts) -> Floats:
    """Each part goes step by step."""
    steps, batch = x.shape[:2]
    images = np.ascontiguousarray(x, x.dtype if x.dtype == np.uint8 else np.float32).reshape(-1)
    geometry = _geometry(node, value)
    shape = geometry.rows * geometry.columns, whole(geometry.outputs)

    def part(start: int, stop: int) -> Floats:
        sums = np.zeros(shape, np.float32)
        for first in range(0, steps * batch, batch):
            depthwise_weights(first + start, first + stop, images, found, sums.reshape(-1), geometry)
        return sums

    total = add_in_order(parallel_map(part, list(parts)))
    return np.ascontiguousarray(total[:, : geometry.outputs])


def _depthwise_inputs(
    node: Conv, value: ValueSpec, used: Weights, found: AccGradient, shape: tuple[int, ...]
) -> Floats:
    """Of each output's share in its channel; shares are added in their order."""
    geometry = _geometry(node, value)
    out = empty((*shape[:-1], geometry.outputs), np.float32)
    weights = lay_weights(used.codes, np.float32, turned=True)
    parallel_for(depthwise_inputs, shape[0] * shape[1], 1, found, weights, out.reshape(-1), geometry.back())
    times = geometry.outputs // geometry.channels
    total: Floats = add_in_order([out[..., share::times] for share in range(times)])
    return total
