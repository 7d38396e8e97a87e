"""Pictures of events: counts against loops, proportions, colours, rates."""

from __future__ import annotations

import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import ConfigError
from qpsnn_datasets.events import Recording, pictures


def looped(recording, times, size):
    """One event after the other."""
    rows, columns = size
    height, width = recording.sensor
    counted = np.zeros((len(times) - 1, 2, rows, columns), int)
    for x, y, t, p in files.listed(recording):
        for part in range(len(times) - 1):
            begin, end = int(times[part]), int(times[part + 1])
            if begin <= t < end and height == 1:
                counted[part, p, rows - 1 - x * rows // width, (t - begin) * columns // (end - begin)] += 1
            elif begin <= t < end:
                counted[part, p, y * rows // height, x * columns // width] += 1
    return counted


@pytest.mark.parametrize("sensor", [(5, 7), (1, 30), (1, 1)])
@pytest.mark.parametrize(("slices", "size"), [(1, (5, 7)), (4, (3, 2)), (9, (1, 1))])
def test_counts_equal_the_loops(sensor, slices, size):
    recording = files.random_recording(np.random.default_rng(slices), 200, sensor, start=-300)
    times = pictures.edges(recording, slices)
    comp = pictures.counts(recording, times, size)
    np.testing.assert_array_equal(comp, looped(recording, times, size))
    assert comp.sum() == 200
    some = pictures.counts(recording, times[:2], size)
    np.testing.assert_array_equal(some, comp[:1])


def test_edges_are_evenly_apart_and_hold_every_event():
    recording = files.random_recording(np.random.default_rng(0), 50, start=10)
    times = pictures.edges(recording, 7)
    assert (times[0], times[-1]) == (recording.t[0], recording.t[-1] + 1)
    assert np.ptp(np.diff(times)) <= 1
    with pytest.raises(ConfigError, match="slices: expected at least 1, got 0"):
        pictures.edges(recording, 0)
    far = Recording(*np.zeros((2, 2), int), np.array([-(2**62), 2**62]), np.zeros(2, bool), (1, 1))
    assert pictures.edges(far, 2).tolist() == [-(2**62), 0, 2**62 + 1]


@pytest.mark.parametrize(
    ("sensor", "room", "size"),
    [
        ((34, 34), (48, 80), (34, 34)),
        ((480, 640), (48, 80), (48, 64)),
        ((720, 1280), (400, 80), (45, 80)),
        ((1, 700), (48, 80), (48, 80)),
    ],
)
def test_a_picture_fits_and_keeps_its_proportions(sensor, room, size):
    assert pictures.picture_size(files.random_recording(np.random.default_rng(0), 3, sensor), *room) == size


def test_colours_run_from_the_background_to_full():
    counted = np.zeros((1, 2, 1, 4), int)
    counted[0, 0, 0, 1] = counted[0, 1, 0, 2] = 100
    counted[0, 1, 0, 3] = 25
    for palette in (pictures.PAPER, pictures.SCREEN):
        (row,) = pictures.colours(counted, palette)[0].tolist()
        assert [tuple(pixel) for pixel in row[:3]] == [palette.background, palette.off, palette.on]
        half = [(a + b) / 2 for a, b in zip(palette.background, palette.on, strict=True)]
        np.testing.assert_allclose(row[3], half, atol=1)
    assert (pictures.colours(0 * counted, pictures.PAPER) == 255).all()


def test_rates_are_events_by_seconds():
    recording = files.random_recording(np.random.default_rng(2), 300)
    spans = np.diff(pictures.edges(recording, 10)) / 1e6
    off, on = (pictures.rate(recording, 10) * spans).sum(1)
    assert (round(off), round(on)) == (int((~recording.p).sum()), int(recording.p.sum()))
