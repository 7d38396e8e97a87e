"""What joins currents: one of several added up, and the type of accumulators that stand side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.types import Floats
from qpsnn_core.engine.layers.base import Current, rows
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.neurons.lif import add_current
from qpsnn_core.kernels.threads import parallel_for

MIN_CHUNK_POSITIONS = 64
"""Least number of positions in a chunk."""


def added(currents: tuple[Current, ...], first: Floats | None = None) -> Floats:
    """Currents of one shape multiplied out and added up, one after the other, [T or 1, B, H, W, C].

    first: what they are added to, which stays as it is.
    """
    steps = max(*(len(one.acc) for one in currents), 1 if first is None else len(first))
    acc = empty((steps, *currents[0].acc.shape[1:]), np.float32)
    acc[...] = 0 if first is None else first
    positions = acc[0].size // acc.shape[-1]
    for one in currents:
        step = positions if len(one.acc) == steps else 0
        flat = (rows(acc), rows(one.acc), one.scale, one.shift)
        parallel_for(add_current, positions, MIN_CHUNK_POSITIONS, *flat, positions, step)
    return acc


def as_current(values: Floats) -> Current:
    """Real numbers as a current: a scale of 1, a shift of 0."""
    channels = values.shape[-1]
    return Current(values, np.ones(channels, np.float32), np.zeros(channels, np.float32))


def type_of_all(currents: tuple[Current, ...]) -> Any:
    """The narrowest type for all accumulators that kernels take: integers of 32 bits at most, else float32."""
    found = np.result_type(*(one.acc.dtype for one in currents))
    return found if found.itemsize <= 4 else np.dtype(np.float32)
