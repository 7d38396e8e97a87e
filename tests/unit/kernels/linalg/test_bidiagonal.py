"""Singular values above a threshold, counted: exact ranks, LAPACK as witness, and thresholds next to a value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import linalg as ref
from naive import svd
from qpsnn_core.kernels.linalg import bidiagonal


def flat(matrix):
    rows, columns = matrix.shape
    pitch = -(-columns // bidiagonal.LANES) * bidiagonal.LANES
    whole = np.zeros((rows, pitch))
    whole[:, :columns] = matrix
    return whole.reshape(-1), pitch


def above(matrix, threshold):
    """Of one map of one image, through the kernel for all."""
    counts, found = np.ascontiguousarray(matrix, np.float64)[None, :, :, None], np.full((1, 1), -9)
    bidiagonal.count_chosen(0, 1, counts, np.zeros(1, np.int64), np.zeros(1, np.int64), threshold, found)
    return found[0, 0]


@pytest.mark.parametrize("k", [0, 2, 16])
def test_a_column_is_reflected(k):
    matrix = np.random.default_rng(k).standard_normal((21, 19))
    v, pitch = flat(matrix)
    length = bidiagonal.reflect_columns(v, pitch, k, 21, np.full(21, np.nan), np.full(pitch, np.nan))
    assert length == pytest.approx(np.linalg.norm(matrix[k:, k]), rel=1e-14)
    want = svd.reflected(np.where(np.arange(19) < k, 0, matrix), k)
    np.testing.assert_allclose(v.reshape(21, -1)[:, k + 1 : 19], want[:, k + 1 :], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [0, 2, 16])
def test_a_row_is_reflected(k):
    """A reflection from the right is one of the transpose from the left."""
    matrix = np.random.default_rng(k).standard_normal((21, 19))
    v, pitch = flat(matrix)
    vector, lanes = np.full(pitch, np.nan), np.full(bidiagonal.LANES, np.nan)
    length = bidiagonal.reflect_rows(v, pitch, k, 21, vector, lanes)
    assert length == pytest.approx(np.linalg.norm(matrix[k, k + 1 :]), rel=1e-14)
    turned = np.column_stack((np.zeros(19), matrix.T))  # its column k + 1 is row k
    want = svd.reflected(np.where(np.arange(22) < k + 1, 0, turned), k + 1)[:, 1:].T
    got = v.reshape(21, -1)[:, :19]
    np.testing.assert_allclose(got[k + 1 :, k + 1 :], want[k + 1 :, k + 1 :], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("column", [[0.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
def test_a_column_of_zeros_stays(column):
    matrix = np.array([column, [1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]).T
    v, pitch = flat(matrix)
    length = bidiagonal.reflect_columns(v, pitch, 0, 3, np.empty(3), np.empty(pitch))
    assert length == max(column)
    if not length:
        np.testing.assert_array_equal(v.reshape(3, -1)[:, :3], matrix)


@given(st.integers(0, 2**32), st.integers(1, 14), st.sampled_from([0.0, 1e-9, 0.3, 2.0]))
def test_pivots_count_eigenvalues(seed, size, threshold):
    beside = np.random.default_rng(seed).standard_normal(2 * size - 1)
    found = bidiagonal.positive_pivots(beside, threshold)
    values = np.linalg.eigvalsh(np.diag(beside, 1) + np.diag(beside, -1))
    assert found == ref.positive_pivots(beside, threshold) or np.abs(values - threshold).min() < 1e-12


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_ranks_are_exact(seed, m, n, most, low):
    """Of whole numbers: above 1e-6 lie as many values as there are ranks."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, most, (m, n))
    if low:
        matrix = rng.integers(0, 2, (m, 2)) @ rng.integers(0, 3, (2, n))
    assert above(matrix, 1e-6) == svd.rank(matrix)
    values = np.linalg.svd(matrix.astype(float), compute_uv=False)
    for threshold in (0.5, 2.0):
        if np.abs(values - threshold).min() > 1e-12:
            assert above(matrix, threshold) == (values > threshold).sum() == ref.bidiagonal_count(matrix, threshold)


@pytest.mark.parametrize("shape", [(70, 33), (20, 90)])
def test_large_maps(shape):
    matrix = np.random.default_rng(0).random(shape) < 0.2
    values = np.linalg.svd(matrix.astype(float), compute_uv=False)
    for threshold in (1e-6, 1.5, 3.0):
        assert above(matrix, threshold) == (values > threshold).sum()


def test_a_value_at_the_threshold_is_not_above_it():
    diagonal = np.diag([3.0, 2.0, 0.0, 1.0])
    assert [above(diagonal, threshold) for threshold in (0.0, 0.5, 1.0, 2.0, 3.0)] == [3, 3, 2, 1, 0]
    assert above(np.zeros((4, 5)), 0.0) == 0
    assert above(np.eye(7), 0.0) == 7


def test_count_values_takes_the_matrix():
    v, pitch = flat(np.diag([5.0, 4.0, 3.0]))
    assert bidiagonal.count_values(v, pitch, 3, 3, 3.5) == 2


def test_maps_are_chosen():
    """Both ways round; what is not chosen stays as it is."""
    counts = np.random.default_rng(2).integers(0, 3, (3, 6, 9, 4)).astype(np.uint8)
    counts[1, 2:, :, 3] = 0
    images, channels = np.array([0, 1, 2]), np.array([1, 3, 0])
    for maps in (counts, np.ascontiguousarray(counts.transpose(0, 2, 1, 3))):
        found = np.full((3, 4), -9)
        bidiagonal.count_chosen(1, 3, maps, images, channels, 1e-6, found)
        assert found[1, 3] == svd.rank(counts[1, :, :, 3]) <= 2
        assert found[2, 0] == svd.rank(counts[2, :, :, 0])
        assert (found == -9).sum() == 10
