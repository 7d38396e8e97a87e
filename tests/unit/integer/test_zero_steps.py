"""Bounds and ratios at the numbers at which a careless division would be by zero."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.integer.bounds import FAR, Interval, membrane
from qpsnn_core.integer.bounds import _times as times
from qpsnn_core.integer.lowering.ratios import fractions


def test_a_drive_of_zero_goes_nowhere_for_any_number_of_steps():
    with np.errstate(all="raise"):
        assert times(np.array([0, 3, -3]), 5).tolist() == [0, 15, -15]
        assert times(np.array([0, 3, -3, 1]), 10**30).tolist() == [0, FAR, -FAR, FAR]
        none = Interval(np.zeros(1, np.int64), np.zeros(1, np.int64))
        found = membrane((none,), np.zeros(1, np.int32), np.ones(1, np.int32), 1, 0, "subtract", 10**9)
    assert (found.after.low.tolist(), found.after.high.tolist()) == ([0], [0])


@pytest.mark.parametrize(
    ("value", "n", "d"),
    [
        (1.0, 1, 1),
        (0.75, 3, 4),
        (1 / 3, 1, 3),
        (2.0**30, 2**30, 1),
        (2.0**30 + 1, 0, 0),
        (2.0**31 + 2, 0, 0),
        (0.0, 0, 0),
    ],
)
def test_whole_numbers_end_a_continued_fraction(value, n, d):
    with np.errstate(all="raise"):
        found = fractions(np.array([value]))
    assert (int(found.n[0]), int(found.d[0])) == (n, d)
