"""Sums in one order: the bits of the loops, along rows, down columns, and over steps, however the work is cut."""

from __future__ import annotations

import numpy as np
import pytest

from naive import linalg as ref
from qpsnn_core.kernels.linalg import sums


@pytest.mark.parametrize("size", [1, 15, 16, 17, 40])
def test_products_along_rows(size):
    rng = np.random.default_rng(size)
    a, b, out = rng.standard_normal((5, size)), rng.standard_normal((5, size)), np.full(5, np.nan)
    for start, stop in ((2, 5), (0, 2)):
        sums.dot_rows(start, stop, a, b, out)
    np.testing.assert_array_equal(out, [ref.dot(x, y) for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(out, (a * b).sum(1), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("channels", [1, 3, 130])
def test_sums_down_columns(channels):
    values = np.random.default_rng(channels).standard_normal((29, channels))
    np.testing.assert_array_equal(sums.sum_down(values), ref.sums_down(values))
    np.testing.assert_array_equal(sums.sum_down(values.astype(np.float32)), ref.sums_down(values.astype(np.float32)))
    out = np.ones(channels)
    sums.add_down(0, channels // 2, values, out)
    np.testing.assert_array_equal(out[channels // 2 :], 1)
    assert sums.sum_down(np.zeros((0, channels))).tolist() == [0] * channels


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("steps", [1, 4])
def test_steps_are_filtered(dtype, steps):
    rng = np.random.default_rng(steps)
    factors, x = rng.standard_normal((steps, steps)), rng.integers(0, 3, (steps, 50)).astype(dtype)
    out = np.full((steps, 50), np.nan)
    for start, stop in ((20, 50), (0, 20)):
        sums.filter_steps(start, stop, factors, x, out)
    np.testing.assert_array_equal(out, ref.filtered(factors, x))
