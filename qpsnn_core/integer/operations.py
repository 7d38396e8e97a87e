"""What each kind of integer node computes, over whole arrays and all time steps: one literal table, `OPERATIONS`.

Counts and accumulators are `[T, B, H, W, C]`, or `[1, B, H, W, C]` where every step is the same. An operation takes
its memory and looks up all that does not depend on the images; it gives a Step, whose `run` computes, as often as its
inputs are written again (`plan`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qpsnn_core.common.kind_table import KindTable, OptionTable
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array
from qpsnn_core.integer import gates, joins, pools, transformers
from qpsnn_core.integer.grouped import grouped, type_of_sums
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.integer.step import Fired, IntCurrent, OperationContext, Step
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.image import image_forward, panels
from qpsnn_core.kernels.conv.integers import IMAGES_WIN, MAX_EVENT_COUNT, Product, integer_conv
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.exact_types import exact_float, sum_type
from qpsnn_core.kernels.neurons.integer_lif import LANES, IntLIFSettings, current, int_lif, ladder
from qpsnn_core.kernels.neurons.lif import RESETS
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.synapses import neighbours

POSITIONS = 256
"""The fewest neurons' places that are worth a thread's while."""


def conv(node: IntConv, context: OperationContext, counts: Array) -> Step:
    """Event by event, or by a product of all; images through exact float32: signed ones, others where it is faster."""
    value, codes = context.reads[0], context.arrays["codes"]
    images = counts.shape[0] * counts.shape[1]
    height, width, channels = context.gives.shape
    if not node.plain:
        acc = context.room((*counts.shape[:2], *context.gives.shape), type_of_sums(node, counts, context.gives.sums))
        write = grouped(node, codes, value.max_count, counts, acc, context.ready, context.room)
        return Step(IntCurrent(acc, context.arrays["gain"]), write)
    (kernel, _), (stride, _), (padding, _) = map(both, (node.kernel, node.stride, node.padding))
    geometry = ConvGeometry.of(value.shape, channels, kernel, stride, padding)
    events = value.kind == "counts" and value.max_count <= MAX_EVENT_COUNT
    acc = context.room((images * height * width * channels,), sum_type(context.gives.sums) if events else np.int32)
    real = not events and (value.kind == "signed" or not IMAGES_WIN)
    run: Callable[[], object]
    if not real or exact_float(context.gives.sums) != np.float32:
        product = Product(codes, value.max_count, geometry)
        run = partial(integer_conv, product, counts.reshape(-1), acc, context.ready)
    else:
        weights = _once(context, "panels", lambda: panels(codes))
        run = partial(parallel_for, image_forward, images, 1, counts.reshape(-1), weights, acc, geometry)
    return Step(IntCurrent(acc.reshape(*counts.shape[:2], *context.gives.shape), context.arrays["gain"]), run)


def linear(node: IntLinear, context: OperationContext, counts: Array) -> Step:
    """A convolution of an image of one pixel, with all counts as its channels."""
    codes, value = context.arrays["codes"], context.reads[0]
    inputs, outputs = codes.shape
    acc = context.room((*counts.shape[:2], *context.gives.shape), np.int32)
    geometry = ConvGeometry.of((1, 1, inputs), outputs, 1)
    product = Product(codes.reshape(1, 1, inputs, outputs), value.max_count, geometry)
    run = partial(integer_conv, product, counts.reshape(-1), acc.reshape(-1), context.ready)
    return Step(IntCurrent(acc, context.arrays["gain"]), run)


def shortcut(node: IntShortcut, context: OperationContext, counts: Array) -> Step:
    """Every `stride`-th pixel of the mapped channels, in the counts' own type; themselves where nothing changes."""
    chosen, gain = np.array(node.channel_map), context.arrays["gain"]
    if node.stride == 1 and np.array_equal(chosen, np.arange(counts.shape[-1])):
        return Step(IntCurrent(counts, gain), _nothing)
    mapped = context.room((*counts.shape[:2], *context.gives.shape), counts.dtype)
    taken, placed = counts[:, :, :: node.stride, :: node.stride], np.flatnonzero(chosen >= 0)
    here, there = neighbours(placed), neighbours(chosen[placed])

    def run() -> None:
        if len(placed) < len(chosen):
            mapped[...] = 0
        mapped[..., here] = taken[..., there]

    return Step(IntCurrent(mapped, gain), run)


def lif(node: IntLIF, context: OperationContext, *currents: IntCurrent) -> Step:
    """One pass over memory for all time steps."""
    add: Callable[[], object] = _nothing
    if len(currents) > 2:
        added, add = joins.added(context, currents[1:])
        currents = (currents[0], added)
    batch, channels, levels = currents[0].acc.shape[1], currents[0].gain.shape[0], node.membrane
    positions = batch * context.gives.shape[0] * context.gives.shape[1]
    spikes = context.room((context.steps * positions, channels), np.uint8)
    membranes = context.room((context.steps * positions if context.keep else 0, channels), np.int32)
    driving = [current(_rows(acc), gain, positions if len(acc) > 1 else 0) for acc, gain in currents]
    driving.sort(key=lambda one: one[0].dtype.str)  # sums are exact, and kernels are compiled for each order of types
    settings = IntLIFSettings(
        tile_channels(context.arrays["bias"], LANES),
        tile_channels(context.arrays["threshold"], LANES),
        context.steps,
        positions,
        node.multiplier,
        node.shift,
        RESETS[node.reset],
        None if levels is None else ladder(context.arrays["threshold"], levels.low, levels.high, levels.parts),
    )
    second = driving[1] if len(driving) > 1 else None
    initial = () if context.initial is None else (context.initial.reshape(-1),)

    def run() -> None:
        add()
        parallel_for(int_lif, positions, POSITIONS, driving[0], second, spikes, membranes, settings, *initial)

    shape = (context.steps, batch, *context.gives.shape)
    kept = membranes.reshape(shape) if context.keep else None
    unit = None if levels is None else context.arrays["threshold"] // np.int32(levels.parts)
    return Step(Fired(spikes.reshape(shape), kept, unit, context.initial), run)


def readout(node: IntReadout, context: OperationContext, value: IntCurrent | Array) -> Step:
    """`sum_t (gain*acc + bias)`, int64 [B, K], of counts their sum; of a membrane, what ANSWERS says.

    Of each place, [B, H, W, K].
    """
    acc, gain = value if isinstance(value, IntCurrent) else (value, np.int32(1))
    acc = acc if node.places == "each" else acc.reshape(*acc.shape[:2], -1)
    total = context.room(acc.shape[1:], np.int64)
    bias, answer = context.arrays["bias"].astype(np.int64), ANSWERS[node]
    if node.mode == "mean" and not node.multiplier:
        offset, times = context.steps * bias, context.steps // len(acc)

        def run() -> None:
            total[...] = (acc.astype(np.int64) * gain).sum(0) * times + offset

        return Step(total, run)

    def integrate() -> None:
        membrane: Array = np.zeros(total.shape, np.int64)
        for step in range(context.steps):
            drive = acc[step if len(acc) > 1 else 0].astype(np.int64) * gain + bias
            membrane = ((membrane * node.multiplier) >> node.shift) + drive
            total[...] = answer(total, membrane) if step else membrane

    return Step(total, integrate)


ANSWERS: OptionTable[Callable[[Array, Array], Array]] = OptionTable(
    "the exact simulator", "mode", {"mean": np.add, "last": lambda total, membrane: membrane, "max": np.maximum}
)
"""The answer after a step, from that before it and the membrane."""


def given(node: IntInput, context: OperationContext, images: Array) -> Step:
    """The images, in the type that `image_type` says."""
    return Step(images, _nothing)


def _nothing() -> None:
    """What a node runs that gives what it gets."""


def _once(context: OperationContext, name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, or gave for an earlier plan."""
    if name not in context.ready:
        context.ready[name] = make()
    return context.ready[name]


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


OPERATIONS: KindTable[Callable[..., Step]] = KindTable(
    "the exact simulator",
    {
        IntInput: given,
        IntConv: gates.conv_of(conv),
        IntLinear: linear,
        IntShortcut: shortcut,
        IntLIF: lif,
        IntMaxPool: pools.max_pool,
        IntSumPool: pools.sum_pool,
        IntSum: joins.add,
        IntConcat: joins.concat,
        IntUpsample: joins.upsample,
        IntGate: gates.gate,
        IntAttention: transformers.attention,
        IntMembrane: gates.prior,
        IntReadout: readout,
        IntCurrentReadout: transformers.current_readout,
    },
)
"""From node kind to what prepares its computation."""
