"""Fractions that numbers are near to, where the continued fraction ends."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.integer.lowering.ratios import fractions


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
