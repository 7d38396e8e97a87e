"""Readout: the current multiplied out, or spikes, as logits of every step; of a membrane, the step that is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.kind_table import OptionTable
from qpsnn_core.common.types import Array, Floats, Longs
from qpsnn_core.engine.layers.base import Current, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Readout

init = nothing


class Cache(NamedTuple):
    """read: the accumulators or spikes [T or 1, B, H, W, K]; chosen: the step that each logit is of, or None.

    steps, parts: as of the LayerContext. scale: what 1 of a spike is, 0 of a current.
    """

    read: Array
    chosen: Longs | None
    steps: int
    parts: int
    scale: float


def _every(membranes: Floats) -> None:
    return None


def _final(membranes: Floats) -> Longs:
    return np.full(membranes.shape[1:], len(membranes) - 1)


def _highest(membranes: Floats) -> Longs:
    """The first of equal ones."""
    found: Longs = membranes.argmax(0)
    return found


CHOSEN: OptionTable[Callable[[Floats], Longs | None]] = OptionTable(
    "the engine", "mode", {"mean": _every, "last": _final, "max": _highest}
)
"""The step [B, K] whose membrane is the logit; None: all of them are logits."""


def forward(node: Readout, context: LayerContext, value: Current | Array) -> LayerOutput:
    """Logits float32 [T, B, K], or [1, B, K] where one step of each is read; of each place [.., B, H, W, K]."""
    read, scale = (value.acc, 0.0) if isinstance(value, Current) else (value, context.inputs[0].scale)
    if isinstance(value, Current):
        drive = value.scale * read.astype(np.float32) + value.shift
    else:
        drive = read.astype(np.float32) * np.float32(scale)
    drive = np.broadcast_to(drive, (context.steps, *drive.shape[1:]))
    drive = drive if node.places == "each" else drive.reshape(context.steps, drive.shape[1], -1)
    membranes = _leaking(node, drive)
    chosen = CHOSEN[node](membranes)
    logits = membranes if chosen is None else np.take_along_axis(membranes, chosen[None], 0)
    return LayerOutput(logits, Cache(read, chosen, context.steps, context.parts, scale), {})


def backward(node: Readout, cache: Cache, gradient: Floats) -> Gradients:
    """gradient: of the logits; each step's goes to its current, and leaks to those before it."""
    full = gradient
    if cache.chosen is not None:
        full = np.zeros((cache.steps, *gradient.shape[1:]), np.float32)
        np.put_along_axis(full, cache.chosen[None], gradient, 0)
    full = _leaking(node, full[::-1])[::-1]
    if len(cache.read) < len(full):
        full = add_steps(full)
    shaped = np.ascontiguousarray(full, np.float32).reshape(cache.read.shape)
    if cache.scale:
        return Gradients((shaped * np.float32(cache.scale),), {})
    return Gradients((with_moments(shaped, cache.read, cache.parts),), {})


def _leaking(node: Readout, drive: Floats) -> Floats:
    """`U[t] = beta*U[t-1] + X[t]`, in float32; the drive itself without a leak."""
    if not node.leak:
        return drive
    out, beta = drive.astype(np.float32), np.float32(node.leak)
    for step in range(1, len(out)):
        out[step] += beta * out[step - 1]
    return out
