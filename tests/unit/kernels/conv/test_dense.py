"""Products of real matrices against loops; each element has one order, wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest

from naive import product as naive
from qpsnn_core.kernels import threads
from qpsnn_core.kernels.conv import dense
from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH
from qpsnn_core.kernels.parts import add_in_order

F = np.float32


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 2 * ROWS + 1, 50])
@pytest.mark.parametrize("columns", [1, WIDTH, WIDTH + 1, 70])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, F])
def test_products_of_whole_numbers(rows, columns, dtype, monkeypatch):
    """Of rows in several chunks, the last ones together with those before."""
    monkeypatch.setattr(dense, "MIN_CHUNK_ROWS", 7)
    rng, before = np.random.default_rng([rows, columns]), threads.threads()
    left, right = rng.integers(0, 10, (rows, 11)).astype(dtype), rng.integers(-9, 10, (11, columns)).astype(np.int8)
    ref = naive.products(left[np.newaxis], right[np.newaxis])[0]
    try:
        for count in (1, 3):
            threads.set_threads(count)
            found = dense.multiply(left, right)
            assert found.dtype == F
            np.testing.assert_array_equal(found, ref)
    finally:
        threads.set_threads(before)


def test_sums_run_in_order_and_are_rounded_once_a_term():
    """Terms that another order would sum otherwise: 1 + 2**-24 is 1, 2**-24 + 2**-24 is not 0."""
    left = np.array([[1, 2.0**-24, 2.0**-24, -1]], F)
    assert dense.multiply(left, np.ones((4, 1), F))[0, 0] == 0
    assert dense.multiply(left[:, ::-1], np.ones((4, 1), F))[0, 0] == 2.0**-23
    half = F(1 + 2.0**-12)
    assert dense.multiply(np.array([[1, half]], F), np.array([[-1 - 2.0**-11], [half]], F))[0, 0] == 2.0**-24


def test_a_row_is_the_same_in_any_company():
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 1, (40, 33)).astype(F), rng.normal(0, 1, (33, 45)).astype(F)
    whole = dense.multiply(left, right)
    for start in (0, 5, 39):
        np.testing.assert_array_equal(dense.multiply(left[start : start + 1], right)[0], whole[start])
    np.testing.assert_array_equal(dense.multiply(left, right[:, 40:]), whole[:, 40:])


@pytest.mark.parametrize("rows", [1, ROWS, 2 * ROWS + 1, 50])
@pytest.mark.parametrize("count", [1, 3])
def test_parts_have_sums_of_their_own(rows, count, monkeypatch):
    """Each as by itself; the total adds them in order."""
    monkeypatch.setattr(dense, "MIN_CHUNK_ROWS", 7)
    rng, before = np.random.default_rng(rows), threads.threads()
    left, right = rng.normal(0, 1, (rows, 20)).astype(F), rng.normal(0, 1, (20, WIDTH + 3)).astype(F)
    parts = np.array([(0, 4), (4, 15), (15, 20)])[:count]
    ref = add_in_order([dense.multiply(left[:, start:stop], right[start:stop]) for start, stop in parts])
    try:
        for number in (1, 3):
            threads.set_threads(number)
            np.testing.assert_array_equal(dense.multiply_parts(left, right, parts), ref)
    finally:
        threads.set_threads(before)
