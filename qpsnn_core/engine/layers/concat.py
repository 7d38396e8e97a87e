"""Concat: the channels of spikes, one source's after the other's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Concat

init = nothing


class Cache(NamedTuple):
    """Of each source: how many channels it has, and how many steps, 1 where all are the same."""

    channels: tuple[int, ...]
    lengths: tuple[int, ...]


def forward(node: Concat, context: LayerContext, *spikes: Array) -> LayerOutput:
    """Counts [T, B, H, W, C]."""
    lengths, channels = tuple(map(len, spikes)), tuple(value.shape[-1] for value in spikes)
    dtype = count_type(node.output(*context.inputs).max_count)
    out = np.empty((max(lengths), *spikes[0].shape[1:-1], sum(channels)), dtype)
    for value, (start, stop) in zip(spikes, _ends(channels), strict=True):
        out[..., start:stop] = value
    return LayerOutput(out, Cache(channels, lengths), {})


def backward(node: Concat, cache: Cache, gradient: Floats) -> Gradients:
    """Each input gets its channels' gradient; one that is the same at every step, its sum over T."""
    parts = (np.ascontiguousarray(gradient[..., start:stop]) for start, stop in _ends(cache.channels))
    same = zip(parts, cache.lengths, strict=True)
    return Gradients(tuple(part if n == len(gradient) else add_steps(part)[None] for part, n in same), {})


def _ends(channels: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where the channels of each source begin and end."""
    stops = np.cumsum(channels).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True))
