"""Frames of recordings: tonic's slices and SpikingJelly's, by plain NumPy; and data sets made of them."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, LabelError
from qpsnn_datasets.events import Recording
from qpsnn_datasets.events.frames import frames_by_count, frames_by_time, frames_in_bins, to_dataset

SENSOR = (6, 9)


def recording(count=500, seed=0, sensor=SENSOR, label=3, first=1000, duration=5000):
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, side, count) for side in sensor)
    t = first + np.sort(rng.integers(0, duration + 1, count))
    t[:1], t[-1:] = first, first + duration
    return Recording(x, y, t, rng.integers(0, 2, count).astype(bool), sensor, label, f"made {seed}")


def added(one, starts, ends):
    """Frames as tonic's to_frame_numpy makes them of slices, counts cut at 255."""
    frames = np.zeros((len(starts), *one.sensor, 2), np.int64)
    for f, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = slice(start, end)
        np.add.at(frames, (f, one.y[part], one.x[part], one.p[part].astype(int)), 1)
    return np.minimum(frames, 255)


@pytest.mark.parametrize("window", [1, 700, 1000, 2500, 5000, 5001, 90000])
def test_by_time_is_tonics_slice_by_time(window):
    one = recording()
    count = max(int(np.floor(((one.t[-1] - one.t[0]) - window) / window) + 1), 1)
    starts = np.arange(count) * window + one.t[0]
    ref = added(one, np.searchsorted(one.t, starts), np.searchsorted(one.t, starts + window))
    comp = frames_by_time(one, window)
    np.testing.assert_array_equal(comp, ref)
    assert comp.dtype == np.uint8


@pytest.mark.parametrize("window", [700, 1000, 2500, 5000, 90000])
def test_by_time_with_the_last_part_loses_no_event(window):
    one = recording()
    whole, partial = frames_by_time(one, window), frames_by_time(one, window, partial=True)
    assert partial.sum() == len(one)
    assert len(partial) == 5000 // window + 1
    np.testing.assert_array_equal(partial[: 5000 // window], whole[: 5000 // window])


@pytest.mark.parametrize("count", [1, 7, 250, 499, 500, 501])
def test_by_count_is_tonics_slice_by_event_count(count):
    one = recording()
    events = min(count, len(one))
    slices = int(np.floor((len(one) - events) / events) + 1)
    starts = np.arange(slices) * events
    np.testing.assert_array_equal(frames_by_count(one, count), added(one, starts, starts + events))
    assert frames_by_count(one, count, partial=True).sum() == 500


@pytest.mark.parametrize("bins", [1, 3, 7, 16])
def test_bins_of_time_and_of_count_are_tonics(bins):
    one = recording()
    window = (one.t[-1] - one.t[0]) // bins
    starts = np.arange(bins) * window + one.t[0]
    ref = added(one, np.searchsorted(one.t, starts), np.searchsorted(one.t, starts + window))
    np.testing.assert_array_equal(frames_in_bins(one, bins, rest="drop"), ref)
    starts = np.arange(bins) * (len(one) // bins)
    ref = added(one, starts, starts + len(one) // bins)
    np.testing.assert_array_equal(frames_in_bins(one, bins, by="count", rest="drop"), ref)


@pytest.mark.parametrize("by", ["time", "count"])
def test_the_last_bin_takes_what_is_left_over_as_in_spikingjelly(by):
    one, bins = recording(), 7
    if by == "count":
        left = np.arange(bins) * (len(one) // bins)
        right = left + len(one) // bins
    else:
        dt = (one.t[-1] - one.t[0]) // bins
        inside = [(one.t >= dt * i + one.t[0]) & (one.t < dt * (i + 1) + one.t[0]) for i in range(bins)]
        left = np.array([np.flatnonzero(mask)[0] for mask in inside])
        right = np.array([np.flatnonzero(mask)[-1] + 1 for mask in inside])
    right[-1] = len(one)
    comp = frames_in_bins(one, bins, by=by)
    np.testing.assert_array_equal(comp, added(one, left, right))
    assert comp.sum() == len(one)


def test_a_span_is_divided_whatever_the_events_are():
    one = recording()
    edges = [0, 2333, 4666, 7000]
    at = np.searchsorted(one.t, edges)
    np.testing.assert_array_equal(frames_in_bins(one, 3, span=(0, 7000)), added(one, at[:-1], at[1:]))
    inner = frames_in_bins(one, 2, span=(2000, 3000))
    assert inner.sum() == ((one.t >= 2000) & (one.t < 3000)).sum()


def test_counts_saturate_and_binary_frames_say_only_whether():
    one = recording(9000, sensor=(2, 2))
    frames, binary = frames_in_bins(one, 2), frames_in_bins(one, 2, binary=True)
    assert frames.max() == 255
    np.testing.assert_array_equal(binary, frames > 0)
    assert binary.max() == 1


def test_off_is_channel_0_and_on_channel_1():
    one = Recording(np.array([4]), np.array([2]), np.array([5]), np.array([True]), SENSOR)
    assert np.argwhere(frames_in_bins(one, 1)).tolist() == [[0, 2, 4, 1]]


def test_nothing_becomes_silent_frames():
    one = recording(0)
    for frames, count in (
        (frames_by_time(one, 10), 1),
        (frames_by_count(one, 10), 1),
        (frames_in_bins(one, 4), 4),
        (frames_in_bins(one, 4, by="count"), 4),
        (frames_in_bins(one, 4, span=(0, 100)), 4),
    ):
        assert frames.shape == (count, *SENSOR, 2)
        assert not frames.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: frames_by_time(one, 0), r"frames_by_time\.window: expected a whole number of at least 1, got 0"),
        (lambda one: frames_by_count(one, 1.5), r"frames_by_count\.count: .*got 1\.5"),
        (lambda one: frames_in_bins(one, True), r"frames_in_bins\.bins"),
        (
            lambda one: frames_in_bins(one, 2, by="event"),
            r"frames_in_bins\.by: expected one of time, count, got 'event'",
        ),
        (lambda one: frames_in_bins(one, 2, rest="keep"), r"frames_in_bins\.rest: expected one of last, drop"),
        (
            lambda one: frames_in_bins(one, 2, span=(5, 5)),
            r"frames_in_bins\.span: .*the second the larger, got \(5, 5\)",
        ),
        (lambda one: frames_in_bins(one, 2, span=(0, 5), by="count"), r"frames_in_bins\.span: expected None"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call(recording())


def test_more_frames_than_memory_holds_are_refused():
    vast = Recording(np.array([0, 0]), np.array([0, 0]), np.array([0, 2**60]), np.array([0, 1]), (60000, 60000))
    with pytest.raises(DataError, match=r"recording: expected at most .* that this machine has .* for frames \["):
        frames_by_time(vast, 1000)


class Lazy:
    """Recordings that are made when they are asked for, one at a time."""

    def __init__(self, count):
        self.count, self.asked = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        return recording(seed=index, label=index % 3)


def test_recordings_become_a_dataset():
    lazy = Lazy(5)
    data = to_dataset(lazy, 4, name="made")
    assert lazy.asked == [0, 1, 2, 3, 4]
    assert data.images.shape == (5, 4, *SENSOR, 2)
    assert data.labels.tolist() == [0, 1, 2, 0, 1]
    assert data.classes == ("0", "1", "2")
    np.testing.assert_array_equal(data.images[3], frames_in_bins(recording(seed=3), 4))
    same = to_dataset([recording(seed=k, label=k % 3) for k in range(5)], 4, by="count", rest="drop", binary=True)
    np.testing.assert_array_equal(
        same.images[2], frames_in_bins(recording(seed=2), 4, by="count", rest="drop", binary=True)
    )
    assert to_dataset(lazy, 2, classes=("a", "b", "c")).classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("recordings", "kind", "message"),
    [
        ([], DataError, "events: expected at least one recording, got none"),
        ([recording(), 7], DataError, r"events\[1\]: expected a Recording, got int"),
        ([recording(), recording(sensor=(6, 8))], DataError, r"events\[1\] \(made 0\)\.sensor: .*\(6, 9\).*\(6, 8\)"),
        (
            [recording(), recording(label=-1)],
            LabelError,
            r"events\[1\] \(made 0\)\.label: expected a label of at least",
        ),
    ],
)
def test_recordings_that_make_no_dataset_are_named(recordings, kind, message):
    with pytest.raises(kind, match=message):
        to_dataset(recordings, 2)


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(LabelError, match=r"events\.labels\[0\]: expected 0 to 1, got 3"):
        to_dataset([recording()], 2, classes=("a", "b"))
