"""Dropout: spikes or pixels times a mask that is the same at all steps of a sample."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.dropout import WORDS, draw_masks
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.nodes import Dropout

init = nothing


def forward(node: Dropout, context: LayerContext, x: Array) -> LayerOutput:
    """x itself, unless the pass has a draw: what is left then counts 1/(1 - rate), by the scale of its readers."""
    if context.draw is None or not node.rate:
        return LayerOutput(x, None, {})
    batch = x.shape[1]
    masks = empty((batch, x[0, 0].size), np.uint8)
    dropped = np.uint64(round(node.rate * WORDS))
    parallel_for(draw_masks, batch, 1, np.uint64(context.draw), dropped, masks)
    mask = masks.reshape(x.shape[1:])
    return LayerOutput(x * mask.astype(x.dtype), mask, {})


def backward(node: Dropout, mask: Array | None, gradient: Floats) -> Gradients:
    """What was left out gets none."""
    return Gradients((gradient if mask is None else gradient * mask.astype(np.float32),), {})
