"""The largest number that adding up a membrane can reach, to which int32 must be wide enough, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.integer.bounds import Interval, membrane


@pytest.mark.parametrize(
    ("low", "high", "bias", "leak", "steps", "ref"),
    [
        (-3, 5, 2, (1, 0), 1, 7),
        (-3, 5, 2, (1, 0), 3, 7 + 14),
        (-9, 5, 2, (1, 0), 3, 11 + 14),
        (-9, 1, 2, (1, 0), 3, 11 + 14),
        (0, 8, 0, (1, 1), 3, 8 + 6),
    ],
)
def test_of_one_channel(low, high, bias, leak, steps, ref):
    """|bias| + the current's magnitude + the magnitude of what is left of the step before."""
    current = Interval(np.array([low], np.int64), np.array([high], np.int64))
    found = membrane((current,), np.array([bias], np.int32), np.array([1000], np.int32), *leak, "zero", steps)
    assert found.largest.tolist() == [ref]
