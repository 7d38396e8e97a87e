"""Products of many matrices against loops: every number of rows, sums of any length, wherever the matrices lie."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from naive import product as naive
from naive.conv import turned
from qpsnn_core.kernels.conv import gemm
from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH
from qpsnn_core.kernels.conv.geometry import Matrices
from qpsnn_core.kernels.simd import vector

F = np.float32


def laid_out(matrices, apart, pitch):
    """Matrices [count, rows, columns] as a flat array with 77 wherever none of them lies."""
    count, rows, columns = matrices.shape
    flat = np.full((count, apart), 77, F)
    flat[:, : rows * pitch].reshape(count, rows, pitch)[:, :, :columns] = matrices
    return flat.reshape(-1)


@pytest.mark.parametrize("inner", [1, 2, 17])
@pytest.mark.parametrize("rows", range(1, 2 * ROWS + 2))
def test_products(rows, inner):
    """Whole numbers, exact; rows that are not there are written to memory that is, and nothing else is touched."""
    rng = np.random.default_rng([rows, inner])
    left, right = rng.integers(-9, 10, (3, rows, inner)), rng.integers(-9, 10, (3, inner, WIDTH))
    there, pitch, out_pitch, column = max(rows, ROWS), inner + 3, 2 * WIDTH + 5, 7
    sizes = there * pitch + 2, inner * WIDTH + 1, there * out_pitch + 3
    out = np.full((3, sizes[2]), 77, F)
    given = (
        Matrices(laid_out(left, sizes[0], pitch), sizes[0], pitch),
        Matrices(laid_out(right, sizes[1], WIDTH), sizes[1], WIDTH),
        Matrices(out.reshape(-1), sizes[2], out_pitch),
    )
    gemm.products(3, *given, rows, inner, column)
    found = out[:, :-3].reshape(3, there, out_pitch)
    np.testing.assert_array_equal(found[:, :rows, column : column + WIDTH], naive.products(left, right))
    assert (np.delete(found, range(column, column + WIDTH), 2) == 77).all()
    assert (out[:, -3:] == 77).all()


def test_sums_are_as_exact_as_they_can_be():
    """Each of 100 terms rounds the sum once, by half a unit of its last place."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 1, (1, ROWS, 100)).astype(F), rng.normal(0, 1, (1, 100, WIDTH)).astype(F)
    out = np.empty(ROWS * WIDTH, F)
    given = Matrices(left.reshape(-1), 0, 100), Matrices(right.reshape(-1), 0, WIDTH), Matrices(out, 0, WIDTH)
    gemm.products(1, *given, ROWS, 100, 0)
    limit = 100 * 2.0**-24 * naive.products(np.abs(left), np.abs(right))
    assert (np.abs(out.reshape(1, ROWS, WIDTH) - naive.products(left, right)) <= limit).all()


def test_a_row_is_the_same_wherever_it_stands():
    """Among the last rows, which may be computed twice, as among the first: the same bits."""
    rng = np.random.default_rng(0)
    row, right = rng.normal(0, 1, 33).astype(F), rng.normal(0, 1, 33 * WIDTH).astype(F)
    for rows in range(ROWS, 3 * ROWS):
        out = np.empty(rows * WIDTH, F)
        given = Matrices(np.tile(row, rows), 0, 33), Matrices(right, 0, WIDTH), Matrices(out, 0, WIDTH)
        gemm.products(1, *given, rows, 33, 0)
        assert (out.reshape(rows, WIDTH) == out[:WIDTH]).all()


MOVE = numba.njit(lambda array, index, out: vector.store(out, 0, vector.load32(array, index)))
FILL = numba.njit(lambda value, out: vector.store(out, 0, vector.fill32(value, out)))


def test_vectors_of_32():
    array, out = np.arange(50, dtype=F), np.empty(32, F)
    MOVE(array, 7, out)
    np.testing.assert_array_equal(out, array[7:39])
    FILL(F(0.1), out)
    np.testing.assert_array_equal(out, np.full(32, 0.1, F))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (16, 64), (17, 3), (33, 65), (2 * WIDTH, 130)])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, F])
def test_a_matrix_in_panels_turned_round(rows, columns, dtype):
    """Panels, the last ones first; zeros beyond the last row."""
    matrix = np.random.default_rng([rows, columns]).integers(-99, 100, (rows, columns)).astype(dtype)
    count = -(-rows // WIDTH)
    out = np.full((count, columns, WIDTH), 77, F)
    for start, stop in ((1, count), (0, 1)):
        gemm.panels_of(start, stop, matrix.reshape(-1), rows, columns, out.reshape(-1))
    found = out.transpose(1, 0, 2).reshape(columns, -1)
    np.testing.assert_array_equal(found[:, :rows], turned(matrix))
    assert not found[:, rows:].any()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (16, 64), (18, 70)])
def test_a_square_of_a_matrix(row, column):
    """16 rows of 64 numbers as 64 rows of 16, of a matrix below another one."""
    matrix = np.random.default_rng(row).integers(-99, 100, (2 + 19, 71)).astype(np.int8)
    out, padded = np.full(1024, 77, np.int8), np.zeros((40, 140), np.int8)
    padded[:19, :71] = matrix[2:]
    gemm.square_of(matrix.reshape(-1), 2, 19, 71, row, column, out, np.empty(1024, np.int8))
    np.testing.assert_array_equal(out.reshape(64, 16), turned(padded[row : row + 16, column : column + 64]))
