"""A trained synapse as integers and one affine per channel: quantizer step, input scale and batch norm in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import LoweringError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.integer.bounds import INT32_MAX, Interval, accumulator
from qpsnn_core.kernels.linalg.sums import sum_down
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.synapses import BN_EPSILON, Conv, Linear, Shortcut
from qpsnn_core.quantization.fit import described
from qpsnn_core.quantization.formats import KEPT, Quantizer
from qpsnn_core.quantization.rescaw import quantize

REAL_WEIGHTS = Quantizer(8, gamma="max", granularity="channel")
"""How weights that were trained in floating point become codes, unless a level at 0 suits them better."""

SPARSE_WEIGHTS = replace(REAL_WEIGHTS, zero=True)
"""Likewise, where weights are pruned, as 0 has to be a code, and where many are 0, as in an identity."""


class Affine(NamedTuple):
    """`X = scale*acc + shift` per channel, scale >= 0: a channel of negative scale has had its codes' sign flipped.

    codes: int8 or int16, the shape of the weight (None: a Shortcut). scale, shift: float64 [C], the float32 numbers of
    training. plain_scale, plain_shift: the same without float32's rounding, such as 1/15 for a step of 4 bits. reach:
    what `acc` can be. flipped: bool [C]. rounded: whether floating-point weights became codes here; off: by how much
    X is then off, at most, float64 [C].
    """

    codes: Array | None
    scale: Doubles
    shift: Doubles
    plain_scale: Doubles
    plain_shift: Doubles
    reach: Interval
    flipped: npt.NDArray[np.bool_]
    rounded: bool
    off: Doubles


def affine(model: Model, node: Node) -> Affine:
    """The current of a node in terms of integer counts.

    `scale = in_scale*step*ratio`, `shift = bn_bias + (bias - mean)*ratio`, `ratio = bn_weight/sqrt(var + eps)`, rounded
    to float32 where training rounds them.
    Raises ShapeError or NumericsError (a parameter), LoweringError (accumulators that int32 cannot hold, a node that
    gives no current).
    """
    return CURRENTS[node](model, node)


def _copied(model: Model, node: Shortcut) -> Affine:
    value = model.network.values[node.source]
    mapped = np.array(node.mapping(value.shape[2]))
    zeros = np.zeros(node.channels)
    reach = Interval(zeros.astype(np.int64), np.where(mapped >= 0, value.max_count or 1, 0))
    scale = zeros + value.scale
    return Affine(None, _single(scale), zeros, scale, zeros, reach, zeros > 0, False, zeros)


def _matched(model: Model, node: SelfAttention) -> Affine:
    """Integers as they are, times the node's scale and those of what it multiplies."""
    inputs = model.network.inputs_of(node)
    zeros = np.zeros(inputs[2].shape[2])
    reach = Interval(zeros.astype(np.int64), (zeros + node.most(inputs[0])).astype(np.int64))
    scale = zeros + node.scale * prod(value.scale for value in inputs)
    return Affine(None, _single(scale), zeros, scale, zeros, reach, zeros > 0, False, zeros)


def _largest(model: Model, node: MaxPool) -> Affine:
    """Of its source, whose scales are not negative any more: the largest current is that of the largest sum."""
    return _of_pool(model, node, 1)


def _mean(model: Model, node: AvgPool) -> Affine:
    """Of its source: the mean of a current is that of its sums, and its own shift."""
    return _of_pool(model, node, node.area)


def _copies(model: Model, node: Upsample) -> Affine:
    """Of its source: each pixel of a current stands for several."""
    return affine(model, model.network[node.source])._replace(codes=None)


def _of_pool(model: Model, node: MaxPool | AvgPool, area: int) -> Affine:
    source = affine(model, model.network[node.source])
    reach = Interval(source.reach.low * area, source.reach.high * area)
    if reach.largest.max() > INT32_MAX:
        got = f"up to {reach.largest.max()} (channel {reach.largest.argmax()})"
        raise LoweringError(expected(node.name, f"sums of at most {INT32_MAX}", got))
    scale = _single(source.scale * _single(np.array(1 / area))) if area > 1 else source.scale
    return source._replace(codes=None, scale=scale, plain_scale=source.plain_scale / area, reach=reach)


def _weighted(model: Model, node: Conv | Linear) -> Affine:
    value = model.network.values[node.source]
    max_count, magnitude = value.max_count or 1, value.magnitude or 1
    weight = array_of(model.params, node.name, "weight", node.weight_shape(value))
    codes, step, plain = codes_of(model, node, weight.astype(np.float32))
    reach = accumulator(codes, max_count, value.low)
    largest = reach.high - reach.low
    if largest.max() > INT32_MAX:
        got = f"up to {largest.max()} (channel {largest.argmax()}, magnitudes up to {magnitude} from {node.source})"
        raise LoweringError(expected(f"{node.name}.weight", f"accumulators of at most {INT32_MAX}", got))
    scale = _single(step * _single(np.array(value.scale)))
    ratio = shift = np.zeros(node.channels)
    ratio = ratio + 1
    if node.bias:
        shift = _channels(model.params, node, "bias")
    if node.batch_norm:
        variance = _channels(model.state, node, "var")
        if (variance < 0).any():
            raise NumericsError(
                expected(f"state.{node.name}.var", "numbers of at least 0", Unquoted(f"{variance.min()}"))
            )
        ratio = _channels(model.params, node, "bn_weight") / np.sqrt(variance + BN_EPSILON)
        shift = _channels(model.params, node, "bn_bias") + (shift - _channels(model.state, node, "mean")) * ratio
    flipped = ratio < 0
    off = np.zeros(node.channels)
    if node.quantizer is None:
        off = _off(weight.astype(np.float64), codes * step) * magnitude * np.abs(value.scale * ratio)
    codes = np.where(flipped, -codes, codes).astype(codes.dtype)
    reach = Interval(np.where(flipped, -reach.high, reach.low), np.where(flipped, -reach.low, reach.high))
    trained, plain = np.abs(_single(scale * ratio)), np.abs(plain * value.scale * ratio)
    for what, array in (("scale", trained), ("shift", _single(shift))):
        if not np.isfinite(array).all():
            want = f"a {what} of its current that is a finite float32"
            raise NumericsError(expected(node.name, want, Unquoted(f"{(plain, shift)[what == 'shift'].max()}")))
    return Affine(codes, trained, _single(shift), plain, shift, reach, flipped, node.quantizer is None, off)


def _off(weight: Doubles, used: Doubles) -> Doubles:
    """How far sums of weights times magnitudes up to 1 can be from those of `used`, [C].

    n terms, added up in float32 in any order, with a scale in float32: `(n + 4) * 2**-24` of the sum of magnitudes.
    """
    rows, others = weight.reshape(-1, weight.shape[-1]), used.reshape(-1, weight.shape[-1])
    noise = (len(rows) + 4) * 2.0**-24 * 1.01
    total: Doubles = sum_down(np.abs(rows - others)) + noise * sum_down(np.abs(rows))
    return total


def _single(values: Doubles) -> Doubles:
    """Rounded to float32."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


_NO_CURRENT = Refusal("it gives no current")
_OF_SEVERAL = Refusal("each of its currents is folded by itself (shares.py)")

CURRENTS: KindTable[Callable[..., Affine]] = KindTable(
    "the folding of currents",
    {
        Input: _NO_CURRENT,
        Conv: _weighted,
        Linear: _weighted,
        Shortcut: _copied,
        LIF: _NO_CURRENT,
        MaxPool: _largest,
        AvgPool: _mean,
        Sum: _OF_SEVERAL,
        Concat: _OF_SEVERAL,
        Upsample: _copies,
        Dropout: _NO_CURRENT,
        ChannelGate: _NO_CURRENT,
        SpatialGate: _NO_CURRENT,
        Membrane: _NO_CURRENT,
        SelfAttention: _matched,
        Readout: _NO_CURRENT,
        CurrentReadout: _NO_CURRENT,
    },
    LoweringError,
)


def codes_of(model: Model, node: Weighted, weight: Array) -> tuple[Array, Doubles, Doubles]:
    """The codes in their narrowest type, the step in float32, and `gamma / s` without its rounding.

    Codes of a quantizer with a zero are even and are halved.
    """
    quantizer = node.quantizer or _for_real(weight, node.sparse)
    stored = array_of(model.state, node.name, "gamma", (node.channels,)) if quantizer.gamma == KEPT else None
    codes, step, gamma, _ = quantize(weight, quantizer, stored)
    exact, plain = step.astype(np.float64), gamma.astype(np.float64) / quantizer.levels
    if quantizer.zero:
        return (codes >> 1).astype(np.int8), 2 * exact, 2 * plain
    return codes, exact, plain


def _for_real(weight: Array, sparse: bool) -> Quantizer:
    """The one with the smaller error."""
    choices = (SPARSE_WEIGHTS,) if sparse else (REAL_WEIGHTS, SPARSE_WEIGHTS)
    return min(choices, key=lambda quantizer: described(weight, quantizer).error)


def _channels(arrays: Any, node: Conv | Linear, name: str) -> Doubles:
    return array_of(arrays, node.name, name, (node.channels,)).astype(np.float64)


def array_of(arrays: Any, node: str, name: str, shape: tuple[int, ...]) -> Array:
    """One of a node's arrays. Raises ShapeError or NumericsError, naming it."""
    array = arrays.get(node, {}).get(name)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        got = Unquoted("nothing" if array is None else f"{np.shape(array)}")
        raise ShapeError(expected(f"{node}.{name}", f"an array {shape}", got))
    if not np.isfinite(array).all():
        raise NumericsError(expected(f"{node}.{name}", "finite numbers", Unquoted("NaN or infinity")))
    return array
