"""Conv: integer accumulators from codes and spikes; images are multiplied out, exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.arithmetic import is_native
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Floats, NamedFloats
from qpsnn_core.engine.layers import batch_norm, grouped
from qpsnn_core.engine.layers.base import CurrentGradient, Gradients, LayerContext, LayerOutput, rows
from qpsnn_core.engine.layers.conv_gradients import geometry_of, input_gradient, weight_sums
from qpsnn_core.engine.layers.quantized_weights import Weights, accumulator, product_type, used_weights, weight_gradient
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.gemm import WIDTH
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.conv.image import image_forward, image_gradient, panels
from qpsnn_core.kernels.conv.integers import IMAGES_WIN, MAX_EVENT_COUNT, Product, integer_conv
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.spike_lists import LANES
from qpsnn_core.kernels.conv.windows import padded, real_conv
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import Parts, add_in_order, parts_of
from qpsnn_core.kernels.threads import parallel_for, parallel_map
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec

CACHE = 800_000
"""Bytes of weights that stay in the second-level cache."""

FEW = MAX_EVENT_COUNT
"""Where inputs cannot count further, each count is an event, whatever the images hold."""

MOST = 255
"""The largest count whose events are listed one by one."""


class Cache(NamedTuple):
    """x: the input [T or 1, B, H, W, C]; acc: the accumulator [T or 1, B, H', W', C_out]."""

    x: Array
    acc: Array
    weights: Weights
    affine: batch_norm.Affine
    context: LayerContext


def init(node: Conv, inputs: tuple[ValueSpec, ...], rng: np.random.Generator) -> tuple[NamedFloats, NamedFloats]:
    """`N(0, gain / sqrt(fan-in))`, or Kaiming normal, fan-out: `N(0, sqrt(2 / (k*k*C_out / groups)))`."""
    shape = node.weight_shape(inputs[0])
    paper = np.sqrt(2 / (shape[0] * shape[1] * (node.channels // node.groups)))
    deviation = node.gain / np.sqrt(np.prod(shape[:-1])) if node.gain else paper
    params, state = batch_norm.init(node)
    weight = rng.normal(0, deviation, shape).astype(np.float32)
    return {"weight": weight, **params}, state


def forward(node: Conv, context: LayerContext, x: Array) -> LayerOutput:
    """`acc = sum codes*S` over each window; then batch norm as the Current's affine."""
    used, acc = sums(node, context, x)
    return normed(context, x, used, acc)


def sums(node: Conv, context: LayerContext, x: Array) -> tuple[Weights, Array]:
    """The weights as they are used, and `acc` [T or 1, B, H', W', C_out]."""
    value = context.inputs[0]
    used = used_weights(context.params["weight"], node.quantizer, context.state.get("gamma"))
    if node.plain:
        acc = _accumulated(node, value, context, used, x)
    else:
        acc = grouped.accumulated(
            node, value, used, x, lambda one, own, read: _accumulated(one.node, one.value, context, own, read)
        )
    return used, acc


def normed(context: LayerContext, x: Array, used: Weights, acc: Array) -> LayerOutput:
    """The Current of accumulators; x, used: what they were made of, which the backward pass needs."""
    step = used.step * np.float32(context.inputs[0].scale)
    current, affine, state = batch_norm.forward(acc, step, context)
    return LayerOutput(current, Cache(x, acc, used, affine, context), state)


def _accumulated(node: Conv, value: ValueSpec, context: LayerContext, used: Weights, x: Array) -> Array:
    """The sums of a plain convolution, [T or 1, B, H', W', C_out]."""
    height, width, channels = node.output(value).shape
    many = value.kind == "spikes" and _many(value, x)
    if value.kind == "analog" or (many and used.integer):
        acc = _of_images(node, value, used, x, (height, width, channels))
    elif _multiplied(node, used, value, x, many, is_native(context.arithmetic)):
        geometry = geometry_of(node, value)
        images = padded(x, geometry.padding)
        acc = np.empty((len(images) * height * width, channels), np.float32)
        real_conv(images, used.codes, geometry.stride, acc)
    else:
        count = x.shape[0] * x.shape[1]
        acc = empty((count * height * width * channels,), accumulator(used, value.max_count))
        _of_events(node, value, used, x, acc)
    return acc.reshape(*x.shape[:2], height, width, channels)


def backward(node: Conv, cache: Cache, gradient: CurrentGradient) -> Gradients:
    """Weights by adding gradient rows under spikes; inputs by a dense product with the flipped kernel."""
    params, factors = batch_norm.backward(cache.affine, gradient, cache.acc.size // node.channels, cache.context.params)
    factors *= np.float32(cache.context.inputs[0].scale)
    return through(node, cache, AccGradient(rows(gradient.array), rows(cache.acc), factors), params)


def through(node: Conv, cache: Cache, found: AccGradient, params: NamedFloats) -> Gradients:
    """The gradients of weights and inputs from that of the sums; params: those of the other parameters, to go along.

    found: dL/dacc over the quantizer's step; its factors are written over.
    """
    value, context = cache.context.inputs[0], cache.context
    parts = parts_of(cache.x.shape[1], context.parts)

    def of_weights(one: Conv, value: ValueSpec, x: Array, found: AccGradient) -> Floats:
        if value.kind == "analog":
            return _image_weight_gradient(geometry_of(one, value), x, found, parts)
        return weight_sums(geometry_of(one, value), value.max_count, x, found, parts)

    if node.plain:
        raw = of_weights(node, value, cache.x, found)
    else:
        raw = grouped.weight_gradients(
            node, value, cache.x, found, parts, lambda one, x, own: of_weights(one.node, one.value, x, own)
        )
    params["weight"] = weight_gradient(raw, context.params["weight"], cache.weights, node)
    if value.kind == "analog" or not context.needs_input_grad:
        return Gradients((None,), params)
    found.factors[...] *= cache.weights.step
    if node.plain:
        out = input_gradient(geometry_of(node, value), cache.weights.codes, found).reshape(cache.x.shape)
    else:
        out = grouped.input_gradients(
            node,
            value,
            cache.weights,
            found,
            cache.x.shape,
            lambda one, codes, own: input_gradient(geometry_of(one.node, one.value), codes, own),
        )
    return Gradients((out,), params)


def _multiplied(node: Conv, used: Weights, value: ValueSpec, x: Array, many: bool, native: bool) -> bool:
    """Whether real weights are multiplied with all of `x`, rather than added for each of its spikes.

    Of spikes, both ways give the same bits, and the rate decides. A count of k is one product, or k additions, which
    round otherwise: there the largest count that the network states decides, unless the arithmetic is native.
    """
    if used.integer:
        return False
    if value.max_count != 1 and not native:
        return bool(value.max_count is not None and value.max_count > FEW)
    return many or _dense_wins(node, x)


def _dense_wins(node: Conv, x: Array) -> bool:
    """Whether a product of all of `x` with real weights is faster than one of its spikes: above a rate of spikes.

    The rates were measured (docs/performance.md); they are lower where a block of weight rows no longer fits the
    second-level cache. Codes have a choice of their own (`kernels.conv.integers`).
    """
    rows_of, columns = both(node.kernel)
    crossing = 0.5 if rows_of * columns * x.shape[-1] * LANES * 4 <= CACHE else 0.2
    return bool(np.count_nonzero(x) > crossing * x.size)


def _many(value: ValueSpec, x: Array) -> bool:
    """Whether counts are multiplied, which costs the same for any count: where a row for each of them costs more.

    Codes and counts are integers, whose sums are the same either way.
    """
    if value.max_count is None or value.max_count <= FEW:
        return False
    return bool(x.max() > MOST) or int(x.sum(dtype=np.uint64)) > x.size


def _of_events(node: Conv, value: ValueSpec, used: Weights, x: Array, acc: Array) -> None:
    """All sums, into `acc`: event by event, or, of codes and counts up to FEW, by the faster of two exact products."""
    geometry, levels = geometry_of(node, value), node.quantizer.levels if node.quantizer else None
    largest = value.max_count if value.max_count is None or value.max_count <= FEW else int(x.max())
    counts = rows(x).reshape(-1)
    if used.integer and (largest or 1) <= FEW:
        integer_conv(Product(used.codes, largest or 1, geometry, levels), counts, acc)
    else:
        packed = pack(used.codes, geometry.stride, geometry.out_width, levels)
        parallel_for(conv_forward, x.shape[0] * x.shape[1], 1, counts, largest, packed, acc, geometry)


def _of_images(node: Conv, value: ValueSpec, used: Weights, x: Array, shape: tuple[int, int, int]) -> Array:
    """int32 of integer images and codes, else float32, in which products with real numbers are added."""
    height, width, channels = shape
    whole = bool(value.max_count) and used.integer
    count = x.shape[0] * x.shape[1]
    acc = empty((count * height * width * channels,), np.int32 if whole else np.float32)
    images, geometry = np.ascontiguousarray(x).reshape(-1), geometry_of(node, value)
    real = product_type(used, value.magnitude)  # NumericsError where int32 does not hold the sums
    if value.magnitude and whole and (real == np.float64 or (IMAGES_WIN and not value.low)):
        integers = images if images.dtype.kind in "iu" else images.astype(count_type(value.magnitude))
        integer_conv(Product(used.codes, value.magnitude, geometry), integers, acc)
    else:
        parallel_for(image_forward, count, 1, images, panels(used.codes), acc, geometry)
    return acc


def _image_weight_gradient(geometry: ConvGeometry, x: Array, acc_gradient: AccGradient, parts: Parts) -> Floats:
    """`[k*k*C_in, C_out]`; each part goes step by step."""
    (steps, batch), outputs = x.shape[:2], geometry.outputs
    taps, wide = geometry.kernel**2 * geometry.channels, -(-outputs // WIDTH) * WIDTH
    images = np.ascontiguousarray(x).reshape(-1)

    def part(start: int, stop: int) -> Floats:
        sums = np.zeros((-(-taps // 6) * 6, wide), np.float32)
        for first in range(0, steps * batch, batch):
            image_gradient(first + start, first + stop, images, acc_gradient, geometry, wide, sums.reshape(-1))
        return sums

    total = add_in_order(parallel_map(part, list(parts)))
    return np.ascontiguousarray(total[:taps, :outputs])
