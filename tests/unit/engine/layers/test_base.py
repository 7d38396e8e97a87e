"""Gradients of one current that goes to two neurons are added, part by part."""

from __future__ import annotations

import numpy as np

from qpsnn_core.engine.layers.base import CurrentGradient


def test_every_part_is_added():
    one = CurrentGradient(np.float32([1, 2]), np.array([10.0, 20.0]), np.array([100.0, 200.0]))
    other = CurrentGradient(np.float32([4, 8]), np.array([40.0, 80.0]), np.array([400.0, 800.0]))
    total = one + other
    assert total.array.tolist() == [5, 10]
    assert total.sums.tolist() == [50, 100]
    assert total.products.tolist() == [500, 1000]
