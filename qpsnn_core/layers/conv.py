"""Conv: integer accumulators from codes and spikes; images go through BLAS, exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.conv import conv_forward, conv_weight_gradient, spread_gradient
from qpsnn_core.kernels.parallel import chunks, each
from qpsnn_core.layers import batch_norm
from qpsnn_core.layers.base import Array, Back, Call, Floats, Named, Output, rows
from qpsnn_core.layers.weights import Weights, accumulator, exact_float, weight_gradient, weights
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import Value

ROWS = 1024
"""Rows of a product with BLAS: enough to be fast, few enough to stay in the cache."""


class Cache(NamedTuple):
    """x: the input [T or 1, B, H, W, C]; acc: the accumulator [T or 1, B, H', W', C_out]."""

    x: Array
    acc: Array
    weights: Weights
    affine: batch_norm.Affine
    call: Call


def init(node: Conv, inputs: tuple[Value, ...], rng: np.random.Generator) -> tuple[Named, Named]:
    """Kaiming normal, fan-out: `N(0, sqrt(2 / (k*k*C_out)))`."""
    deviation = np.sqrt(2 / (node.kernel**2 * node.channels))
    params, state = batch_norm.init(node)
    weight = rng.normal(0, deviation, node.weight_shape(inputs[0])).astype(np.float32)
    return {"weight": weight, **params}, state


def forward(node: Conv, call: Call, x: Array) -> Output:
    """`acc = sum codes*S` over each window; then batch norm as the Current's affine."""
    value = call.inputs[0]
    used = weights(call.params["weight"], node.quantizer)
    height, width, channels = node.output(value).shape
    flat = rows(used.codes)
    if value.kind == "analog":
        dtype = exact_float(used, value.peak)
        acc = _dense(node, x, flat.astype(dtype), dtype, height * width)
        acc = np.rint(acc, out=acc).astype(np.int32) if value.peak and used.integer else acc
    else:
        images = x.reshape(-1, int(np.prod(value.shape)))
        acc = np.empty((len(images) * height * width, channels), accumulator(used, value.peak))
        sizes = (*value.shape, node.kernel, node.stride, node.padding)
        each(conv_forward, chunks(len(images)), images, value.peak, flat, acc, *sizes)
    acc = acc.reshape(*x.shape[:2], height, width, channels)
    step = used.step * np.float32(value.scale)
    current, affine, state = batch_norm.forward(acc, step, call)
    return Output(current, Cache(x, acc, used, affine, call), state)


def backward(node: Conv, cache: Cache, gradient: Floats) -> Back:
    """Weights by adding gradient rows under spikes; inputs by a dense product with the flipped kernel."""
    value, call = cache.call.inputs[0], cache.call
    params, *factors = batch_norm.backward(cache.affine, cache.acc, gradient, call.params)
    scale = np.float32(value.scale)
    if value.kind == "analog":
        by_gradient, by_acc, constant = factors
        gy = rows(by_gradient * gradient + by_acc * cache.acc.astype(np.float32) + constant)
        raw = _dense_weight_gradient(node, cache.x, gy)
        params["weight"] = weight_gradient(raw * scale, call.params["weight"], cache.weights, node.quantizer)
        return Back((None,), params)
    spread = _spread(node, cache, gradient, factors)
    raw = np.zeros((node.kernel**2 * value.shape[2], node.channels), np.float32)
    images = cache.x.reshape(-1, int(np.prod(value.shape)))
    flat = rows(spread)
    ranges = chunks(value.shape[2], 8, 4)
    each(conv_weight_gradient, ranges, images, value.peak, flat, raw, *value.shape, node.kernel)
    params["weight"] = weight_gradient(raw * scale, call.params["weight"], cache.weights, node.quantizer)
    wanted = _input_gradient(node, cache, spread, scale) if call.wanted else None
    return Back((wanted,), params)


def windows(images: Array, size: int, stride: int, dtype: Any) -> Array:
    """Every window of padded images [M, H, W, C] as a row [M*H'*W', size*size*C]."""
    view = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))  # type: ignore[call-overload] # numpy 1.26 takes a tuple
    view = view[:, ::stride, ::stride]
    return np.ascontiguousarray(view.transpose(0, 1, 2, 4, 5, 3), dtype).reshape(-1, size * size * images.shape[3])


def _padded(node: Conv, x: Array) -> Array:
    edge = (node.padding, node.padding)
    return np.pad(x.reshape(-1, *x.shape[2:]), ((0, 0), edge, edge, (0, 0)))


def _dense(node: Conv, x: Array, flat: Array, dtype: Any, area: int) -> Array:
    images = _padded(node, x)
    out = np.empty((len(images) * area, flat.shape[1]), dtype)

    def part(low: int, high: int) -> None:
        columns = windows(images[low:high], node.kernel, node.stride, dtype)
        np.dot(columns, flat, out=out[low * area : high * area])

    each(part, _spans(len(images), area))
    return out


def _dense_weight_gradient(node: Conv, x: Array, gy: Floats) -> Floats:
    images = _padded(node, x)
    area = len(gy) // len(images)

    def part(low: int, high: int) -> Floats:
        columns = windows(images[low:high], node.kernel, node.stride, np.float32)
        product: Floats = columns.T @ gy[low * area : high * area]
        return product

    return sum(each(part, _spans(len(images), area)), start=np.zeros((), np.float32))


def _spread(node: Conv, cache: Cache, gradient: Floats, factors: list[Floats]) -> Floats:
    height, width, _ = cache.call.inputs[0].shape
    count = gradient.shape[0] * gradient.shape[1]
    edge = node.kernel - 1
    spread = np.empty((count, height + edge, width + edge, node.channels), np.float32)
    sizes = (height, width, node.kernel, node.stride, node.padding)
    each(spread_gradient, chunks(count), rows(gradient), rows(cache.acc), *factors, rows(spread), *sizes)
    return spread


def _input_gradient(node: Conv, cache: Cache, spread: Floats, scale: np.float32) -> Floats:
    height, width, channels = cache.call.inputs[0].shape
    effective = cache.weights.effective() * scale
    flipped = rows(np.ascontiguousarray(effective[::-1, ::-1].transpose(0, 1, 3, 2)))
    out = np.empty((len(spread) * height * width, channels), np.float32)

    def part(low: int, high: int) -> None:
        columns = windows(spread[low:high], node.kernel, 1, np.float32)
        np.dot(columns, flipped, out=out[low * height * width : high * height * width])

    each(part, _spans(len(spread), height * width))
    return out.reshape(cache.x.shape)


def _spans(images: int, area: int) -> list[tuple[int, int]]:
    size = max(1, ROWS // area)
    return [(low, min(low + size, images)) for low in range(0, images, size)]
