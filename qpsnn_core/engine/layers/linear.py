"""Linear: a product of counts and codes, exact; of real numbers, in one order. Its gradients are a convolution's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, NamedFloats
from qpsnn_core.engine.layers import batch_norm
from qpsnn_core.engine.layers.base import CurrentGradient, Gradients, LayerContext, LayerOutput, rows
from qpsnn_core.engine.layers.conv_gradients import input_gradient, weight_sums
from qpsnn_core.engine.layers.quantized_weights import Weights, accumulator, used_weights, weight_gradient
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.dense import multiply, multiply_parts
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.conv.integers import Product, integer_conv
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import Parts, parts_of
from qpsnn_core.network.synapses import Linear
from qpsnn_core.network.values import ValueSpec


class Cache(NamedTuple):
    """x: the input [T or 1, B, H, W, C]; acc: the accumulator [T or 1, B, 1, 1, features]."""

    x: Array
    acc: Array
    weights: Weights
    affine: batch_norm.Affine
    context: LayerContext


def init(node: Linear, inputs: tuple[ValueSpec, ...], rng: np.random.Generator) -> tuple[NamedFloats, NamedFloats]:
    """`N(0, gain / sqrt(fan-in))`, or `N(0, 0.01)` as the paper's classifier."""
    params, state = batch_norm.init(node)
    shape = node.weight_shape(inputs[0])
    deviation = node.gain / np.sqrt(shape[0]) if node.gain else 0.01
    return {"weight": rng.normal(0, deviation, shape).astype(np.float32), **params}, state


def forward(node: Linear, context: LayerContext, x: Array) -> LayerOutput:
    """`acc[o] = sum_i codes[i, o]*S[i]`, i over (H, W, C)."""
    value = context.inputs[0]
    used = used_weights(context.params["weight"], node.quantizer, context.state.get("gamma"))
    if used.integer and value.magnitude:
        acc = _of_counts(used, value.magnitude, _flat(x))
    else:
        acc = multiply(_flat(x), used.codes)
    acc = acc.reshape(*x.shape[:2], 1, 1, node.features)
    current, affine, state = batch_norm.forward(acc, used.step * np.float32(value.scale), context)
    return LayerOutput(current, Cache(x, acc, used, affine, context), state)


def backward(node: Linear, cache: Cache, gradient: CurrentGradient) -> Gradients:
    """`dW = S^T g`, event by event where inputs are 0 or 1; `dS = g W_hat^T`: as of a convolution of one pixel."""
    context, value, x = cache.context, cache.context.inputs[0], cache.x
    geometry = ConvGeometry.of((1, 1, x[0, 0].size), node.features, 1)
    params, factors = batch_norm.backward(cache.affine, gradient, cache.acc.size // node.features, context.params)
    factors *= np.float32(value.scale)
    found = AccGradient(rows(gradient.array), rows(cache.acc), factors)
    parts = parts_of(x.shape[1], context.parts)
    if value.kind == "spikes" and value.max_count == 1:
        raw = weight_sums(geometry, 1, x.reshape(*x.shape[:2], 1, 1, -1), found, parts)
    else:
        raw = _dense_weight_gradient(x, cache.acc, found, parts)
    params["weight"] = weight_gradient(raw, context.params["weight"], cache.weights, node)
    if not context.needs_input_grad or value.kind == "analog":
        return Gradients((None,), params)
    factors *= cache.weights.step
    return Gradients((input_gradient(geometry, cache.weights.codes, found).reshape(x.shape),), params)


def _dense_weight_gradient(x: Array, acc: Array, acc_gradient: AccGradient, parts: Parts) -> Array:
    """`S^T g` where few inputs are 0, as of images and of counts: `[inputs, features]`; samples go step by step."""
    gradient, _, factors = acc_gradient
    back = factors[0] * gradient.reshape(acc.shape) + factors[1] * acc.astype(np.float32) + factors[2]
    steps, batch = x.shape[:2]
    left = x.reshape(steps, batch, -1).transpose(2, 1, 0).reshape(-1, batch * steps)
    right = back.reshape(steps, batch, -1).swapaxes(0, 1).reshape(batch * steps, -1)
    return np.ascontiguousarray(multiply_parts(left, right, np.array(parts) * steps))


def _of_counts(used: Weights, magnitude: int, counts: Array) -> Array:
    """int32 [M, features]: a convolution of images of one pixel, with all counts (or signed integers) as channels."""
    accumulator(used, magnitude)  # NumericsError where int32 does not hold the sums
    inputs, features = used.codes.shape
    acc = empty((len(counts), features), np.int32)
    geometry = ConvGeometry.of((1, 1, inputs), features, 1)
    integers = np.ascontiguousarray(counts if counts.dtype.kind in "iu" else counts.astype(count_type(magnitude)))
    product = Product(used.codes.reshape(1, 1, inputs, features), magnitude, geometry)
    integer_conv(product, integers.reshape(-1), acc.reshape(-1))
    return acc


def _flat(x: Array) -> Array:
    return x.reshape(x.shape[0] * x.shape[1], -1)
