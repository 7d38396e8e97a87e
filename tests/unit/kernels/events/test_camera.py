"""The camera's pixels against loops, event for event."""

from __future__ import annotations

import numpy as np
import pytest

from naive import events as naive
from qpsnn_core.kernels.events import camera
from qpsnn_core.kernels.events.camera import FINE, LEVELS, Looks, Picture, even, level, watch
from qpsnn_core.kernels.events.columns import EventColumns

TABLE = np.rint(1000 * np.log(0.1 + 0.9 * np.arange(LEVELS) / (LEVELS - 1))).astype(np.int64)


def seen(image, moves, times, threshold, margin=1, room=5000, edge=4):
    """[(t, y, x, brighter)] of the kernel, in the twin's order; how many it says there are."""
    padded = np.pad(image.astype(np.int64), edge)
    across, down = (-np.array(moves)).T + (edge - margin) * FINE
    pitch = padded.shape[1]
    looks = Looks(down // FINE * pitch + across // FINE, down % FINE, across % FINE, np.array(times, np.int64))
    xs, ys, ts, ps = (np.zeros(room, kind) for kind in (np.uint16, np.uint16, np.int64, np.bool_))
    sensor = (side + 2 * margin for side in image.shape)
    picture = Picture(padded.reshape(-1), pitch, 2 * (edge - margin) + 1, *sensor)
    count = watch(picture, looks, TABLE, threshold, EventColumns(xs, ys, ts, ps))
    found = zip(*(array[: min(count, room)].tolist() for array in (ts, ys, xs, ps)), strict=True)
    return sorted(found, key=lambda event: event[:3]), count


@pytest.mark.parametrize("threshold", [1, 150, 900])
def test_watch(threshold):
    rng = np.random.default_rng(threshold)
    image = rng.integers(0, 256, (4, 3)).astype(np.uint8)
    moves = rng.integers(-2 * FINE, 2 * FINE + 1, (6, 2)).tolist()
    times = np.cumsum(rng.integers(1, 50, 6)).tolist()
    comp, count = seen(image, moves, times, threshold, room=200_000)
    ref = naive.saccade(image, moves, times, TABLE, threshold, 1, FINE)
    assert comp == ref
    assert count == len(ref) > 0


def test_even_areas_see_nothing_whatever_moves():
    image = np.zeros((9, 9), np.uint8)
    image[2, 3] = 200
    moves = np.random.default_rng(0).integers(-2 * FINE, 2 * FINE + 1, (9, 2)).tolist()
    comp, _ = seen(image, moves, list(range(9)), 100)
    assert comp == naive.saccade(image, moves, list(range(9)), TABLE, 100, 1, FINE)
    assert {(y - 1, x - 1) for _, y, x, _ in comp} <= {(y, x) for y in range(0, 6) for x in range(1, 7)}
    assert even(np.zeros(20, np.int64), 1, 5, 3)
    assert not even(np.arange(20) == 13, 1, 5, 3)
    assert even(np.arange(20) == 14, 1, 5, 3)


def test_events_beyond_the_room_are_counted_but_not_written():
    image = np.full((2, 2), 255, np.uint8)
    moves = [(0, 0), (FINE, 0)]
    _, count = seen(image, moves, [0, 9], 300)
    some, again = seen(image, moves, [0, 9], 300, room=3)
    assert again == count > 3 == len(some)


def test_level_is_the_picture_between_its_pixels():
    image = np.array([0, 100, 200, 50], np.int64)
    for down, across in ((0, 0), (0, 512), (512, 512), (256, 768), (1023, 1023)):
        y, x = down / FINE, across / FINE
        exact = (1 - y) * (100 * x) + y * (200 * (1 - x) + 50 * x)
        assert level(image, 0, 2, down, across) == int(256 * exact)


def test_the_brightest_level_is_the_tables_last():
    assert level(np.full(4, 255, np.int64), 0, 2, 700, 300) == LEVELS - 1
    assert camera.FINE == 1 << camera.FINE_BITS
