"""Cholesky's factor, the inverse and solutions: the bits of the loops, LAPACK as witness, ill-conditioned or not."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import linalg as ref
from qpsnn_core.kernels.linalg import factor
from qpsnn_core.kernels.linalg.factor import DONE, pitch_of, room_of

SIZES = [1, 2, 5, 16, 17, 33, 40]
U = 2.0**-53


def positive(size, seed=0, smallest=0.1):
    """A symmetric matrix whose eigenvalues are between about `smallest` and 4."""
    data = np.random.default_rng([seed, size]).standard_normal((2 * size + 3, size))
    return data.T @ data / len(data) + smallest * np.eye(size)


def room(matrix):
    """The matrix as kernels want it: what must not be read is NaN."""
    flat = np.zeros(room_of(len(matrix)))
    square(flat, len(matrix))[...] = np.where(np.tri(len(matrix), k=-1, dtype=bool), np.nan, matrix)
    return flat


def square(flat, size):
    return flat.reshape(size, pitch_of(size))[:, :size]


def factored(matrix):
    flat = room(matrix)
    return factor.factorize(flat, len(matrix)), flat


@pytest.mark.parametrize("size", SIZES)
def test_the_factor_has_the_bits_of_the_loops(size):
    matrix = positive(size)
    done, flat = factored(matrix)
    assert done == DONE
    np.testing.assert_array_equal(square(flat, size), ref.factor(matrix))
    assert not flat.reshape(size, -1)[:, size:].any()


@pytest.mark.parametrize("size", SIZES)
def test_a_row_is_eliminated(size):
    upper = np.triu(np.random.default_rng(size).standard_normal((size, size)))
    flat = np.zeros(room_of(size))
    square(flat, size)[...] = upper
    k, pitch = size - 1, pitch_of(size)
    one = np.random.default_rng(1).standard_normal((size, 32))
    want = one[k : k + 1] * 1
    for above in range(size // 2, k):
        want = ref.add_product(upper[above : above + 1, k : k + 1], one[above : above + 1], want, -1.0)
    parts = probe(flat, pitch, size // 2, k, one.reshape(-1).copy())
    np.testing.assert_array_equal(parts, want[0])


def probe(flat, pitch, first, k, matrix):
    """What `eliminate_row` gives, through a kernel that eliminates one row of a factor of ones."""
    from qpsnn_core.kernels.simd.vector import store
    from qpsnn_core.kernels.threads import kernel

    @kernel
    def both(flat, pitch, first, k, matrix, out):
        one, two = factor.eliminate_row(flat, pitch, first, k, matrix, 32, 0)
        store(out, 0, one)
        store(out, 16, two)

    out = np.empty(32)
    both(flat, pitch, first, k, matrix, out)
    return out


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_has_the_bits_of_the_loops(size):
    matrix = positive(size, 1)
    done, flat = factored(matrix)
    lower = np.full(room_of(size), np.nan)
    factor.invert_factor(flat, size, lower)
    np.testing.assert_array_equal(square(lower, size), ref.inverse_of_factor(ref.factor(matrix)))
    flat, scratch = room(matrix), np.full(room_of(size), np.nan)
    assert factor.invert(flat, size, scratch) == done == DONE
    np.testing.assert_array_equal(square(flat, size), ref.inverse(matrix))
    assert not flat.reshape(size, -1)[:, size:].any()


@pytest.mark.parametrize("size", SIZES)
def test_solutions_have_the_bits_of_the_loops(size):
    _, flat = factored(positive(size, 2))
    vector = np.random.default_rng(size).standard_normal(size)
    found, scratch = np.full(pitch_of(size), np.nan), np.full(pitch_of(size), np.nan)
    found[:size] = vector
    factor.solve(flat, size, found, scratch)
    np.testing.assert_array_equal(found[:size], ref.solution(square(flat, size), vector))
    assert not found[size:].any()


LARGE = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="takes minutes without the compiler")


@pytest.mark.parametrize("size", [97, *(pytest.param(size, marks=LARGE) for size in (95, 96, 200, 300))])
def test_panels_agree_with_lapack(size):
    """Sizes of several panels, odd ones, too: residuals as small as LAPACK's, to a few units."""
    matrix, vector = positive(size, 3), np.random.default_rng(size).standard_normal(size)
    done, flat = factored(matrix)
    assert done == DONE
    upper = square(flat, size)
    assert np.abs(upper.T @ upper - matrix).max() <= size * U * np.abs(matrix).max()
    np.testing.assert_allclose(upper, np.linalg.cholesky(matrix).T, rtol=0, atol=1e-12)
    found, scratch = np.zeros(pitch_of(size)), np.empty(pitch_of(size))
    found[:size] = vector
    factor.solve(flat, size, found, scratch)
    np.testing.assert_allclose(found[:size], np.linalg.solve(matrix, vector), rtol=0, atol=1e-11)
    flat, scratch = room(matrix), np.empty(room_of(size))
    assert factor.invert(flat, size, scratch) == DONE
    np.testing.assert_allclose(square(flat, size), np.linalg.inv(matrix), rtol=0, atol=1e-11)
    np.testing.assert_array_equal(square(flat, size), square(flat, size).T)


@given(st.integers(0, 2**32), st.integers(1, 24), st.integers(-14, 2))
def test_ill_conditioned_matrices(seed, size, power):
    """`|U^T U - A| <= 2 (n + 1) u |U|^T |U|` (Higham 2002, Theorem 10.3), wherever it is factorized at all."""
    matrix = positive(size, seed, 0.0)
    scale = np.logspace(0, power, size)
    matrix = matrix * scale[:, None] * scale
    done, flat = factored(matrix)
    assert done == DONE or np.linalg.cond(matrix) > 1e14
    if done == DONE:
        upper = square(flat, size)
        bound = 2 * (size + 1) * U * (np.abs(upper).T @ np.abs(upper))
        assert (np.abs(upper.T @ upper - matrix) <= 2 * bound).all()


@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(1, 19), st.floats(1e-10, 1))
def test_rank_deficient_matrices_need_a_damping(seed, size, rank, damping):
    """Of whole numbers, so that a pivot without rank is exactly 0; with any damping they have an inverse."""
    rank = min(rank, size - 1)
    data = np.random.default_rng(seed).integers(0, 2, (rank, size)).astype(float)
    data[:, rank:] = data[:, :1]
    matrix = data.T @ data
    done, _ = factored(matrix)
    assert done != DONE or np.linalg.eigvalsh(matrix)[0] > -1e-12
    flat, scratch = room(matrix + damping * np.eye(size)), np.empty(room_of(size))
    assert factor.invert(flat, size, scratch) == DONE
    residual = square(flat, size) @ (matrix + damping * np.eye(size)) - np.eye(size)
    assert np.abs(residual).max() <= 1e-13 * size**3 / damping


@pytest.mark.parametrize(("row", "value"), [(0, 0.0), (0, -1.0), (3, -50.0), (3, np.nan), (20, -50.0), (2, np.inf)])
def test_what_is_not_positive_definite_names_its_row(row, value):
    matrix = positive(24, 4)
    matrix[row, row] = value
    done, _ = factored(matrix)
    assert done == row
    assert factor.invert(room(matrix), 24, np.empty(room_of(24))) == row


def test_parts_are_gathered():
    matrix, index = positive(9, 5), np.array([7, 0, 3])
    out = np.full(room_of(3), np.nan)
    factor.gather(matrix.reshape(-1), 9, index, out)
    np.testing.assert_array_equal(square(out, 3), ref.chosen(matrix, [7, 0, 3]))
    assert not out.reshape(3, -1)[:, 3:].any()


@pytest.mark.parametrize("size", [1, 31, 70])
def test_mirror(size):
    flat = np.random.default_rng(size).standard_normal(room_of(size))
    want = np.triu(square(flat, size))
    factor.mirror(flat, size, pitch_of(size))
    np.testing.assert_array_equal(square(flat, size), want + np.triu(want, 1).T)
