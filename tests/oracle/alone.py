"""Layers by themselves, where they are smooth: what they give as one number, and its derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.network import Conv, Linear, ValueSpec

LIMIT = 5e-4
"""Of `differences`: float32 sums err by 1e-6, over a step of 1e-2. Measured: 1e-4."""

REAL = ValueSpec("analog", (5, 4, 3))
COUNTS = ValueSpec("spikes", (5, 4, 3), 4, 0.5)
SYNAPSES = [
    (Conv("n", "x", 4, 3, 2, 1, None, bias=True, batch_norm=False), REAL),
    (Conv("n", "x", 4, 3, 2, 1, None, bias=True, batch_norm=False), COUNTS),
    (Conv("n", "x", 4, 2, 1, 0, None), REAL),
    (Conv("n", "x", 4, 3, 1, 2, None, bias=True), COUNTS),
    (Linear("n", "x", 6, None), COUNTS),
    (Linear("n", "x", 6, None, batch_norm=True), REAL),
    (Linear("n", "x", 6, None, bias=False, batch_norm=True), COUNTS),
]


class SingleSynapse:
    """One synapse by itself: a scalar, `sum of R * current`, and its derivatives."""

    def __init__(self, node: Any, value: ValueSpec, train: bool):
        rng = np.random.default_rng(3)
        self.node, self.value, self.train = node, value, train
        self.params, self.state = LAYERS[node].init(node, (value,), rng)
        for name, array in self.params.items():
            array[:] = rng.normal(0.5, 0.5, array.shape) if name != "weight" else rng.normal(0, 0.3, array.shape)
        shape = (2, 3, *value.shape)
        self.x = (
            rng.integers(0, 5, shape).astype(np.uint8)
            if value.max_count
            else rng.normal(0, 1, shape).astype(np.float32)
        )
        self.weights = rng.normal(0, 1, (2, 3, *node.output(value).shape)).astype(np.float32)

    def output(self, params=None, x=None):
        context = LayerContext(params or self.params, self.state, (self.value,), 2, self.train, True)
        return LAYERS[self.node].forward(self.node, context, self.x if x is None else x)

    def loss(self, params=None, x=None):
        acc, scale, shift = self.output(params, x).value
        return float(((scale.astype(float) * acc + shift) * self.weights).sum())

    def back(self):
        output = self.output()
        return LAYERS[self.node].backward(self.node, output.cache, with_moments(self.weights, output.value.acc))


def differences(node, value, train=True):
    """{parameter: deviation} of a layer's own backward."""
    layer, found, rng = SingleSynapse(node, value, train), {}, np.random.default_rng(4)
    grads = layer.back().params
    for name, array in layer.params.items():
        along = rng.normal(0, 1, array.shape).astype(np.float32)
        h = np.float32(1e-2)
        ends = [layer.loss({**layer.params, name: array + sign * h * along}) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / (2 * float(h))
        size = np.linalg.norm(grads[name]) * np.linalg.norm(along) + np.linalg.norm(layer.weights)
        found[name] = abs(difference - float((grads[name] * along).sum())) / size
    return found


def counting(node, *values):
    """A layer of counts that is linear, or linear where nothing is tied: (its loss, its inputs, its gradients)."""
    rng = np.random.default_rng(5)
    shape = (2, 3, *values[0].shape)
    # Multiples of 2, all different: one more changes no order.
    xs = [2 * rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.uint16) for _ in values]
    context = LayerContext({}, {}, values, 2, True, True)
    weights = rng.integers(-9, 10, (2, 3, *node.output(*values).shape)).astype(np.float32)

    def loss(xs):
        got = LAYERS[node].forward(node, context, *xs).value
        real = got.scale.astype(float) * got.acc + got.shift if hasattr(got, "acc") else got.astype(float)
        return float((real * weights).sum())

    output = LAYERS[node].forward(node, context, *xs)
    gradient = with_moments(weights, output.value.acc) if hasattr(output.value, "acc") else weights
    return loss, xs, LAYERS[node].backward(node, output.cache, gradient).inputs
