"""The max-pools of numbers of any sign against loops: ties, edges, channels that are turned."""

from __future__ import annotations

import numpy as np
import pytest

from naive import pool as naive
from qpsnn_core.kernels import extreme_pool as kernels

WINDOWS = [(2, 3, 1, 2, 0, 1), (3, 1, 3, 1, 2, 0), (1, 1, 1, 1, 0, 0)]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_largest_and_least(window, dtype):
    rng = np.random.default_rng(3)
    values, turned = rng.integers(-3, 4, (3, 5, 4, 5)).astype(dtype), np.array([False, True, False, True, True])
    rows, columns, down, right, top, left = window
    shape = (3, (5 + 2 * top - rows) // down + 1, (4 + 2 * left - columns) // right + 1, 5)
    out, back = np.full(shape, 99, dtype), np.full(values.shape, 99, np.float32)
    gradient = rng.integers(-5, 6, shape).astype(np.float32)
    for image in (2, 1, 0):
        kernels.extreme_forward(image, image + 1, values, turned, out, window)
        kernels.extreme_backward(image, image + 1, values, turned, gradient, back, window)
    np.testing.assert_array_equal(out, naive.extreme(values, turned, shape, window))
    np.testing.assert_array_equal(back, naive.extreme_back(values, turned, gradient, window))
