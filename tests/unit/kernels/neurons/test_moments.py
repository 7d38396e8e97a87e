"""Sums over rows against loops: exact for integers, one rounding per term for real numbers."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from naive import moments as naive
from qpsnn_core.kernels.neurons import batch_norm

SHAPES = [(1, 1), (5, 1), (7, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "largest"), [(np.int16, 32767), (np.int32, 2**29)])
def test_integers_are_summed_exactly(shape, dtype, largest):
    total = np.random.default_rng(1).integers(-largest, largest + 1, shape).astype(dtype)
    total[0] = -largest
    sums, squares = np.zeros(shape[1], np.int64), np.zeros(shape[1], np.int64)
    for start, stop in ((0, 1), (1, shape[0])):
        batch_norm.integer_moments(start, stop, total, sums, squares)
    ref = naive.of_integers(total)
    assert ([int(value) for value in sums], [int(value) for value in squares]) == ref


def short_moments(total, spans):
    sums, squares = np.zeros(total.shape[1], np.int64), np.zeros(total.shape[1], np.int64)
    for start, stop in spans:
        batch_norm.short_moments(start, stop, total, sums, squares)
    return [int(value) for value in sums], [int(value) for value in squares]


@pytest.mark.parametrize("channels", [1, 3, 15, 16, 17, 31, 33, 64, 100])
def test_short_integers_are_summed_exactly_on_16_lanes(channels):
    total = np.random.default_rng(channels).integers(-(2**15), 2**15, (9, channels)).astype(np.int16)
    total[3], total[5] = -(2**15), 2**15 - 1
    assert short_moments(total, [(0, 1), (1, 9)]) == naive.of_integers(total)
    assert short_moments(total, [(2, 7)]) == naive.of_integers(total[2:7])


@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1, -1, 255, 256, -257])
@pytest.mark.parametrize("rows", [batch_norm.ROWS - 1, batch_norm.ROWS, batch_norm.ROWS + 1, 2 * batch_norm.ROWS + 3])
def test_short_integers_never_wrap_however_many(value, rows):
    """-32768 squared is 2**30, and its upper half 2**14: 2**14 rows of either stay below 2**31, 2**17 would not."""
    rows = rows % batch_norm.ROWS + 2 if numba.config.DISABLE_JIT else rows
    total = np.full((rows, 2), value, np.int16)
    assert short_moments(total, [(0, rows)]) == ([rows * value] * 2, [rows * value**2] * 2)


def test_every_square_of_a_short_integer():
    """All 65536 of them, 16 to a row: the two halves of a square put together again are the square."""
    total = np.arange(-(2**15), 2**15).astype(np.int16).reshape(-1, 16)
    total = total[:: 2**6] if numba.config.DISABLE_JIT else total
    wide = total.astype(object)
    assert short_moments(total, [(0, len(total))]) == (wide.sum(0).tolist(), (wide * wide).sum(0).tolist())


@pytest.mark.parametrize("shape", SHAPES)
def test_real_numbers_are_summed_in_float64(shape):
    """Within n * 2**-53 of the sum of magnitudes, n terms: the classic bound of a running sum."""
    rng = np.random.default_rng(2)
    total, gradient = (rng.normal(1, 1, shape).astype(np.float32) for _ in range(2))
    sums, squares, gradient_sums, products = (np.zeros(shape[1]) for _ in range(4))
    for start, stop in ((0, 1), (1, shape[0])):
        batch_norm.real_moments(start, stop, total, sums, squares)
        batch_norm.gradient_moments(start, stop, gradient, total, gradient_sums, products)
    bound = {"rtol": 0, "atol": shape[0] * 2.0**-53 * 40}
    for comp, ref in zip((sums, squares), naive.of_reals(total), strict=True):
        np.testing.assert_allclose(comp, ref, **bound)
    for comp, ref in zip((gradient_sums, products), naive.of_products(gradient, total), strict=True):
        np.testing.assert_allclose(comp, ref, **bound)


def test_float32_does_not_swallow_small_terms():
    """2**24 + 1 + 1 in float32 is 2**24."""
    total = np.array([[2**24], [1], [1]], np.float32)
    sums, squares = np.zeros(1), np.zeros(1)
    batch_norm.real_moments(0, 3, total, sums, squares)
    assert (sums.item(), squares.item()) == (2**24 + 2, 2**48 + 2)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_products_of_gradients_and_accumulators(dtype):
    rng = np.random.default_rng(3)
    gradient, total = rng.normal(0, 1, (6, 2)).astype(np.float32), rng.integers(-999, 1000, (6, 2)).astype(dtype)
    sums, products = np.ones(2), np.ones(2)
    batch_norm.gradient_moments(2, 5, gradient, total, sums, products)
    ref_sums, ref_products = naive.of_products(gradient[2:5], total[2:5])
    np.testing.assert_allclose(sums - 1, ref_sums, atol=1e-12)
    np.testing.assert_allclose(products - 1, ref_products, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
def test_pieces_have_sums_of_their_own_over_all_steps(steps):
    rng = np.random.default_rng(steps)
    total, gradient = (rng.normal(0, 1, (steps * 9, 4)).astype(np.float32) for _ in range(2))
    pieces = np.array([(5, 9), (0, 0), (0, 5)])
    found, both = np.zeros((3, 2, 4)), np.zeros((3, 2, 4))
    for start, stop in ((2, 3), (0, 2)):
        batch_norm.real_moments_pieces(start, stop, pieces, steps, total, found)
        batch_norm.gradient_moments_pieces(start, stop, pieces, steps, gradient, total, both)
    for place, (start, stop) in enumerate(pieces):
        own, other = (array.reshape(steps, 9, 4)[:, start:stop].reshape(-1, 4) for array in (total, gradient))
        np.testing.assert_allclose(found[place], naive.of_reals(own), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(both[place], naive.of_products(other, own), rtol=1e-13, atol=1e-13)
