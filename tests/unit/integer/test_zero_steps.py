"""Bounds where a drive is zero, at which a careless division would be by zero."""

from __future__ import annotations

import numpy as np

from qpsnn_core.integer.bounds import FAR, Interval, membrane, times


def test_a_drive_of_zero_goes_nowhere_for_any_number_of_steps():
    with np.errstate(all="raise"):
        assert times(np.array([0, 3, -3]), 5).tolist() == [0, 15, -15]
        assert times(np.array([0, 3, -3, 1]), 10**30).tolist() == [0, FAR, -FAR, FAR]
        none = Interval(np.zeros(1, np.int64), np.zeros(1, np.int64))
        found = membrane((none,), np.zeros(1, np.int32), np.ones(1, np.int32), 1, 0, "subtract", 10**9)
    assert (found.after.low.tolist(), found.after.high.tolist()) == ([0], [0])
