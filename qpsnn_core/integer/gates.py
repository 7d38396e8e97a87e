"""Gates in the exact simulator: masks from currents, priors, and convolutions that skip what is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array, Longs
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntGate, IntMembrane
from qpsnn_core.integer.step import Fired, IntCurrent, OperationContext, Step
from qpsnn_core.kernels.conv.gated import close_images
from qpsnn_core.kernels.conv.gates import gated_conv, open_masks
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import MAX_EVENT_COUNT, Product
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.additions import masked_additions
from qpsnn_core.network.gates import CHANNEL_MASK, gates_of

ConvOperation = Callable[[IntConv, OperationContext, Array], Step]


def gate(node: IntGate, context: OperationContext, current: IntCurrent) -> Step:
    """uint8 [T or 1, B, 1 or H, 1 or W, C or 1]."""
    acc, gain = current
    mask = context.room((*acc.shape[:2], *context.gives.shape), np.uint8)
    threshold, (height, width, _) = context.arrays["threshold"], context.gives.shape
    rows, columns = (np.arange(size) * acc.shape[2 + axis] // size for axis, size in enumerate((height, width)))

    def run() -> None:
        small = acc * gain.astype(np.int64) >= threshold
        mask[...] = np.repeat(small[:, :, rows][:, :, :, columns], node.size, axis=-1)

    return Step(mask, run)


def prior(node: IntMembrane, context: OperationContext, fired: Fired) -> Step:
    """Sums of levels of the step before, int8 or wider [T, B, H/size, W/size, C]."""
    membranes, step, initial, value = fired.membranes, fired.step, fired.initial, context.gives
    assert membranes is not None  # noqa: S101 - the plan keeps those that a prior reads
    assert step is not None  # noqa: S101 - checked when the network was made
    height, width, channels = value.shape
    low, high = int(value.interval.low.min()), int(value.interval.high.max())
    sums = context.room((*membranes.shape[:2], height, width, channels), image_type(low, high))

    def of(stored: Array) -> Array:
        """Levels [.., H, W, C] added up over windows."""
        size = node.size
        level = (stored[..., : height * size, : width * size, :] // step).astype(sums.dtype)
        total: Array = level.reshape(*stored.shape[:-3], height, size, width, size, channels).sum(
            (-4, -2), dtype=sums.dtype
        )
        return total

    def run() -> None:
        sums[0] = 0 if initial is None else of(initial)
        sums[1:] = of(membranes[:-1])

    return Step(sums, run)


def conv_of(conv: ConvOperation) -> Callable[..., Step]:
    """The operation of a convolution with or without gates; conv: without."""

    def operation(node: IntConv, context: OperationContext, counts: Array, *masks: Array) -> Step:
        return _gated(conv, node, context, counts, masks) if masks else conv(node, context, counts)

    return operation


def _gated(
    conv: ConvOperation, node: IntConv, context: OperationContext, counts: Array, masks: tuple[Array, ...]
) -> Step:
    """Sums of open counts, where they are open; of images, or counts too large to list, all sums, masked afterwards."""
    found = list(zip(masks, (one.kind == CHANNEL_MASK for one in context.reads[1:]), strict=True))
    given = found.pop(0) if node.gate is not None else None
    read = found.pop(0) if node.input_gate is not None else None
    value, steps, batch = context.reads[0], max(map(len, (counts, *masks))), counts.shape[1]
    sizes = cast(tuple[int, int, int], (node.kernel, node.stride, node.padding))  # gates close plain convolutions
    geometry = ConvGeometry.of(value.shape, node.channels, *sizes)
    events = value.kind == "counts" and value.max_count <= MAX_EVENT_COUNT
    taken = counts
    if len(counts) < steps or not events:
        taken = context.room((steps, *counts.shape[1:]), counts.dtype)
    if events:
        acc = context.room((steps, batch, *context.gives.shape), sum_type(context.gives.sums))
        inner = Step(IntCurrent(acc, context.arrays["gain"]), lambda: None)
    else:
        inner = conv(node, context, taken)
    acc = inner.value.acc

    def run() -> None:
        opened = open_masks(steps, given, read if events else None)
        if not events:
            np.multiply(counts, 1 if read is None else read[0], out=taken, casting="unsafe")
            inner.run()
            parallel_for(close_images, steps * batch, 1, acc.reshape(-1), geometry, opened)
            return
        if taken is not counts:
            taken[...] = counts
        product = Product(context.arrays["codes"], value.max_count, geometry)
        gated_conv(product, taken.reshape(-1), acc.reshape(-1), opened, context.ready)

    return Step(inner.value, run)


def adds_itself(network: IntegerNetwork, node: IntConv) -> bool:
    """Whether the additions of a convolution of counts depend on masks, and are counted where it runs."""
    return bool(gates_of(node)) and network.values[node.source].kind == "counts"


def additions(network: IntegerNetwork, node: IntConv, values: Mapping[str, Array]) -> Longs:
    """Those that a gated convolution does for each of its sums, over images and all steps, int64 [H', W', C].

    values: its counts and masks, as the nodes before it gave them.
    """
    counts, read = values[node.source], None if node.input_gate is None else values[node.input_gate]
    mask = None if node.gate is None else values[node.gate]
    window = cast(tuple[int, int, int], (node.kernel, node.stride, node.padding))  # gates close plain convolutions
    shape = network.shape(node.name)
    return masked_additions(window, shape, counts if read is None else counts * read, mask, network.steps)
