"""Backward of each layer by finite differences of its forward: synapses in small steps, counts in steps of one."""

from __future__ import annotations

import numpy as np
import pytest

from oracle import alone
from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.base import Current, LayerContext
from qpsnn_core.network import AvgPool, MaxPool, Readout, Shortcut, Sum, ValueSpec


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("node", "value"), alone.SYNAPSES, ids=lambda case: type(case).__name__)
def test_synapses_by_differences(node, value, train):
    found = alone.differences(node, value, train)
    assert max(found.values()) < alone.LIMIT, found


@pytest.mark.parametrize(
    "node", [case[0] for case in alone.SYNAPSES if case[1] is alone.COUNTS], ids=lambda n: type(n).__name__
)
def test_one_count_more_adds_its_gradient(node):
    """With given statistics a synapse is linear in its counts, so one more is no small step but an exact one."""
    layer = alone.SingleSynapse(node, alone.COUNTS, train=False)
    (gradient,) = layer.back().inputs
    before = layer.loss()
    for place in list(np.ndindex(layer.x.shape))[::7]:
        more = layer.x.copy()
        more[place] += 1
        assert layer.loss(x=more) - before == pytest.approx(gradient[place], rel=1e-4, abs=1e-4), place


LARGE = ValueSpec("spikes", (5, 4, 2), 1000)


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (Shortcut("n", "x", 4, 2), (LARGE,)),
        (Shortcut("n", "x", 3, 1, (1, -1, 1)), (LARGE,)),
        (MaxPool("n", "x", 2), (LARGE,)),
        (MaxPool("n", "x", 3, 1, 2), (LARGE,)),
        (AvgPool("n", "x", 2), (LARGE,)),
        (AvgPool("n", "x", 3, 1), (LARGE,)),
        (AvgPool("n", "x", 2, 3), (LARGE,)),
        (Sum("n", ("x", "y")), (LARGE, LARGE)),
    ],
    ids=lambda case: type(case).__name__ if not isinstance(case, tuple) else "",
)
def test_counting_layers_by_differences(node, values):
    loss, xs, gradients = alone.counting(node, *values)
    before = loss(xs)
    for index, gradient in enumerate(gradients):
        for place in np.ndindex(xs[index].shape):
            more = [x.copy() for x in xs]
            more[index][place] += 1
            assert loss(more) - before == gradient[place], place


def test_the_readout_by_differences():
    node, value = Readout("n", "x"), ValueSpec("current", (1, 1, 3))
    layer, rng = LAYERS[node], np.random.default_rng(6)
    context = LayerContext({}, {}, (value,), 4, True, True)
    weights = rng.integers(-9, 10, (4, 2, 3)).astype(np.float32)
    for length in (1, 4):
        acc, scale = np.zeros((length, 2, 1, 1, 3), np.int32), np.ones(3, np.float32)
        current = Current(acc, scale, np.zeros(3, np.float32))
        (gradient,) = layer.backward(node, layer.forward(node, context, current).cache, weights).inputs
        for place in np.ndindex(current.acc.shape):
            current.acc[place] = 1
            assert (layer.forward(node, context, current).value * weights).sum() == gradient.array[place]
            current.acc[place] = 0
