"""Formats Qi.f and their three roundings, against exact fractions and the figures of the paper's equations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import fixed_point as naive
from qpsnn_core.common.errors import ConfigError, DataError, NumericsError
from qpsnn_core.quantization.fixed_point import FixedPoint, constant, quantize, values_of

Q = FixedPoint.parse
REALS = st.floats(-5000, 5000, allow_nan=False)


@given(
    st.lists(REALS, min_size=1, max_size=8),
    st.integers(0, 12),
    st.integers(0, 19),
    st.sampled_from(["truncation", "nearest", "stochastic"]),
)
@settings(max_examples=80, deadline=None)
def test_codes_are_the_fractions(values, integer, fraction, rounding):
    found = quantize(np.array(values), FixedPoint(integer, fraction), rounding, seed=11)
    draws = [naive.word(0, i, 11) for i in range(len(values))]
    ref = [naive.code(one, fraction, integer, rounding, draw) for one, draw in zip(values, draws, strict=True)]
    assert found.codes.tolist() == [code for code, _ in ref]
    assert found.saturated == sum(lost for _, lost in ref)


@given(REALS, st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=80, deadline=None)
def test_what_a_format_holds_is_left_as_it_is(value, integer, fraction):
    form = FixedPoint(integer, fraction)
    once = values_of(quantize(np.array([value]), form, "nearest").codes, form)
    for rounding in ("truncation", "nearest", "stochastic"):
        again = quantize(once, form, rounding, seed=1)
        assert values_of(again.codes, form).tolist() == once.tolist()
        assert again.saturated == 0


@pytest.mark.parametrize("rounding", ["truncation", "nearest"])
def test_the_increment_of_theta(rounding):
    """TR(0.05, Q1.6) = RN(0.05, Q1.6) = 3/64."""
    found = quantize(np.array([0.05]), Q("Q1.6"), rounding)
    assert values_of(found.codes, Q("Q1.6")).tolist() == [3 / 64]
    assert constant(0.05, Q("Q1.6"), rounding, "x") == 3


def test_the_increment_vanishes_with_three_bits_and_survives_with_four():
    assert constant(0.05, Q("Q1.3"), "nearest", "x") == 0
    assert constant(0.05, Q("Q1.4"), "nearest", "x") == 1
    assert constant(0.05, Q("Q1.4"), "truncation", "x") == 0


def test_halves_round_up_and_truncation_is_floor():
    values = np.array([-1.5, -0.5, 0.5, 1.5, -0.25])
    assert quantize(values, Q("Q4.0"), "nearest").codes.tolist() == [-1, 0, 1, 2, 0]
    assert quantize(values, Q("Q4.0"), "truncation").codes.tolist() == [-2, -1, 0, 1, -1]
    assert constant(-0.5, Q("Q4.0"), "nearest", "x") == 0


def test_the_number_below_a_half_is_not_rounded_up():
    """0.49999999999999994 + 0.5 is 1 in float64."""
    assert quantize(np.array([0.49999999999999994]), Q("Q4.0"), "nearest").codes.tolist() == [0]


def test_range_and_step():
    form = Q("Q1.6")
    assert (form.bits, form.low * form.step, form.high * form.step, form.step) == (8, -2.0, 2 - 1 / 64, 1 / 64)
    assert [Q(text).dtype for text in ("Q1.6", "Q1.7", "Q7.8", "Q7.9", "Q15.16")] == [
        np.int8,
        np.int16,
        np.int16,
        np.int32,
        np.int32,
    ]
    assert str(form) == "Q1.6"


@given(REALS, REALS, st.integers(0, 16))
@settings(max_examples=60, deadline=None)
def test_the_observed_range_fits_and_no_smaller_one_does(a, b, fraction):
    low, high = min(a, b), max(a, b)
    form = FixedPoint.covering(low, high, fraction)
    assert Fraction(form.low, 2**fraction) <= Fraction(low)
    assert Fraction(high) <= Fraction(form.high, 2**fraction)
    if form.integer:
        less = FixedPoint(form.integer - 1, fraction)
        assert Fraction(low) < Fraction(less.low, 2**fraction) or Fraction(high) > Fraction(less.high, 2**fraction)


def test_saturation_is_counted():
    found = quantize(np.array([[3.0, -3.0], [1.0, -2.0]]), Q("Q1.2"), "nearest")
    assert found.saturated == 2
    assert found.codes.tolist() == [[7, -8], [4, -8]]


def test_stochastic_rounding_is_unbiased_and_depends_on_the_seed():
    values = np.full(20000, 0.3)
    first, second = (quantize(values, Q("Q1.2"), "stochastic", seed).codes for seed in (1, 2))
    assert abs(first.mean() / 4 - 0.3) < 0.002
    assert (first != second).any()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: Q("1.6"), ConfigError, "a format such as 'Q1.6', got '1.6'"),
        (lambda: Q("Q20.20"), ConfigError, "at most 32 bits with the sign, got 41"),
        (lambda: FixedPoint(-1, 3), ConfigError, "integer bits: expected an integer of at least 0, got -1"),
        (lambda: FixedPoint.covering(0, 2.0**40, 3), ConfigError, "one that 32 bits hold"),
        (lambda: FixedPoint.covering(1, 0, 3), ConfigError, "low <= high, got 1 > 0"),
        (lambda: FixedPoint.covering(0, float("inf"), 3), ConfigError, "high: expected a finite number"),
        (lambda: quantize(np.zeros(2), Q("Q1.6"), "floor"), ConfigError, "rounding: expected one of truncation"),
        (lambda: quantize(np.zeros(2), Q("Q1.6"), "stochastic"), ConfigError, "seed: expected a whole number"),
        (lambda: quantize(np.zeros(2), Q("Q1.6"), "stochastic", 2**32), ConfigError, "below 2"),
        (lambda: quantize(np.array([0, np.nan]), Q("Q1.6"), "nearest"), NumericsError, r"values\[1\]: .* got nan"),
        (lambda: quantize(np.array(["a"]), Q("Q1.6"), "nearest"), DataError, "an array of numbers"),
        (lambda: constant(2.0, Q("Q1.6"), "nearest", "AdaptiveLIF.reset"), ConfigError, "AdaptiveLIF.reset: expected"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
