"""Batch norm as part of the Current: `y = step*acc + bias`, normalised per channel over (T, B, H, W)."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.types import Array, Floats, NamedFloats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, LayerContext, rows
from qpsnn_core.kernels.neurons.batch_norm import (
    gradient_moments_pieces,
    integer_moments,
    real_moments_pieces,
    short_moments,
)
from qpsnn_core.kernels.parts import add_pieces, parts_of, pieces_of
from qpsnn_core.kernels.threads import parallel_for, parallel_map, per_thread_ranges
from qpsnn_core.network.current_readouts import Weighted
from qpsnn_core.network.synapses import BN_EPSILON, BN_MOMENTUM, Conv, Linear
from qpsnn_core.quantization.formats import KEPT

MIN_CHUNK_ROWS = 256


class Affine(NamedTuple):
    """What the backward pass needs: `y = step*acc + bias`, and how it was normalised (None: not at all)."""

    step: Floats
    weight: Floats | None
    mean: Array
    deviation: Array
    batch: bool


def init(node: Weighted) -> tuple[NamedFloats, NamedFloats]:
    """BN scale 1, or a Conv's own, shift 0; running mean 0, variance 1; bias 0; a quantizer's gamma that is kept 1.

    Instead of 0 the node's `initial_shift`, if it has one: of the shift, or of the bias where there is no batch norm.
    """
    params: NamedFloats = {}
    state: NamedFloats = {}
    if node.bias:
        params["bias"] = np.zeros(node.channels, np.float32)
    if node.batch_norm:
        begin = node.bn_weight if isinstance(node, Conv) else 1.0
        params["bn_weight"] = np.full(node.channels, begin, np.float32)
        params["bn_bias"] = np.zeros(node.channels, np.float32)
        state["mean"] = np.zeros(node.channels, np.float32)
        state["var"] = np.ones(node.channels, np.float32)
    if isinstance(node, Conv | Linear) and node.initial_shift:
        params["bn_bias" if node.batch_norm else "bias"] += np.float32(node.initial_shift)
    if node.quantizer is not None and node.quantizer.gamma == KEPT:
        state["gamma"] = np.ones(node.channels, np.float32)
    return params, state


def forward(acc: Array, step: Floats, context: LayerContext) -> tuple[Current, Affine, NamedFloats]:
    """The Current of `acc` [T or 1, B, H, W, C], the cache, and the new running statistics.

    Training: `X = bn_weight*(y - mean)/sqrt(var + eps) + bn_bias` with the batch's own mean and (biased) variance;
    else with the running ones. The running variance is unbiased, over T*B*H*W values, as in PyTorch. Raises
    NumericsError where an array holds NaN or infinity: a membrane that is NaN would never fire, and nobody would know.
    """
    check(context)
    bias = context.params.get("bias", np.zeros_like(step)).astype(np.float64)
    wide = step.astype(np.float64)
    if "bn_weight" not in context.params:
        return Current(acc, step, bias.astype(np.float32)), Affine(step, None, bias, bias, False), context.state
    weight, shift = context.params["bn_weight"].astype(np.float64), context.params["bn_bias"].astype(np.float64)
    state = context.state
    if context.train:
        sums, squares = _moments(acc, context.parts)
        count = acc.size // acc.shape[-1]
        mean_acc = sums / count
        variance = np.maximum(squares / count - mean_acc * mean_acc, 0) * wide * wide
        mean = wide * mean_acc + bias
        total = count * (context.steps // acc.shape[0])
        unbiased = variance * (total / max(total - 1, 1))
        state = {
            **context.state,
            "mean": _blend(context.state["mean"], mean),
            "var": _blend(context.state["var"], unbiased),
        }
    else:
        mean, variance = context.state["mean"].astype(np.float64), context.state["var"].astype(np.float64)
    deviation = np.sqrt(variance + BN_EPSILON)
    ratio = weight / deviation
    current = Current(acc, (wide * ratio).astype(np.float32), (shift + (bias - mean) * ratio).astype(np.float32))
    return current, Affine(step, context.params["bn_weight"], mean - bias, deviation, context.train), state


def backward(affine: Affine, gradient: CurrentGradient, count: int, names: NamedFloats) -> tuple[NamedFloats, Floats]:
    """Parameter gradients, and the three factors [3, C] of `dL/dy = f0*g + f1*acc + f2` per channel.

    count: the accumulators of each channel. names: the node's params, to know which it has.
    """
    sums, products = gradient.sums, gradient.products
    grads: NamedFloats = {}
    factors = np.zeros((3, len(affine.step)))
    if affine.weight is None:
        if "bias" in names:
            grads["bias"] = sums.astype(np.float32)
        factors[0] = 1
        return grads, factors.astype(np.float32)
    step = affine.step.astype(np.float64)
    normed = (step * products - affine.mean * sums) / affine.deviation
    ratio = affine.weight / affine.deviation
    grads["bn_weight"] = normed.astype(np.float32)
    grads["bn_bias"] = sums.astype(np.float32)
    factors[0] = ratio
    if affine.batch:
        slope = ratio * normed / (count * affine.deviation)
        factors[1] = -slope * step
        factors[2] = slope * affine.mean - ratio * sums / count
    if "bias" in names:
        total = step * 0 if affine.batch else ratio * sums
        grads["bias"] = total.astype(np.float32)
    return grads, factors.astype(np.float32)


class DeferredGradient(CurrentGradient):
    """dL/dX of a current that several neurons share: its sums are taken once, when all their gradients are added up.

    acc, parts: as of `with_moments`.
    """

    def __init__(self, array: Floats, acc: Array, parts: int) -> None:
        for name, value in (("array", array), ("acc", acc), ("parts", parts)):
            object.__setattr__(self, name, value)

    acc: Array
    parts: int

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        return _in_parts(gradient_moments_pieces, self.acc, self.parts, rows(self.array), rows(self.acc))

    @property
    def sums(self) -> Array:
        """Of the gradient."""
        return self._moments[0]

    @property
    def products(self) -> Array:
        """Of the gradient times acc."""
        return self._moments[1]

    def added(self, other: CurrentGradient, array: Floats) -> CurrentGradient:
        """Deferred still, where the other is."""
        if isinstance(other, DeferredGradient):
            return DeferredGradient(array, self.acc, self.parts)
        return super().added(other, array)


def with_moments(array: Floats, acc: Array, parts: int = 0) -> CurrentGradient:
    """dL/dX, and its sums with the accumulators `acc` of the same shape; parts: as of a LayerContext."""
    sums, products = _in_parts(gradient_moments_pieces, acc, parts, rows(array), rows(acc))
    return CurrentGradient(array, sums, products)


def check(context: LayerContext) -> None:
    """NumericsError, naming the array, where one other than the weight holds NaN or infinity, or a variance is < 0."""
    for name, array in (*context.params.items(), *context.state.items()):
        if name != "weight" and not np.isfinite(array).all():
            raise NumericsError(expected(name, "finite numbers", Unquoted("NaN or infinity")))
    if (context.state.get("var", np.zeros(1)) < 0).any():
        raise NumericsError(expected("var", "numbers of at least 0", context.state["var"].min()))


def _blend(old: Floats, new: Array) -> Floats:
    return ((1 - BN_MOMENTUM) * old + BN_MOMENTUM * new).astype(np.float32)


def _fits(total: Array) -> bool:
    """Whether these are integers whose squares add up to less than 2**63."""
    if total.dtype.kind != "i":
        return False
    largest = 2**15 if total.dtype == np.int16 else max(int(total.max()), -int(total.min()))
    return largest**2 * len(total) < 2**63


def _moments(acc: Array, parts: int) -> tuple[Array, Array]:
    """The sums over all but the channels of `acc` and of its squares; exact where they are integers."""
    total = rows(acc)
    if not _fits(total):
        return _in_parts(real_moments_pieces, acc, parts, total)
    channels, kernel = total.shape[1], short_moments if total.dtype == np.int16 else integer_moments

    def part(start: int, stop: int) -> tuple[Array, Array]:
        sums, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
        kernel(start, stop, total, sums, squares)
        return sums, squares

    found = parallel_map(part, per_thread_ranges(len(total), MIN_CHUNK_ROWS))
    return sum(first for first, _ in found), sum(second for _, second in found)


def _in_parts(kernel: Any, acc: Array, parts: int, *arrays: Array) -> tuple[Array, Array]:
    """Two float64 sums [C] over all but the channels of `acc` [T or 1, B, H, W, C], in the order of parts."""
    steps, batch = acc.shape[:2]
    pieces = pieces_of(parts_of(batch, parts), acc[0, 0].size // acc.shape[-1], MIN_CHUNK_ROWS // steps + 1)
    flat = pieces.reshape(-1, 2)
    moments = np.zeros((len(flat), 2, acc.shape[-1]))
    parallel_for(kernel, len(flat), 1, flat, steps, *arrays, moments)
    sums, others = add_pieces(moments, pieces)
    return sums, others
