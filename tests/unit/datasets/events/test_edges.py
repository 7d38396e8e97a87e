"""The edges of arguments of events: one slice, a noise of 0, a sensor of one pixel; what is mended is counted once."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_datasets.events.frames import frames_in_bins
from qpsnn_datasets.events.pictures import edges
from qpsnn_datasets.events.raw import Report
from qpsnn_datasets.events.recording import LARGEST_SIDE, Recording
from qpsnn_datasets.events.saccades import Camera


def recording(times, sensor=(2, 3)):
    count = len(times)
    zeros = np.zeros(count, np.uint16)
    return Recording(zeros, zeros, np.array(times, np.int64), np.ones(count, np.bool_), sensor)


def test_one_slice_is_the_whole_recording():
    assert edges(recording([5, 7, 24]), 1).tolist() == [5, 25]
    assert edges(recording([5, 7, 24]), 4).tolist() == [5, 10, 15, 20, 25]
    assert edges(recording([]), 2).tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match="slices: expected at least 1, got 0"):
        edges(recording([5]), 0)


def test_repairs_are_counted_by_recording_and_amount():
    report = Report()
    report.add("sort", 5)
    report.add("sort", 2)
    report.add("drop", 1)
    assert report.done == {"sort": (2, 7), "drop": (1, 1)}


@pytest.mark.parametrize("noise", [0.0, 1e-9, 500.0])
def test_noise_up_to_one_event_a_sample(noise):
    assert Camera(noise=noise).noise == noise


@pytest.mark.parametrize("noise", [-1e-9, -0.5, -1.0, 500.1, float("nan")])
def test_other_noise_is_refused(noise):
    with pytest.raises(ConfigError, match=r"camera\.noise"):
        Camera(noise=noise)


@pytest.mark.parametrize("sensor", [(1, 1), (1, LARGEST_SIDE), (LARGEST_SIDE, 1), [2, 3], (np.int64(2), 3)])
def test_sensors_of_one_pixel_to_the_largest(sensor):
    assert recording([1], sensor).sensor == tuple(sensor)


@pytest.mark.parametrize("sensor", [(0, 3), (3, 0), (-1, 3), (1, LARGEST_SIDE + 1), (2.0, 3), (True, 3), (2,), 5, None])
def test_other_sensors_are_refused(sensor):
    with pytest.raises(DataError, match="each 1 to"):
        recording([1], sensor)


def test_a_recording_without_events_is_frames_of_zeros():
    assert not frames_in_bins(recording([]), 3).any()
    assert frames_in_bins(recording([]), 3).shape == (3, 2, 3, 2)
