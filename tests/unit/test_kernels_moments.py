"""Sums over rows against loops: exact for integers, one rounding per term for real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from naive import moments as naive
from qpsnn_core.kernels import moments

SHAPES = [(1, 1), (5, 1), (7, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "largest"), [(np.int16, 32767), (np.int32, 2**29)])
def test_integers_are_summed_exactly(shape, dtype, largest):
    total = np.random.default_rng(1).integers(-largest, largest + 1, shape).astype(dtype)
    total[0] = -largest
    sums, squares = np.zeros(shape[1], np.int64), np.zeros(shape[1], np.int64)
    for low, high in ((0, 1), (1, shape[0])):
        moments.integer_moments(low, high, total, sums, squares)
    ref = naive.of_integers(total)
    assert ([int(value) for value in sums], [int(value) for value in squares]) == ref


@pytest.mark.parametrize("shape", SHAPES)
def test_real_numbers_are_summed_in_float64(shape):
    """Within n * 2**-53 of the sum of magnitudes, n terms: the classic bound of a running sum."""
    rng = np.random.default_rng(2)
    total, gradient = (rng.normal(1, 1, shape).astype(np.float32) for _ in range(2))
    sums, squares, gradient_sums, products = (np.zeros(shape[1]) for _ in range(4))
    for low, high in ((0, 1), (1, shape[0])):
        moments.real_moments(low, high, total, sums, squares)
        moments.gradient_moments(low, high, gradient, total, gradient_sums, products)
    bound = {"rtol": 0, "atol": shape[0] * 2.0**-53 * 40}
    for comp, ref in zip((sums, squares), naive.of_reals(total), strict=True):
        np.testing.assert_allclose(comp, ref, **bound)
    for comp, ref in zip((gradient_sums, products), naive.of_products(gradient, total), strict=True):
        np.testing.assert_allclose(comp, ref, **bound)


def test_float32_does_not_swallow_small_terms():
    """2**24 + 1 + 1 in float32 is 2**24."""
    total = np.array([[2**24], [1], [1]], np.float32)
    sums, squares = np.zeros(1), np.zeros(1)
    moments.real_moments(0, 3, total, sums, squares)
    assert (sums.item(), squares.item()) == (2**24 + 2, 2**48 + 2)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_products_of_gradients_and_accumulators(dtype):
    rng = np.random.default_rng(3)
    gradient, total = rng.normal(0, 1, (6, 2)).astype(np.float32), rng.integers(-999, 1000, (6, 2)).astype(dtype)
    sums, products = np.ones(2), np.ones(2)
    moments.gradient_moments(2, 5, gradient, total, sums, products)
    ref_sums, ref_products = naive.of_products(gradient[2:5], total[2:5])
    np.testing.assert_allclose(sums - 1, ref_sums, atol=1e-12)
    np.testing.assert_allclose(products - 1, ref_products, atol=1e-12)
