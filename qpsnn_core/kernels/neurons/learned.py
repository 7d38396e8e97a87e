"""Thresholds and leaks that are trained: their values from what is stored of them, and their gradients (16 neurons).

Stored is how far a value has moved: r of a threshold `theta = start * e**r`, which is positive, and of a leak `beta =
sigmoid(logit(start) + r) = start*e / (1 + start*(e - 1))`, `e = e**r`, which lies between 0 and 1. At 0 both are what
the node says, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.cyclic_channels import gather_sum
from qpsnn_core.kernels.elementary import exp, exponential
from qpsnn_core.kernels.neurons.membrane import stored
from qpsnn_core.kernels.simd.vector import fill16, greater_equal, load16, negative, select
from qpsnn_core.kernels.threads import kernel

STORED = {"threshold": "log_threshold", "leak": "logit_leak"}
"""From what a neuron learns to the name of its array: [1] or [C]."""


def thresholds(node: Any, params: Mapping[str, Array]) -> Array:
    """float32 [1], or [C] of a neuron that learns one for each channel. node: a LIF. params: its arrays."""
    given = np.full(1, node.threshold, np.float32)
    moved = params.get(STORED["threshold"])
    return given if moved is None else given * exp(moved.astype(np.float64)).astype(np.float32)


def leaks(node: Any, params: Mapping[str, Array]) -> Array:
    """Likewise of beta."""
    given = np.full(1, node.beta, np.float32)
    moved = params.get(STORED["leak"])
    if moved is None:
        return given
    factor, start = exp(moved.astype(np.float64)), np.float64(given[0])
    found: Array = (start * factor / (1 + start * (factor - 1))).astype(np.float32)
    return found


def real_thresholds(node: Any, params: Mapping[str, Array], channels: int) -> Array:
    """float64 [channels]: what the node says, or the float32 numbers that it has learned."""
    learned = STORED["threshold"] in params
    found: Array = np.resize(np.asarray(thresholds(node, params) if learned else node.threshold, np.float64), channels)
    return found


def settled(model: Any) -> Any:
    """The same Model, neurons that learn made into those that they have become; it computes the same bits.

    What each channel has learned stays as it is.
    """
    nodes, params = [], dict(model.params)
    for node in model.network:
        own = params.get(node.name, {})
        if node.name not in params or getattr(node, "learn_per", "channel") == "channel":
            nodes.append(node)
            continue
        found = {"threshold": float(thresholds(node, own)[0]), "leak": float(leaks(node, own)[0])}
        fields = {"threshold": "threshold", "leak": "beta"}
        nodes.append(replace(node, learn=(), **{fields[what]: found[what] for what in node.learn}))
        del params[node.name]
    if len(params) == len(model.params):
        return model
    return model._replace(network=replace(model.network, nodes=tuple(nodes)), params=params)


@kernel
def of_channels(values, plain, phase):
    """16 numbers of channels from `phase` on; `plain`, where there are none (None). values: from `tile_channels`."""
    if values is None:
        return plain
    return load16(values, phase)


@kernel
def add_threshold(limits, total, u, left, limit, spike, carry, passed, h, subtract, levels, published, like):
    """total plus dL/dtheta of a step; `total` where thresholds are not learned (limits None).

    u, left: membranes before and after their reset. spike: dL/dS, by all ways. carry, passed: dL/dU of what is stored,
    and dL/dU of `left`. h: dS/dU~. `-spike*h`, published: times sigmoid(u - theta), where it fired; the reset by
    subtraction takes theta off (subtract); levels are multiples of it: `carry*U/theta - passed*left/theta`. limit:
    theta of these 16. like: gives the type.
    """
    if limits is None:
        return total
    fired, zero, part = greater_equal(u, limit), fill16(0, like), spike * h
    if published:
        one = fill16(1, like)
        part = select(fired, part / (one + exponential(negative(u - limit))), zero)
    total = total - part
    if subtract is not None:
        total = total - select(fired, passed, zero)
    return add_levels(total, left, limit, carry, passed, levels, like)


@kernel
def add_levels(total, left, limit, carry, passed, levels, like):
    """The part that comes from levels, arguments as for `add_threshold`; `total` where there are none (None)."""
    if levels is None:
        return total
    return total + (carry * stored(left, limit, levels, like) - passed * left) / limit


@kernel
def gather_learned(limits, added, phase, thresholds, leaks):
    """Add thresholds and leaks, of 16 neurons from `phase` on, to rows 3 and 4 of `added`, where limits are learned."""
    if limits is not None:
        gather_sum(added[3], phase, thresholds)
        gather_sum(added[4], phase, leaks)
