"""Neurons of a model on its own data against their equations in plain NumPy: Eq. 14, what they store, what they learn.

A neuron's backward pass is Eq. 14, whose h is the slope of a smooth step, taken here by finite differences; likewise
the slope of the rounding of membranes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Doubles
from qpsnn_core.engine.layers.lif import Cache, Neuron, potentials
from qpsnn_core.experiments.audit_gradients import STEP, Trace
from qpsnn_core.kernels.neurons.learned import STORED
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.membranes import membrane_primitive, quantized
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.surrogates import primitive
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

NEAR = 1e-4
"""How far a membrane may be from its equation, as a part of the threshold, before the two are said to differ."""

CANCELLED = 1e-3
"""A gradient smaller than this part of the magnitudes of which it is the sum is measured against that part."""


class NeuronGradients(NamedTuple):
    """dL/dX [T, ...], and by neuron what is added up for dL/dtheta and dL/dbeta, [T, ...] each."""

    current: Doubles
    threshold: Doubles
    leak: Doubles


def neuron_errors(model: Model, seen: Trace) -> Iterator[tuple[str, float]]:
    """Of every LIF, `|dX - dX of Eq. 14| / |dX of Eq. 14|` (2-norms), the slope by finite differences."""
    for node, ref in _every(model, seen):
        for share in seen.back[node.name].inputs:
            found = share.array.astype(np.float64)
            want = ref.current if len(found) == len(ref.current) else ref.current.sum(0, keepdims=True)
            yield node.name, float(np.linalg.norm(found - want) / max(float(np.linalg.norm(want)), 1e-300))


def learned_errors(model: Model, seen: Trace) -> Iterator[tuple[str, float]]:
    """Of every threshold and leak that is learned, the error of its gradient, as a part of it (see CANCELLED)."""
    for node, ref in _every(model, seen):
        beta, theta = (one.astype(np.float64) for one in seen.done.caches[node.name].neuron)
        slopes = {"threshold": theta, "leak": beta * (1 - beta)}  # of e**r and of the logistic function
        for what in node.learn:
            terms = getattr(ref, what).reshape(-1, ref.current.shape[-1])
            want, most = terms.sum(0), np.abs(terms).sum(0)
            if node.learn_per == "layer":
                want, most = want.sum(keepdims=True), most.sum(keepdims=True)
            off = np.abs(seen.params[node.name][STORED[what]] - want * slopes[what])
            part = np.maximum(np.maximum(np.abs(want), CANCELLED * most) * slopes[what], 1e-300)
            yield f"{node.name}, {what}", float((off / part).max())


def stored_errors(model: Model, seen: Trace) -> Iterator[tuple[str, float]]:
    """Of every LIF that stores levels, or learns: the share of its spikes and membranes that its equations do not give.

    `U~ = beta U + X`, `S = U~ >= theta`, `U = Q(reset(U~))`, in float64, from the currents alone.
    """
    for node in model.network.neurons:
        if node.membrane is None and not node.learn:
            continue
        cache: Cache = seen.done.caches[node.name]
        spikes, before = seen.done.values[node.name], potentials(node, cache)
        beta, theta = _real(node, cache.neuron)
        current, membrane = _current(cache, spikes.shape), np.zeros(spikes.shape[1:])
        apart = 0
        for t in range(len(spikes)):
            u = beta * membrane + current[t]
            fired = u >= theta
            apart += int(((fired != (spikes[t] > 0)) | (np.abs(u - before[t]) > NEAR * theta)).sum())
            left = u * (1 - fired) if node.reset == "zero" else u - theta * fired
            membrane = _stored(node, theta, left)[0]
        yield node.name, apart / spikes.size


def _every(model: Model, seen: Trace) -> Iterator[tuple[LIF, NeuronGradients]]:
    for node in model.network.neurons:
        if node.name in seen.given:
            cache: Cache = seen.done.caches[node.name]
            spikes = seen.done.values[node.name].astype(np.float64)
            current, given = _current(cache, spikes.shape), seen.given[node.name].astype(np.float64)
            yield node, BACKWARDS[node](node, cache.neuron, current, spikes, given)


def _current(cache: Cache, shape: tuple[int, ...]) -> Doubles:
    """The sum of what drives a neuron, float64."""
    current = np.zeros(shape)
    for acc, scale, shift in cache.currents:
        current += scale.astype(np.float64) * acc + shift
    return current


def _real(node: LIF, neuron: Neuron) -> tuple[Any, Any]:
    """Its leak and threshold: what the node says, or has learned."""
    if not node.learn:
        return node.beta, node.threshold
    return neuron[0].astype(np.float64), neuron[1].astype(np.float64)


def backward_of(node: LIF, neuron: Neuron, current: Doubles, spikes: Doubles, gradient: Doubles) -> NeuronGradients:
    """Eq. 14 for one layer, from its leak and threshold, X, the spikes S, and dL/dS."""
    beta, threshold = _real(node, neuron)
    before, fall, after = np.empty_like(current), np.ones_like(current), np.zeros_like(current)
    left, membrane = np.empty_like(current), np.zeros(current.shape[1:])
    for t in range(len(current)):
        before[t] = beta * membrane + current[t]
        left[t] = before[t] * (1 - spikes[t]) if node.reset == "zero" else before[t] - threshold * spikes[t]
        after[t], fall[t] = _stored(node, threshold, left[t])
        membrane = after[t]
    step = STEP * node.width
    out, carry = np.empty_like(current), np.zeros(current.shape[1:])
    of_threshold, of_leak = np.empty_like(current), np.zeros_like(current)
    for t in reversed(range(len(current))):
        distance = before[t] - threshold
        rise = primitive(node.surrogate, node.width, distance + step)
        slope = (rise - primitive(node.surrogate, node.width, distance - step)) / (2 * step)
        kept, lost = (1 - spikes[t], before[t]) if node.reset == "zero" else (1.0, threshold)
        passed = carry * fall[t]
        spike = gradient[t] - (0 if node.detach_reset else passed * lost)
        out[t] = spike * slope + passed * kept
        of_threshold[t] = _of_threshold(node, threshold, distance, spike * slope, spikes[t])
        if node.reset == "subtract":
            of_threshold[t] -= passed * spikes[t]
        if node.membrane is not None:  # U = theta q(u / theta)
            of_threshold[t] += (carry * after[t] - passed * left[t]) / threshold
        if t:
            of_leak[t] = out[t] * after[t - 1]
        carry = beta * out[t]
    return NeuronGradients(out, of_threshold, of_leak)


def _of_threshold(node: LIF, threshold: Any, distance: Doubles, through: Doubles, spikes: Doubles) -> Doubles:
    """What a spike adds to dL/dtheta: of H(U~ - theta) minus what it adds to U~'s; or the published expression."""
    if node.threshold_gradient == "spquant":
        return np.where(spikes > 0, -through / (1 + np.exp(-distance)), 0.0)
    return -through


def _stored(node: LIF, threshold: Any, left: Doubles) -> tuple[Doubles, Any]:
    """The level that is kept of a membrane after its reset, and by differences the slope that stands in for its own."""
    how = node.membrane
    if how is None:
        return left, 1.0
    v = left * (how.parts / threshold)
    fall = (membrane_primitive(how, v + STEP) - membrane_primitive(how, v - STEP)) / (2 * STEP)
    return quantized(how, v) * (threshold / how.parts), fall


_NO_MEMBRANE = Refusal("it has no membrane")

BACKWARDS: KindTable[Callable[..., NeuronGradients]] = KindTable(
    "the audit of neurons",
    {
        Input: _NO_MEMBRANE,
        Conv: _NO_MEMBRANE,
        Linear: _NO_MEMBRANE,
        Shortcut: _NO_MEMBRANE,
        LIF: backward_of,
        MaxPool: _NO_MEMBRANE,
        AvgPool: _NO_MEMBRANE,
        Sum: _NO_MEMBRANE,
        Concat: _NO_MEMBRANE,
        Upsample: _NO_MEMBRANE,
        Dropout: _NO_MEMBRANE,
        ChannelGate: _NO_MEMBRANE,
        SpatialGate: _NO_MEMBRANE,
        Membrane: _NO_MEMBRANE,
        SelfAttention: _NO_MEMBRANE,
        Readout: _NO_MEMBRANE,
        CurrentReadout: _NO_MEMBRANE,
    },
)
