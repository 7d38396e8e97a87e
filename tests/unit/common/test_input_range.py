"""From real numbers to the integers of an input: rounded to nearest, cut at the ends, by a scale that fits."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.common.input_range import SIGNED, UNSIGNED, InputRange, measured


@pytest.mark.parametrize(
    ("low", "peak", "kind"),
    [
        (-128, 127, np.int8),
        (-1, 1, np.int8),
        (-129, 1, np.int16),
        (-1, 128, np.int16),
        (0, 255, np.uint8),
        (0, 256, np.uint16),
    ],
)
def test_the_type_holds_the_range(low, peak, kind):
    found = InputRange(low, peak, 0.5).quantize(np.array([-1e9, 1e9]))
    assert found.dtype == kind
    assert found.tolist() == [low, peak]


def test_each_number_goes_to_the_nearest_integer_halves_to_even():
    span = InputRange(*SIGNED, 0.5)
    given = np.array([-0.75, -0.25, 0.0, 0.24, 0.25, 0.26, 0.75, 63.5, 63.74, -64.0, -64.25])
    assert span.quantize(given).tolist() == [-2, 0, 0, 0, 0, 1, 2, 127, 127, -128, -128]
    assert span.outside(given) == 0
    assert span.outside(np.array([63.76, -64.26, 1.0])) == 2


@pytest.mark.parametrize(("signed", "peak"), [(True, 127), (False, 255)])
def test_a_measured_scale_holds_the_largest_magnitude_exactly(signed, peak):
    values = np.array([0.1, -3.7 if signed else 3.7, 2.0])
    span = measured(values, "x", signed=signed)
    assert span == (*(SIGNED if signed else UNSIGNED), 3.7 / peak)
    assert abs(int(span.quantize(values)[1])) == peak
    assert span.outside(values) == 0


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="x: expected a number other than 0, to measure the scale with, got 0"):
        measured(np.zeros(3), "x", signed=True)
    for wrong in (np.array([np.nan]), np.array([np.inf]), np.array(["a"])):
        with pytest.raises(DataError, match="expected finite numbers"):
            InputRange(*SIGNED, 1.0).quantize(wrong)
    with pytest.raises(ConfigError, match="for what a unit stands"):
        InputRange(0, 255, 0.0).quantize(np.zeros(1))
