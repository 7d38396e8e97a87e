"""Eq. 14 of one layer of neurons by loops in NumPy, its slopes by finite differences: what the audit compares with."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.types import Doubles
from qpsnn_core.engine.layers.lif import Neuron
from qpsnn_core.network.membranes import membrane_primitive, quantized
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.surrogates import primitive

STEP = 1e-4
"""Of finite differences, as a part of the width of a surrogate, and of a level of membranes."""


def backward_of(node: LIF, neuron: Neuron, current: Doubles, spikes: Doubles, gradient: Doubles) -> Doubles:
    """Eq. 14 for one layer: dL/dX [T, ...] from its leak and threshold, X, the spikes S, and dL/dS."""
    beta, threshold = (
        one.astype(np.float64) if node.learn else given
        for one, given in zip(neuron, (node.beta, node.threshold), strict=True)
    )
    before, fall = np.empty_like(current), np.ones_like(current)
    membrane = np.zeros(current.shape[1:])
    for t in range(len(current)):
        before[t] = beta * membrane + current[t]
        left = before[t] * (1 - spikes[t]) if node.reset == "zero" else before[t] - threshold * spikes[t]
        membrane, fall[t] = _stored(node, threshold, left)
    step = STEP * node.width
    out, carry = np.empty_like(current), np.zeros(current.shape[1:])
    for t in reversed(range(len(current))):
        distance = before[t] - threshold
        rise = primitive(node.surrogate, node.width, distance + step)
        slope = (rise - primitive(node.surrogate, node.width, distance - step)) / (2 * step)
        kept, lost = (1 - spikes[t], before[t]) if node.reset == "zero" else (1.0, threshold)
        kept = (kept - (0 if node.detach_reset else lost * slope)) * fall[t]
        out[t] = gradient[t] * slope + carry * kept
        carry = beta * out[t]
    return out


def _stored(node: LIF, threshold: Any, left: Doubles) -> tuple[Doubles, Any]:
    """The level that is kept of a membrane after its reset, and by differences the slope that stands in for its own."""
    how = node.membrane
    if how is None:
        return left, 1.0
    v = left * (how.parts / threshold)
    fall = (membrane_primitive(how, v + STEP) - membrane_primitive(how, v - STEP)) / (2 * STEP)
    return quantized(how, v) * (threshold / how.parts), fall
