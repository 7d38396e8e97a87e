"""Rounding of wide integers and of real numbers against exact fractions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import fixed_point as naive
from qpsnn_core.kernels import fixed_point as kernels
from qpsnn_core.kernels.fixed_point import Grid

KINDS = ("truncation", "nearest", "stochastic")


def grid_of(shift, rounding, low=-(2**40), high=2**40):
    offset = 1 << (shift - 1) if rounding == "nearest" and shift else 0
    return Grid(shift, offset, low, high, True if rounding == "stochastic" else None)


@given(st.integers(-(2**58), 2**58), st.integers(0, 44), st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_wide_integers_are_rounded_as_the_fractions(wide, shift, rounding, key):
    grid = grid_of(shift, rounding)
    ref = naive.stored(wide, grid, 3, 5, key)
    assert kernels.rounded(np.int64(wide), grid, 3, 5, np.uint64(key)) == ref


def test_what_leaves_the_range_saturates_and_counts():
    grid = grid_of(2, "truncation", -8, 7)
    assert [kernels.saturated(code, grid) for code in (-9, -8, 7, 8)] == [-8, -8, 7, 7]
    assert [kernels.outside(code, grid) for code in (-9, -8, 7, 8)] == [1, 0, 0, 1]


def test_floating_point_is_stored_as_it_is():
    assert kernels.rounded(np.float32(0.3), None, 0, 0, np.uint64(0)) == np.float32(0.3)
    assert kernels.saturated(np.float32(1e9), None) == np.float32(1e9)
    assert kernels.outside(np.float32(1e9), None) == 0


@pytest.mark.parametrize("shift", [3, 40])
def test_stochastic_rounding_is_unbiased(shift):
    wide = np.int64(5 * 2**shift + 2**shift // 4)
    found = [kernels.rounded(wide, grid_of(shift, "stochastic"), 0, j, np.uint64(9)) for j in range(4000)]
    assert set(found) == {5, 6}
    assert abs(np.mean(found) - 5.25) < 0.03
