"""CurrentReadout: a product of real currents, added up over sources and averaged over places, and quantized weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.types import Array, Floats, NamedFloats
from qpsnn_core.engine.layers import batch_norm
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput
from qpsnn_core.engine.layers.currents import added
from qpsnn_core.engine.layers.quantized_weights import Weights, used_weights, weight_gradient
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.dense import multiply, multiply_parts
from qpsnn_core.kernels.conv.windows import add_windows
from qpsnn_core.kernels.parts import add_steps, parts_of
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.values import ValueSpec


class Cache(NamedTuple):
    """accs: of each source, [T or 1, B, H, W, C].

    x: the currents added up, float32 [T or 1, B, h, w, C]; h, w: 1 for "mean". area: the places of a mean.
    """

    accs: tuple[Array, ...]
    x: Floats
    weights: Weights
    area: int
    context: LayerContext


def init(
    node: CurrentReadout, inputs: tuple[ValueSpec, ...], rng: np.random.Generator
) -> tuple[NamedFloats, NamedFloats]:
    """`N(0, gain / sqrt(C))`, or `N(0, 0.01)` as the paper's classifier."""
    params, state = batch_norm.init(node)
    shape = node.weight_shape(inputs[0])
    deviation = node.gain / np.sqrt(shape[0]) if node.gain else 0.01
    return {"weight": rng.normal(0, deviation, shape).astype(np.float32), **params}, state


def forward(node: CurrentReadout, context: LayerContext, *currents: Current) -> LayerOutput:
    """Logits float32 [T, B, K], or of each place [T, B, H, W, K]. Raises NumericsError (sums beyond int32)."""
    batch_norm.check(context)
    used = used_weights(context.params["weight"], node.quantizer, context.state.get("gamma"))
    area = node.area(context.inputs[0])
    means = tuple(_mean(current, area) for current in currents)
    x = added(means)
    bias = context.params.get("bias", np.zeros(node.channels, np.float32))
    found = used.step * multiply(x.reshape(-1, x.shape[-1]), used.codes) + bias
    shape = x.shape[1:-1] if node.places == "each" else x.shape[1:2]
    logits = np.broadcast_to(found.reshape(len(x), *shape, node.channels), (context.steps, *shape, node.channels))
    return LayerOutput(logits, Cache(tuple(one.acc for one in currents), x, used, area, context), {})


def backward(node: CurrentReadout, cache: Cache, gradient: Floats) -> Gradients:
    """`dW_hat = X^T g`, `db = sum g`, and `dX = g W_hat^T` of every place, its share of the mean."""
    accs, x, used, area, context = cache
    parts = np.array(parts_of(x.shape[1], context.parts)) * (x[0, 0].size // x.shape[-1])
    full = gradient.reshape(len(gradient), *x.shape[1:-1], node.channels)
    own = add_steps(full)[None] if len(x) < len(full) else full
    left, right = _by_samples(x), _by_samples(own)
    ones = np.ones((len(left), 1), np.float32)
    found = multiply_parts(np.concatenate((left, ones), 1).T, right, parts * len(x))
    raw = np.ascontiguousarray(found[:-1])
    params = {"weight": weight_gradient(raw, context.params["weight"], used, node)}
    if node.bias:
        params["bias"] = np.ascontiguousarray(found[-1])
    if not context.needs_input_grad:
        return Gradients((None,) * len(accs), params)
    weight = np.ascontiguousarray(used.effective().T) * np.float32(1 / area)
    small = multiply(full.reshape(-1, node.channels), weight).reshape(*full.shape[:-1], x.shape[-1])
    return Gradients(_of_sources(small, accs, context, area), params)


def _mean(current: Current, area: int) -> Current:
    """The mean over all places, as the sum of their accumulators; the current itself where there is one."""
    acc = current.acc
    if area == 1:
        return current
    real = acc.dtype.kind == "f"
    largest = 0 if real else area * max(int(acc.max(initial=0)), -int(acc.min(initial=0)))
    if largest >= 2**31:
        raise NumericsError(expected("mean", "sums of accumulators below 2**31", Unquoted(f"up to {largest}")))
    images = np.ascontiguousarray(acc if real else acc.astype(np.int32, copy=False)).reshape(-1, *acc.shape[2:])
    out = empty((*acc.shape[:2], 1, 1, acc.shape[-1]), np.float32 if real else np.int32)
    whole = (images.shape[1], images.shape[2])
    add_windows(images, whole, whole, out.reshape(-1, 1, 1, acc.shape[-1]))
    return Current(out, current.scale * np.float32(1 / area), current.shift)


def _of_sources(
    small: Floats, accs: tuple[Array, ...], context: LayerContext, area: int
) -> tuple[CurrentGradient, ...]:
    """dL/dX of each source; small: of a place, the same for all sources and for all places of a mean."""
    (height, width, _), found = context.inputs[0].shape, {}
    every = []
    for acc in accs:
        if len(acc) not in found:
            own = small if len(acc) == len(small) else add_steps(small)[None]
            wide = np.broadcast_to(own, (*own.shape[:2], height, width, own.shape[-1])) if area > 1 else own
            found[len(acc)] = np.ascontiguousarray(wide)
        every.append(batch_norm.DeferredGradient(found[len(acc)], acc, context.parts))
    return tuple(every)


def _by_samples(array: Floats) -> Floats:
    """[T, B, h, w, C] as rows, all steps and places of one sample after those of the other."""
    return np.ascontiguousarray(array.swapaxes(0, 1), np.float32).reshape(-1, array.shape[-1])
