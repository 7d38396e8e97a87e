"""Events counted into frames, and the filters that judge events by what was before: against loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import events as naive
from qpsnn_core.kernels.events.columns import EventColumns
from qpsnn_core.kernels.events.filters import NEVER, rested, supported
from qpsnn_core.kernels.events.frames import count_events

SENSOR = (5, 7)


def draw(count, seed=0, sensor=SENSOR, duration=60):
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, side, count).astype(np.uint16) for side in sensor)
    return x, y, np.sort(rng.integers(0, duration, count)).astype(np.int64), rng.integers(0, 2, count).astype(np.uint8)


@pytest.mark.parametrize("most", [1, 3, 255])
def test_count_events(most):
    x, y, t, p = draw(700)
    ranges = [(0, 0), (0, 300), (250, 700), (699, 700)]
    comp = np.zeros((4, *SENSOR, 2), np.uint8)
    begins, ends = np.array(ranges, np.int64).T
    for start, stop in ((2, 4), (0, 2)):
        count_events(start, stop, EventColumns(x, y, t, p), begins.copy(), ends.copy(), comp, most)
    np.testing.assert_array_equal(comp, naive.frames(x, y, p, ranges, SENSOR, most))


def test_a_count_stays_at_255_and_does_not_wrap():
    zeros, comp = np.zeros(300, np.uint16), np.zeros((1, 1, 1, 2), np.uint8)
    events = EventColumns(zeros, zeros, zeros.astype(np.int64), zeros.astype(np.uint8))
    count_events(0, 1, events, np.array([0]), np.array([300]), comp, 255)
    assert comp.tolist() == [[[[255, 0]]]]


def test_the_last_pixel_of_the_largest_sensor_is_counted_in_its_place():
    """Column and row are 16 bits; their place in the frame is not."""
    edge, comp = np.array([65535], np.uint16), np.zeros((1, 4, 65536, 2), np.uint8)
    events = EventColumns(edge, np.array([3], np.uint16), np.zeros(1, np.int64), np.ones(1, np.uint8))
    count_events(0, 1, events, np.array([0]), np.array([1]), comp, 255)
    assert comp.reshape(-1).nonzero()[0].tolist() == [4 * 65536 * 2 - 1]


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("within", [1, 2, 9, 1000])
def test_supported(within, diagonal):
    x, y, t, p = draw(120, within)
    reach = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0) and (diagonal or a * b == 0)]
    comp, latest = np.empty(120, bool), np.full(35, NEVER, np.int64)
    supported(EventColumns(x, y, t, p), SENSOR, np.array(reach, np.int64), within, latest, comp)
    ref = naive.supported(x, y, t, within, diagonal)
    np.testing.assert_array_equal(comp, ref)
    assert 0 < ref.sum() < 120


@pytest.mark.parametrize("period", [0, 1, 9, 40])
def test_rested(period):
    x, y, t, p = draw(200, period)
    comp, latest = np.empty(200, bool), np.full(35, NEVER, np.int64)
    rested(EventColumns(x, y, t, p), SENSOR[1], period, latest, comp)
    ref = naive.rested(x, y, t, period)
    np.testing.assert_array_equal(comp, ref)
    assert ref.all() == (period == 0)


def test_times_may_be_negative_and_far():
    """No time stands for "never"."""
    x, y = np.array([1, 2, 2], np.uint16), np.zeros(3, np.uint16)
    t = np.array([-(2**62), -(2**62) + 3, 2**61], np.int64)
    keep, latest = np.empty(3, bool), np.full(4, NEVER, np.int64)
    reach = np.array([[0, -1], [0, 1]], np.int64)
    supported(EventColumns(x, y, t, np.ones(3, np.uint8)), (1, 4), reach, 4, latest, keep)
    assert keep.tolist() == [False, True, False]
