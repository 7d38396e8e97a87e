"""What joins values of an integer network: sums, concatenations and finer maps, of counts and of currents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np

from qpsnn_core.common.types import Array
from qpsnn_core.integer.nodes import IntConcat, IntSum, IntUpsample
from qpsnn_core.integer.step import IntCurrent, OperationContext, Step
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.neurons.integer_lif import add_scaled
from qpsnn_core.kernels.threads import parallel_for

POSITIONS = 256
"""The fewest neurons' places that are worth a thread's while."""


def add(node: IntSum, context: OperationContext, *values: Any) -> Step:
    """The sum, in a type that holds it; of currents in int32 with a gain of 1."""
    if isinstance(values[0], IntCurrent):
        return Step(*added(context, cast(tuple[IntCurrent, ...], values)))
    shape = (max(len(one) for one in values), *values[0].shape[1:])
    total = context.room(shape, count_type(context.gives.max_count))

    def run() -> None:
        total[...] = values[0]
        for other in values[1:]:
            np.add(total, other, out=total, casting="unsafe")

    return Step(total, run)


def added(context: OperationContext, currents: tuple[IntCurrent, ...]) -> tuple[IntCurrent, Callable[[], None]]:
    """Several currents as one with gain 1, int32, and the call that adds them."""
    steps = max(len(one.acc) for one in currents)
    shape = (steps, *currents[0].acc.shape[1:])
    total, positions = context.room(shape, np.int32), int(np.prod(shape[1:4]))

    def run() -> None:
        total[...] = 0
        for acc, gain in currents:
            step = positions if len(acc) > 1 else 0
            parallel_for(add_scaled, positions, POSITIONS, _rows(total), _rows(acc), gain, steps, positions, step)

    return IntCurrent(total, np.ones(shape[4], np.int32)), run


def concat(node: IntConcat, context: OperationContext, *values: Any) -> Step:
    """The channels side by side, in a type that holds all counts, or all accumulators; each current has its gains."""
    if not isinstance(values[0], IntCurrent):
        return Step(*_side_by_side(context, values, count_type(context.gives.max_count)))
    accs = tuple(one.acc for one in values)
    found = np.result_type(*(acc.dtype for acc in accs))
    whole, run = _side_by_side(context, accs, found if found.itemsize <= 4 else np.int32)
    return Step(IntCurrent(whole, np.concatenate([one.gain for one in values])), run)


def _side_by_side(context: OperationContext, arrays: tuple[Array, ...], dtype: Any) -> tuple[Array, Callable[[], None]]:
    whole = context.room((max(map(len, arrays)), *arrays[0].shape[1:4], context.gives.shape[2]), dtype)
    stops = np.cumsum([one.shape[4] for one in arrays]).tolist()

    def run() -> None:
        for one, stop in zip(arrays, stops, strict=True):
            whole[..., stop - one.shape[4] : stop] = one

    return whole, run


def upsample(node: IntUpsample, context: OperationContext, value: Any) -> Step:
    """Each pixel several times, in the type of what is read."""
    given = value.acc if isinstance(value, IntCurrent) else value
    steps, batch, height, width, channels = given.shape
    out = context.room((steps, batch, *context.gives.shape), given.dtype)
    fine = out.reshape(steps, batch, height, node.factor, width, node.factor, channels)
    run = partial(np.copyto, fine, given[:, :, :, None, :, None])
    return Step(value._replace(acc=out) if isinstance(value, IntCurrent) else out, run)


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])
