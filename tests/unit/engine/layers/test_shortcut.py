"""A shortcut of counts with a scale (after an average), forward and back, channel by channel in loops."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.engine.layers import shortcut
from qpsnn_core.engine.layers.base import CurrentGradient, LayerContext
from qpsnn_core.network import Shortcut
from qpsnn_core.network.values import ValueSpec


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mapping", [(0, 1, 2), (2, 0, 1), (-1, 0, 2, -1), (1, 1, -1, 1), (0, 0, 0)], ids=str)
def test_there_and_back(mapping, stride, scale):
    rng = np.random.default_rng(stride)
    node = Shortcut("short", "x", len(mapping), stride, mapping)
    counts = rng.integers(0, 5, (2, 1, 3, 4, 3)).astype(np.uint8)
    value = ValueSpec("spikes", (3, 4, 3), 4, scale)
    output, cache, _ = shortcut.forward(node, LayerContext({}, {}, (value,), 2, True, True), counts)
    current = output.acc * output.scale + output.shift
    gradient = rng.integers(-4, 5, current.shape).astype(np.float32)
    sums = np.zeros(len(mapping))
    (back,) = shortcut.backward(node, cache, CurrentGradient(gradient, sums, sums)).inputs
    ref, ref_back = np.zeros(current.shape), np.zeros(counts.shape)
    for t, b, y, x, c in np.ndindex(current.shape):
        if mapping[c] >= 0:
            place = (t, b, y * stride, x * stride, mapping[c])
            ref[t, b, y, x, c] = scale * counts[place]
            ref_back[place] += scale * gradient[t, b, y, x, c]
    np.testing.assert_array_equal(current, ref)
    np.testing.assert_array_equal(back, ref_back)
