"""Readout: the current multiplied out, as logits of every step."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Current, Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Readout

init = nothing


def forward(node: Readout, context: LayerContext, current: Current) -> LayerOutput:
    """Logits float32 [T, B, K]."""
    logits = current.scale * current.acc.astype(np.float32) + current.shift
    logits = np.broadcast_to(logits, (context.steps, *logits.shape[1:])).reshape(context.steps, logits.shape[1], -1)
    return LayerOutput(logits, (current.acc, context.parts), {})


def backward(node: Readout, cache: tuple[Array, int], gradient: Floats) -> Gradients:
    """gradient: [T, B, K]."""
    acc, parts = cache
    full = gradient if len(acc) == len(gradient) else add_steps(gradient)
    return Gradients((with_moments(np.ascontiguousarray(full, np.float32).reshape(acc.shape), acc, parts),), {})
