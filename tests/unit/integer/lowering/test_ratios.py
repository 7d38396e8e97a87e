"""Fractions of numbers, against all fractions there are; common multiples of their denominators."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.integer.lowering.ratios import Fractions, common, fractions


def one(value):
    found = fractions(np.array([value], np.float64))
    return int(found.n[0]), int(found.d[0])


@given(st.integers(1, 30_000), st.integers(1, 30_000))
def test_a_quotient_is_its_fraction(n, d):
    ref = Fraction(n, d)
    assert one(n / d) == (ref.numerator, ref.denominator)


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([-1, 1]))
def test_so_is_its_float32_where_terms_are_small(n, d, side):
    ref = Fraction(n, d)
    assert one(float(np.float32(n / d))) == (ref.numerator, ref.denominator)
    far = one(n / d * (1 + side * 2.0**-23))
    assert far != (ref.numerator, ref.denominator)


@pytest.mark.parametrize(
    ("value", "ref"),
    [(65025.0, (65025, 1)), (1 / 65025, (1, 65025)), (2.0**20, (2**20, 1)), (3 * 2.0**-12, (3, 4096))],
)
def test_large_terms(value, ref):
    assert one(value) == ref


@pytest.mark.parametrize("value", [0.0, -0.5, np.pi, np.sqrt(2) / 1000, 1e-30, 1e30, np.inf, np.nan])
def test_other_numbers_have_none(value):
    assert one(value) == (0, 0)


def test_hardly_any_random_number_is_a_fraction():
    values = np.random.default_rng(0).uniform(0.01, 100, 20_000)
    found = fractions(values)
    assert (found.d > 0).mean() < 0.01
    near = found.d > 0
    assert (np.abs(found.n[near] / found.d[near] / values[near] - 1) <= 2.0**-24 * 1.001).all()


def test_common_multiples_up_to_a_limit():
    d = np.array([[2, 2, 2, 2], [3, 0, 3, 3], [8, 8, 8, 8]])
    wanted = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]], bool)
    multiple, members = common(Fractions(np.ones_like(d), d), wanted, np.array([24.0, 24, 7, 100]))
    assert multiple.tolist() == [24, 8, 6, 24]
    assert members.tolist() == [[True, True, True, False], [True, False, True, True], [True, True, False, True]]
