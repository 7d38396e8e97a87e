"""What each kind of integer node computes, over whole arrays and all time steps: one literal table, `OPERATIONS`.

Counts and accumulators are `[T, B, H, W, C]`, or `[1, B, H, W, C]` where every step is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Array, NamedArrays
from qpsnn_core.integer.node_kinds import IntValueSpec
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.image import image_forward, panels
from qpsnn_core.kernels.conv.integers import IMAGES_WIN, MAX_EVENT_COUNT, Product, integer_conv
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.exact_types import count_type, exact_float, sum_type
from qpsnn_core.kernels.neurons.integer_lif import LANES, IntLIFSettings, add_scaled, current, int_lif
from qpsnn_core.kernels.neurons.lif import RESETS
from qpsnn_core.kernels.pool import max_forward, sum_forward
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.synapses import neighbours

POSITIONS = 256
"""The fewest neurons' places that are worth a thread's while."""


class IntCurrent(NamedTuple):
    """`X = gain * acc` per channel, not multiplied out. acc: integers [T or 1, B, H, W, C]; gain: int32 [C]."""

    acc: Array
    gain: Array


class OperationContext(NamedTuple):
    """What an operation gets besides its inputs: the node's arrays, and the values it reads and gives.

    keep: whether a LIF's membranes are wanted. ready: what was made of the node's arrays at an earlier run. initial: a
    LIF's membranes before the first step, int32 [B, H, W, C]; None: 0.
    """

    arrays: NamedArrays
    reads: tuple[IntValueSpec, ...]
    gives: IntValueSpec
    steps: int
    keep: bool
    ready: dict[str, Any]
    initial: Array | None = None


class Fired(NamedTuple):
    """What a LIF gives: spikes uint8 [T, B, H, W, C], and membranes after reset, int32 (None: not kept)."""

    spikes: Array
    membranes: Array | None


def conv(node: IntConv, context: OperationContext, counts: Array) -> IntCurrent:
    """Event by event, or by a product of all; images through exact float32: signed ones, others where it is faster."""
    value, codes = context.reads[0], context.arrays["codes"]
    images = np.ascontiguousarray(counts).reshape(-1, *value.shape)
    height, width, channels = context.gives.shape
    geometry = ConvGeometry.of(value.shape, channels, node.kernel, node.stride, node.padding)
    events = value.kind == "counts" and value.max_count <= MAX_EVENT_COUNT
    acc = empty((len(images) * height * width * channels,), sum_type(context.gives.sums) if events else np.int32)
    real = not events and (value.kind == "signed" or not IMAGES_WIN)
    if not real or exact_float(context.gives.sums) != np.float32:
        product = Product(codes, value.max_count, geometry)
        integer_conv(product, images.reshape(-1), acc, context.ready)
    else:
        weights = _once(context, "panels", lambda: panels(codes))
        parallel_for(image_forward, len(images), 1, images.reshape(-1), weights, acc, geometry)
    return IntCurrent(acc.reshape(*counts.shape[:2], *context.gives.shape), context.arrays["gain"])


def linear(node: IntLinear, context: OperationContext, counts: Array) -> IntCurrent:
    """A convolution of an image of one pixel, with all counts as its channels."""
    codes, value = context.arrays["codes"], context.reads[0]
    inputs, outputs = codes.shape
    images = np.ascontiguousarray(counts).reshape(-1)
    acc = empty((len(images) // inputs * outputs,), np.int32)
    geometry = ConvGeometry.of((1, 1, inputs), outputs, 1)
    integer_conv(Product(codes.reshape(1, 1, inputs, outputs), value.max_count, geometry), images, acc, context.ready)
    return IntCurrent(acc.reshape(*counts.shape[:2], *context.gives.shape), context.arrays["gain"])


def shortcut(node: IntShortcut, context: OperationContext, counts: Array) -> IntCurrent:
    """Every `stride`-th pixel of the mapped channels, in the counts' own type; themselves where nothing changes."""
    chosen = np.array(node.channel_map)
    acc = np.ascontiguousarray(counts[:, :, :: node.stride, :: node.stride])
    if not np.array_equal(chosen, np.arange(counts.shape[-1])):
        placed = np.flatnonzero(chosen >= 0)
        mapped = np.zeros((*acc.shape[:-1], len(chosen)), counts.dtype)
        mapped[..., neighbours(placed)] = acc[..., neighbours(chosen[placed])]
        acc = mapped
    return IntCurrent(acc, context.arrays["gain"])


def lif(node: IntLIF, context: OperationContext, *currents: IntCurrent) -> Fired:
    """One pass over memory for all time steps."""
    if len(currents) > 2:
        currents = (currents[0], _added(context, currents[1:]))
    batch, channels = currents[0].acc.shape[1], currents[0].gain.shape[0]
    positions = batch * context.gives.shape[0] * context.gives.shape[1]
    spikes = empty((context.steps * positions, channels), np.uint8)
    membranes = empty((context.steps * positions if context.keep else 0, channels), np.int32)
    driving = [current(_rows(acc), gain, positions if len(acc) > 1 else 0) for acc, gain in currents]
    settings = IntLIFSettings(
        tile_channels(context.arrays["bias"], LANES),
        tile_channels(context.arrays["threshold"], LANES),
        context.steps,
        positions,
        node.multiplier,
        node.shift,
        RESETS[node.reset],
    )
    parallel_for(
        int_lif,
        positions,
        POSITIONS,
        driving[0],
        driving[1] if len(driving) > 1 else None,
        spikes,
        membranes,
        settings,
        *(() if context.initial is None else (np.ascontiguousarray(context.initial).reshape(-1),)),
    )
    shape = (context.steps, batch, *context.gives.shape)
    return Fired(spikes.reshape(shape), membranes.reshape(shape) if context.keep else None)


def _added(context: OperationContext, currents: tuple[IntCurrent, ...]) -> IntCurrent:
    """Several currents as one with gain 1, int32."""
    steps = max(len(one.acc) for one in currents)
    shape = (steps, *currents[0].acc.shape[1:])
    total = np.zeros(shape, np.int32)
    positions = int(np.prod(shape[1:4]))
    for acc, gain in currents:
        step = positions if len(acc) > 1 else 0
        parallel_for(add_scaled, positions, POSITIONS, _rows(total), _rows(acc), gain, steps, positions, step)
    return IntCurrent(total, np.ones(shape[4], np.int32))


def max_pool(node: IntMaxPool, context: OperationContext, counts: Array) -> Array:
    """The largest count of each window."""
    images, out = _pooling(context, counts)
    parallel_for(max_forward, len(images), 1, images, out, node.size, node.stride, node.padding)
    return out.reshape(*counts.shape[:2], *context.gives.shape)


def sum_pool(node: IntSumPool, context: OperationContext, counts: Array) -> Array:
    """The sum of each window."""
    images, out = _pooling(context, counts)
    parallel_for(sum_forward, len(images), 1, images, out, node.size, node.step)
    return out.reshape(*counts.shape[:2], *context.gives.shape)


def add(node: IntSum, context: OperationContext, *counts: Array) -> Array:
    """The sum, in a type that holds it."""
    total = counts[0].astype(count_type(context.gives.max_count))
    for other in counts[1:]:
        total = total + other.astype(total.dtype)
    return total


def readout(node: IntReadout, context: OperationContext, current: IntCurrent) -> Array:
    """`sum_t (gain*acc + bias)`, int64 [B, K]."""
    acc = current.acc.reshape(*current.acc.shape[:2], -1).astype(np.int64)
    bias = context.arrays["bias"].astype(np.int64)
    total: Array = (acc * current.gain).sum(0) * (context.steps // len(acc)) + context.steps * bias
    return total


def given(node: IntInput, context: OperationContext, images: Array) -> Array:
    """The images, in the type of their counts."""
    return np.ascontiguousarray(images, image_type(node.low, node.peak))


def _once(context: OperationContext, name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, or gave at an earlier run."""
    if name not in context.ready:
        context.ready[name] = make()
    return context.ready[name]


def _rows(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def _pooling(context: OperationContext, counts: Array) -> tuple[Array, Array]:
    images = np.ascontiguousarray(counts).reshape(-1, *context.reads[0].shape)
    return images, empty((len(images), *context.gives.shape), count_type(context.gives.max_count))


OPERATIONS: KindTable[Callable[..., Any]] = KindTable(
    "the exact simulator",
    {
        IntInput: given,
        IntConv: conv,
        IntLinear: linear,
        IntShortcut: shortcut,
        IntLIF: lif,
        IntMaxPool: max_pool,
        IntSumPool: sum_pool,
        IntSum: add,
        IntReadout: readout,
    },
)
"""From node kind to what computes it."""
