"""Counting singular values: each step against its twin, proofs against Jacobi and exact ranks, and what stays open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import svd as ref
from qpsnn_core.kernels.linalg import singular_values

EPSILON = 4e-6


def flat(matrix):
    """The matrix as the kernels want it: float64, rows of PITCH; and as much of it in two dimensions."""
    whole = np.zeros((len(matrix), singular_values.PITCH))
    whole[:, : matrix.shape[1]] = matrix
    return whole.ravel(), whole


def above(matrix, threshold):
    m, n = matrix.shape
    scratch = [np.full(size, np.nan) for size in (m, singular_values.PITCH, singular_values.PITCH)]
    return singular_values.count_above(flat(matrix)[0], m, n, threshold, *scratch, np.zeros(singular_values.PITCH**2))


def spikes(seed, shape, T=4, rate=0.2):
    return (np.random.default_rng(seed).random((T, *shape)) < rate).sum(0)


def of_rank(seed, m, n, r):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (m, r)) @ rng.integers(0, 3, (r, n))


def normal(*shape):
    return np.random.default_rng(shape[0]).standard_normal(shape)


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (2, 8), (3, 4), (5, 5)])
@pytest.mark.parametrize(("begin", "end"), [(0, 48), (16, 32)])
def test_add_rows(start, stop, begin, end):
    (v, square), factors, into = flat(normal(9, 48)), normal(9), normal(64)
    want = ref.sum_of_rows(into, square, factors, start, stop, begin, end)
    singular_values.add_rows(into, v, factors, start, stop, begin, end)
    np.testing.assert_allclose(into, want, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (2, 8), (3, 4), (5, 5)])
@pytest.mark.parametrize(("begin", "end"), [(0, 48), (16, 32)])
def test_subtract_row(start, stop, begin, end):
    (v, square), factors, row = flat(normal(9, 48)), normal(9), normal(64)
    want = ref.less_row(square, factors, row, start, stop, begin, end)
    singular_values.subtract_row(v, factors, row, start, stop, begin, end)
    np.testing.assert_array_equal(v.reshape(want.shape), want)


@pytest.mark.parametrize("values", [[0.0], [1.0, 2.0, 2.0, 1.0], [3.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
def test_longest(values):
    values = np.array(values)
    for start in range(len(values)):
        assert singular_values.longest(values, start, len(values)) == ref.first_largest(values, start, len(values))


@pytest.mark.parametrize("start", [0, 3, 8])
def test_measure(start):
    (v, square), lengths = flat(normal(10, 48)), np.full(64, np.nan)
    want, total = ref.squares(square, start, 9, 32)
    assert singular_values.measure(v, start, 9, 32, lengths) == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(lengths[:32], want, rtol=1e-13)


@pytest.mark.parametrize("k", [0, 5, 8, 19])
@pytest.mark.parametrize("sign", [1, -1])
def test_reflect(k, sign):
    matrix = normal(21, 32)
    matrix[:, :k] = 0
    matrix[k, k] = sign * abs(matrix[k, k])
    v, square = flat(matrix)
    want = ref.reflected(square, k)
    singular_values.reflect(v, k, 21, 32, np.full(21, np.nan), np.full(64, np.nan))
    got = v.reshape(want.shape)
    np.testing.assert_allclose(got[:, k + 1 :], want[:, k + 1 :], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[k, k], want[k, k], rtol=1e-12)


@pytest.mark.parametrize("rank", [1, 7, 16, 17, 30])
def test_inverse_norm_and_its_bound(rank):
    (v, square), inverse, row = flat(normal(33, 48) + 6 * np.eye(33, 48)), np.zeros(64 * 64), np.full(64, np.nan)
    for r in (rank, 30, rank):
        found, bound = (
            singular_values.inverse_norm(v, r, 48, inverse, row),
            singular_values.inverse_bound(v, r, 48, row),
        )
        assert found == pytest.approx(ref.inverse_norm(square, r), rel=1e-11)
        assert bound == pytest.approx(ref.inverse_bound(square, r), rel=1e-11)
        assert found <= bound * (1 + 1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (8, 8), (9, 4), (17, 16), (20, 33)])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.9])
def test_count_above_is_proved_and_right(shape, rate):
    for seed in range(4):
        matrix = spikes(seed, shape, rate=rate)
        assert above(matrix, EPSILON) == ref.above(matrix, EPSILON) == ref.rank(matrix)


@pytest.mark.parametrize(
    ("m", "n", "r"), [(4, 4, 1), (8, 8, 3), (16, 16, 15), (12, 20, 7), (24, 18, 9), (32, 32, 31), (6, 64, 5)]
)
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
    assert found in (singular_values.UNDECIDED, ref.above(matrix, threshold))
    assert threshold > 1e-5 or found != singular_values.UNDECIDED


@pytest.mark.parametrize("distance", [1e-14, -1e-14, 0.0])
def test_a_value_at_the_threshold_is_left_undecided(distance):
    assert above(np.diag([5.0, 3.0, 1.0]), 3.0 + distance) == singular_values.UNDECIDED


@pytest.mark.parametrize(("n", "proved"), [(10**2, True), (4 * 10**5, False)])
def test_nearly_singular_integers(n, proved):
    """Determinant 1: the smaller singular value is 1 / (2 n), next to the threshold or far from it."""
    matrix = np.array([[n + 1, n], [n, n - 1]])
    assert abs(ref.rank(matrix)) == 2
    assert above(matrix, 1e-6) == (2 if proved else singular_values.UNDECIDED)


def test_without_a_threshold_noise_is_left_undecided():
    assert above(of_rank(1, 9, 9, 4), 0.0) == singular_values.UNDECIDED
    assert above(np.eye(9), 0.0) == 9


def test_a_matrix_with_nan_is_left_undecided():
    assert above(np.array([[1.0, np.nan], [2.0, 3.0]]), EPSILON) == singular_values.UNDECIDED


@pytest.mark.parametrize("channels", [1, 8, 11])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_count_maps(channels, dtype):
    counts = spikes(3, (3, 9, 18, channels), rate=0.08).astype(dtype)
    units = 3 * -(-channels // singular_values.LANES)
    found = np.full((3, channels), 99)
    for start in range(units):
        singular_values.count_maps(start, start + 1, counts, EPSILON, found)
    np.testing.assert_array_equal(found, ref.above_maps(counts, EPSILON))
