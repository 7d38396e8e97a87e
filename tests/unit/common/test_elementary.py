"""Elementary functions that every processor computes alike: against the C library, by hand, and at their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.common import elementary

NUMBERS = st.floats(-50, 50)


@given(NUMBERS)
def test_within_a_unit_in_the_last_place_of_the_c_library(x):
    for name, want in (("exp", math.exp(x)), ("expm1", math.expm1(x))):
        assert abs(float(getattr(elementary, name)(x)) - want) <= math.ulp(want), name
    if x > 0:
        assert abs(float(elementary.log(x)) - math.log(x)) <= math.ulp(math.log(x))


@given(st.floats(-1000, 1000))
def test_angles_within_a_unit_in_the_last_place(angle):
    for found, function in zip(elementary.circular(angle), (math.sin, math.cos, math.tan), strict=True):
        want = function(angle)
        assert abs(found - want) <= math.ulp(want)


def test_digits_that_are_known():
    assert float(elementary.exp(1)) == math.e
    assert float(elementary.log(2)).hex() == "0x1.62e42fefa39efp-1"
    assert elementary.circular(math.pi)[0].hex() == "0x1.1a62633145c07p-53"


def test_ends():
    assert elementary.exp([1000.0, -1000.0, -np.inf]).tolist() == [np.inf, 0.0, 0.0]
    assert elementary.log([0.0, np.inf]).tolist() == [-np.inf, np.inf]
    assert np.isnan(elementary.log([-1.0, np.nan])).all()
    assert elementary.expm1([1e-300, -1e-20, 0.0]).tolist() == [1e-300, -1e-20, 0.0]
    assert elementary.exp(np.zeros((0, 3))).shape == (0, 3)
    assert elementary.exp(np.ones((2, 3))).tolist() == [[math.e] * 3] * 2
    for angle in (1001.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="at most 1000 radians"):
            elementary.circular(angle)


@given(st.integers(1, 2**53))
def test_logarithms_of_whole_numbers_are_exact(n):
    values = np.array([n], np.int64)
    assert elementary.ceil_log2(values).tolist() == [(n - 1).bit_length()]
    assert elementary.floor_log2(values).tolist() == [n.bit_length() - 1]


@pytest.mark.parametrize(("base", "count"), [(0.0, 5), (0.5, 1), (0.5, 7), (0.9, 30), (1.0, 9), (1 + 1e-6, 50)])
def test_sums_of_powers(base, count):
    found = elementary.powers(base, count)
    np.testing.assert_allclose(found, [base**n for n in range(count)], rtol=1e-13)
    assert elementary.sum_of_powers(base, count) == pytest.approx(math.fsum(found), rel=1e-13)


def test_sums_of_many_powers():
    assert elementary.sum_of_powers(1.0, 10**9) == 10**9
    assert elementary.sum_of_powers(2.0, 5000) == math.inf
    assert elementary.sum_of_powers(0.5, 0) == 0
    assert elementary.sum_of_powers(0.999, 10**6) == pytest.approx(1000)
