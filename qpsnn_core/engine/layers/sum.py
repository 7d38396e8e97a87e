"""Sum: spikes added element by element (SEW's ADD)."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.types import Array, Floats
from qpsnn_core.engine.layers.base import Gradients, LayerContext, LayerOutput, nothing
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.nodes import Sum

init = nothing


def forward(node: Sum, context: LayerContext, *spikes: Array) -> LayerOutput:
    """Counts [T, B, H, W, C]."""
    shape = np.broadcast_shapes(*(value.shape for value in spikes))
    out = np.zeros(shape, count_type(node.output(*context.inputs).max_count))
    for value in spikes:
        out += value
    return LayerOutput(out, tuple(len(value) for value in spikes), {})


def backward(node: Sum, lengths: tuple[int, ...], gradient: Floats) -> Gradients:
    """Every input gets the gradient; one that is the same at every step, its sum over T."""
    return Gradients(tuple(gradient if n == len(gradient) else add_steps(gradient)[None] for n in lengths), {})
