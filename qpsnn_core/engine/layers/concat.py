"""Concat: the channels of spikes, or of currents, one source's after the other's."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.currents import type_of_all
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Concat

init = nothing


class Cache(NamedTuple):
    """Of each source: how many channels it has, and how many steps, 1 where all are the same."""

    channels: tuple[int, ...]
    lengths: tuple[int, ...]


def forward(node: Concat, context: LayerContext, *values: Any) -> LayerOutput:
    """Counts [T, B, H, W, C], or a Current with each source's own scale and shift."""
    if not isinstance(values[0], Current):
        return _joined(values, count_type(node.output(*context.inputs).max_count))
    currents = cast(tuple[Current, ...], values)
    found = _joined(tuple(one.acc for one in currents), type_of_all(currents))
    scale, shift = (np.concatenate([one[part] for one in currents]) for part in (1, 2))
    return found._replace(value=Current(found.value, scale, shift))


def _joined(arrays: tuple[Array, ...], dtype: Any) -> LayerOutput:
    lengths, channels = tuple(map(len, arrays)), tuple(array.shape[-1] for array in arrays)
    out = empty((max(lengths), *arrays[0].shape[1:-1], sum(channels)), dtype)
    for array, (start, stop) in zip(arrays, _ends(channels), strict=True):
        out[..., start:stop] = array
    return LayerOutput(out, Cache(channels, lengths), {})


def backward(node: Concat, cache: Cache, gradient: Floats | CurrentGradient) -> Gradients:
    """Each input gets its channels' gradient; one that is the same at every step, its sum over T."""
    array = gradient.array if isinstance(gradient, CurrentGradient) else gradient
    found: list[Any] = []
    for length, (start, stop) in zip(cache.lengths, _ends(cache.channels), strict=True):
        part = np.ascontiguousarray(array[..., start:stop])
        part = part if length == len(array) else add_steps(part)[None]
        if isinstance(gradient, CurrentGradient):
            found.append(CurrentGradient(part, gradient.sums[start:stop], gradient.products[start:stop]))
        else:
            found.append(part)
    return Gradients(tuple(found), {})


def _ends(channels: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where the channels of each source begin and end."""
    stops = np.cumsum(channels).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True))
