"""Conv behind gates: its sums, and the spikes that it reads, times masks; in a test, what they close is skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers import batch_norm, conv
from qpsnn_core.engine.layers.base import CurrentGradient, Gradients, LayerContext, LayerOutput, MaskGradient, rows
from qpsnn_core.engine.layers.conv_gradients import geometry_of
from qpsnn_core.engine.layers.quantized_weights import Weights, accumulator, used_weights
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.gates import gated_conv, open_masks
from qpsnn_core.kernels.conv.geometry import AccGradient
from qpsnn_core.kernels.conv.integers import MAX_EVENT_COUNT, Product
from qpsnn_core.kernels.conv.place_sums import place_products, place_sums
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.gates import CHANNEL_MASK
from qpsnn_core.network.synapses import Conv, Synapse

MIN_CHUNK_PLACES = 256


class Masks(NamedTuple):
    """What the gates opened, uint8 [T or 1, B, 1 or H, 1 or W, C or 1]; None: no gate. given: of sums, read: of spikes.

    channels: of each, whether it is a mask of channels.
    """

    given: Array | None
    read: Array | None
    channels: tuple[bool, bool]


class Cache(NamedTuple):
    """inner: of the convolution of the spikes that were let through, its acc masked; x: the input as it came.

    activation: of its sums, as in MaskGradient; None: not needed, or no training.
    """

    inner: conv.Cache
    x: Array
    masks: Masks
    activation: Array | None


def forward(node: Conv, context: LayerContext, x: Array, *masks: Array) -> LayerOutput:
    """`acc = M_given * sum codes*(M_read*S)`, then batch norm. In training all sums are computed, for the target."""
    if not masks:
        return conv.forward(node, context, x)
    found, own = _masks(node, context, masks), context._replace(inputs=context.inputs[:1])
    let = _let_through(x, found)
    activation = None
    if context.train and found.given is not None:
        used, acc = conv.sums(node, own, let)
        activation = _activation(acc, used, found.channels[0])
        acc = acc * found.given.astype(acc.dtype)
    else:
        used, acc = _open_sums(node, own, let, found)
    output = conv.normed(own, let, used, acc)
    return output._replace(cache=Cache(output.cache, x, found, activation))


def backward(node: Conv, cache: conv.Cache | Cache, gradient: CurrentGradient) -> Gradients:
    """As of a Conv, through the masks; then what each gate is told: an activation, or dL/dM."""
    if isinstance(cache, conv.Cache):
        return conv.backward(node, cache, gradient)
    inner, masks = cache.inner, cache.masks
    params, factors = batch_norm.backward(inner.affine, gradient, inner.acc.size // node.channels, inner.context.params)
    factors *= np.float32(inner.context.inputs[0].scale)
    off = factors[0] * gradient.array + factors[1] * inner.acc.astype(np.float32) + factors[2]
    told: list[MaskGradient] = []
    if masks.given is not None:
        told.append(_told_of_sums(node, cache, off))
        off = off * masks.given.astype(np.float32)
    plain = np.zeros_like(factors)
    plain[0] = 1
    back = conv.through(node, inner, AccGradient(rows(off), rows(inner.acc), plain), params)
    (share,) = back.inputs
    if masks.read is not None:
        told.append(_told_of_spikes(cache, share))
        if share is not None:
            share = _as_given(share * masks.read.astype(np.float32), cache.x)
    return Gradients((share, *told), back.params)


def spikes_read(node: Synapse, values: Mapping[str, Array]) -> Array:
    """What a synapse reads, behind its input gate, [T or 1, B, H, W, C]. values: of a ForwardPass."""
    x, gate = values[node.source], getattr(node, "input_gate", None)
    return x if gate is None else x * values[gate].astype(x.dtype)


def activation_of(node: Conv, cache: Cache, given: bool) -> Array:
    """What a gate's target is made of, as in MaskGradient; given: of the sums, else of the spikes read."""
    if not given:
        return _spikes(cache.x, cache.masks.channels[1])
    if cache.activation is not None:
        return cache.activation
    used, acc = conv.sums(node, cache.inner.context, cache.inner.x)
    return _activation(acc, used, cache.masks.channels[0])


def _told_of_sums(node: Conv, cache: Cache, off: Floats) -> MaskGradient:
    """dL/dM = step * off * acc, added up over channels, of the sums without a gate."""
    activations = (activation_of(node, cache, True),)
    if cache.masks.channels[0]:
        return MaskGradient(None, activations)
    used, full = conv.sums(node, cache.inner.context, cache.inner.x)
    return MaskGradient(_as_given(_over_channels(off * used.step, full), cache.masks.given), activations)


def _told_of_spikes(cache: Cache, share: Floats | None) -> MaskGradient:
    activations = (_spikes(cache.x, cache.masks.channels[1]),)
    if cache.masks.channels[1] or share is None:
        return MaskGradient(None, activations)
    task = _over_channels(share, np.broadcast_to(cache.x, share.shape))
    return MaskGradient(_as_given(task, cache.masks.read), activations)


def _over_channels(first: Floats, second: Array) -> Floats:
    """`sum_c first*second`, float32 [T, B, H, W, 1], in order."""
    total = np.empty((*first.shape[:-1], 1), np.float32)
    parallel_for(place_products, total.size, MIN_CHUNK_PLACES, rows(first), rows(second), total.reshape(-1))
    return total


def _activation(acc: Array, used: Weights, channels: bool) -> Array:
    """The magnitudes of sums in real units, added up over places, float64 [T or 1, B, 1, 1, C]; or over channels.

    Over channels (not `channels`) float32 [T or 1, B, H, W, 1].
    """
    if not channels:
        return _over_channels(np.abs(acc).astype(np.float32), np.broadcast_to(used.step, acc.shape))
    images, total = acc.reshape(-1, *acc.shape[2:]), np.empty((acc.shape[0] * acc.shape[1], acc.shape[4]))
    parallel_for(place_sums, len(images), 1, rows(images), len(rows(images)) // len(images), total)
    real: Array = (total * used.step.astype(np.float64)).reshape(*acc.shape[:2], 1, 1, -1)
    return real


def _spikes(x: Array, channels: bool) -> Array:
    counts: Array = x.sum((2, 3) if channels else 4, dtype=np.int64, keepdims=True)
    return counts


def _masks(node: Conv, context: LayerContext, masks: tuple[Array, ...]) -> Masks:
    found = list(zip(masks, (one.kind == CHANNEL_MASK for one in context.inputs[1:]), strict=True))
    given = found.pop(0) if node.gate is not None else (None, False)
    read = found.pop(0) if node.input_gate is not None else (None, False)
    return Masks(given[0], read[0], (given[1], read[1]))


def _let_through(x: Array, masks: Masks) -> Array:
    """The spikes that the masks leave, at as many steps as the masks have: [T or 1, B, H, W, C]."""
    let = x if masks.read is None else x * masks.read.astype(x.dtype)
    steps = max(len(let), 1 if masks.given is None else len(masks.given))
    return let if len(let) == steps else np.repeat(let, steps, axis=0)


def _as_given(share: Floats, x: Array | None) -> Floats:
    """The gradient of what is the same at every step: the sum over steps."""
    return share if x is None or len(share) == len(x) else add_steps(share)[None]


def _open_sums(node: Conv, context: LayerContext, x: Array, masks: Masks) -> tuple[Weights, Array]:
    """The sums, of which those that are closed are 0, and skipped where spikes are added one by one."""
    value = context.inputs[0]
    if masks.given is None:
        return conv.sums(node, context, x)
    used = used_weights(context.params["weight"], node.quantizer, context.state.get("gamma"))
    if not used.integer or value.kind != "spikes" or (value.max_count or 2**31) > MAX_EVENT_COUNT:
        used, acc = conv.sums(node, context, x)
        return used, acc * masks.given.astype(acc.dtype)
    acc = empty((*x.shape[:2], *node.output(value).shape), accumulator(used, value.max_count))
    levels = node.quantizer.levels if node.quantizer else None
    product = Product(used.codes, value.max_count or 1, geometry_of(node, value), levels)
    opened = open_masks(acc.shape[0], (masks.given, masks.channels[0]), None)
    gated_conv(product, rows(x).reshape(-1), acc.reshape(-1), opened)
    return used, acc
