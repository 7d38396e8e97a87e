"""Counting singular values: each step against its twin, proofs against Jacobi and exact ranks, and what stays open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import svd as ref
from qpsnn_core.kernels import svd

EPSILON = 4e-6


def padded(matrix):
    """The matrix as the kernels want it: float64, zero columns up to a multiple of STRIDE."""
    n = matrix.shape[1]
    wide = -(-n // svd.STRIDE) * svd.STRIDE
    return np.pad(matrix.astype(float), ((0, 0), (0, wide - n)))


def above(matrix, threshold):
    v = padded(matrix)
    m, wide = v.shape
    scratch = np.full(m, np.nan), np.full(wide, np.nan), np.full(wide, np.nan), np.zeros((wide, wide))
    return svd.count_above(v, matrix.shape[1], threshold, *scratch)


def spikes(seed, shape, T=4, rate=0.2):
    return (np.random.default_rng(seed).random((T, *shape)) < rate).sum(0)


def of_rank(seed, m, n, r):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (m, r)) @ rng.integers(0, 3, (r, n))


def normal(*shape):
    return np.random.default_rng(shape[0]).standard_normal(shape)


@pytest.mark.parametrize(("low", "high"), [(0, 9), (2, 8), (3, 4), (5, 5)])
@pytest.mark.parametrize("start", [0, 16])
def test_add_rows(low, high, start):
    v, factors, into = normal(9, 32), normal(9), normal(32)
    want = ref.sum_of_rows(into, v, factors, low, high, start)
    svd.add_rows(into, v, factors, low, high, start)
    np.testing.assert_allclose(into, want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("low", [0, 4, 9])
@pytest.mark.parametrize("start", [0, 16])
def test_subtract_row(low, start):
    v, factors, row = normal(9, 32), normal(9), normal(32)
    want = ref.less_row(v, factors, row, low, start)
    svd.subtract_row(v, factors, row, low, start)
    np.testing.assert_array_equal(v, want)


@pytest.mark.parametrize("values", [[0.0], [1.0, 2.0, 2.0, 1.0], [3.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
def test_longest(values):
    values = np.array(values)
    for low in range(len(values)):
        assert svd.longest(values, low, len(values)) == ref.first_largest(values, low, len(values))


@pytest.mark.parametrize("low", [0, 3, 8])
def test_measure(low):
    v, lengths = normal(9, 32), np.full(32, np.nan)
    want, total = ref.squares(v, low)
    assert svd.measure(v, low, lengths) == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(lengths, want, rtol=1e-13)


@pytest.mark.parametrize("k", [0, 5, 8, 19])
@pytest.mark.parametrize("sign", [1, -1])
def test_reflect(k, sign):
    v = normal(21, 32)
    v[:, :k] = 0
    v[k, k] = sign * abs(v[k, k])
    want = ref.reflected(v, k)
    svd.reflect(v, k, np.full(21, np.nan), np.full(32, np.nan))
    np.testing.assert_allclose(v[:, k + 1 :], want[:, k + 1 :], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(v[k, k], want[k, k], rtol=1e-12)


@pytest.mark.parametrize("rank", [1, 7, 16, 17, 30])
def test_inverse_norm(rank):
    v, inverse = normal(33, 48) + 4 * np.eye(33, 48), np.zeros((48, 48))
    for r in (rank, 30, rank):
        found = svd.inverse_norm(v, r, inverse)
        assert found == pytest.approx(ref.inverse_norm(v, r), rel=1e-11)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (8, 8), (9, 4), (17, 16), (20, 33)])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.9])
def test_count_above_is_proved_and_right(shape, rate):
    for seed in range(4):
        matrix = spikes(seed, shape, rate=rate)
        assert above(matrix, EPSILON) == ref.above(matrix, EPSILON) == ref.rank(matrix)


@pytest.mark.parametrize(("m", "n", "r"), [(4, 4, 1), (8, 8, 3), (16, 16, 15), (12, 20, 7), (24, 18, 9), (32, 32, 31)])
def test_count_above_of_a_low_rank(m, n, r):
    for seed in range(3):
        matrix = of_rank(seed, m, n, r)
        assert above(matrix, EPSILON) == ref.rank(matrix) <= r


@pytest.mark.parametrize(
    "matrix", [np.zeros((5, 6)), np.ones((6, 5)), np.eye(7), 4 * np.ones((48, 48)), [[0, 3], [0, 0]]]
)
def test_count_above_by_hand(matrix):
    matrix = np.array(matrix)
    assert above(matrix, EPSILON) == np.linalg.matrix_rank(matrix)


@given(
    st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.sampled_from([4e-6, 0.5, 2.0])
)
def test_what_is_proved_is_right(seed, m, n, T, threshold):
    rng = np.random.default_rng(seed)
    matrix = spikes(seed, (m, n), T, rng.random()) * rng.integers(0, 2, m)[:, None]
    found = above(matrix, threshold)
    assert found in (svd.UNDECIDED, ref.above(matrix, threshold))
    assert threshold > 1e-5 or found != svd.UNDECIDED


@pytest.mark.parametrize("distance", [1e-14, -1e-14, 0.0])
def test_a_value_at_the_threshold_is_left_undecided(distance):
    assert above(np.diag([5.0, 3.0, 1.0]), 3.0 + distance) == svd.UNDECIDED


@pytest.mark.parametrize(("n", "proved"), [(10**2, True), (4 * 10**5, False)])
def test_nearly_singular_integers(n, proved):
    """Determinant 1: the smaller singular value is 1 / (2 n), next to the threshold or far from it."""
    matrix = np.array([[n + 1, n], [n, n - 1]])
    assert abs(ref.rank(matrix)) == 2
    assert above(matrix, 1e-6) == (2 if proved else svd.UNDECIDED)


def test_without_a_threshold_noise_is_left_undecided():
    assert above(of_rank(1, 9, 9, 4), 0.0) == svd.UNDECIDED
    assert above(np.eye(9), 0.0) == 9


def test_a_matrix_with_nan_is_left_undecided():
    assert above(np.array([[1.0, np.nan], [2.0, 3.0]]), EPSILON) == svd.UNDECIDED


@pytest.mark.parametrize("channels", [1, 8, 11])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_count_maps(channels, dtype):
    counts = spikes(3, (3, 9, 18, channels), rate=0.08).astype(dtype)
    units = 3 * -(-channels // svd.LANES)
    found = np.full((3, channels), 99)
    for low in range(units):
        svd.count_maps(low, low + 1, counts, EPSILON, found)
    np.testing.assert_array_equal(found, ref.above_maps(counts, EPSILON))
