"""Filters, crops, flips and drops of recordings, each against its definition in plain NumPy or loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import events as naive
from qpsnn_core.common.errors import ConfigError
from qpsnn_datasets.events import Recording
from qpsnn_datasets.events.drops import drop_area, drop_events, drop_time, event_drop
from qpsnn_datasets.events.filters import (
    crop_space,
    crop_time,
    denoise,
    downsample,
    flip,
    flip_polarity,
    merge_polarity,
    refractory,
)
from qpsnn_datasets.events.frames import frames_in_bins

SENSOR = (7, 10)
FIELDS = ("x", "y", "t", "p")


def recording(count=300, seed=0, duration=400):
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, side, count) for side in SENSOR)
    t = 50 + np.sort(rng.integers(0, duration, count))
    return Recording(x, y, t, rng.integers(0, 2, count).astype(bool), SENSOR, 4, "made")


def columns(one):
    return np.array([getattr(one, field).astype(np.int64) for field in FIELDS])


def assert_same(comp, ref):
    np.testing.assert_array_equal(columns(comp), ref)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_denoise_keeps_what_a_neighbour_supports(neighbours):
    one = recording()
    keep = naive.supported(one.x, one.y, one.t, 25, neighbours == 8)
    assert 0 < keep.sum() < len(one)
    comp = denoise(one, 25, neighbours=neighbours)
    assert_same(comp, columns(one)[:, keep])
    assert (comp.label, comp.sensor, comp.name) == (4, SENSOR, "made")


def test_denoise_with_four_neighbours_is_tonics_after_its_first_interval():
    one, within = recording(), 60
    memory = np.zeros(SENSOR) + within
    keep = []
    for x, y, t in zip(*(getattr(one, field).astype(int) for field in "xyt"), strict=True):
        memory[y, x] = t + within
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        keep.append(any(0 <= a < SENSOR[0] and 0 <= b < SENSOR[1] and memory[a, b] > t for a, b in beside))
    late = one.t >= within
    comp = denoise(one, within, neighbours=4)
    assert_same(crop_time(comp, within, 10**6), columns(one)[:, np.array(keep) & late])


def test_refractory_pixels_rest():
    one = recording()
    keep = naive.rested(one.x, one.y, one.t, 60)
    assert 0 < keep.sum() < len(one)
    comp = refractory(one, 60)
    assert_same(comp, columns(one)[:, keep])
    assert_same(refractory(comp, 60), columns(comp))
    assert_same(refractory(one, 0), columns(one))


@pytest.mark.parametrize(("down", "across"), [(2, None), (3, 2), (1, 1), (7, 100000)])
def test_frames_of_fewer_pixels_are_sums(down, across):
    one = recording()
    comp = downsample(one, down, across)
    across = across or down
    big = np.zeros((3, -(-7 // down) * down, -(-10 // across) * across, 2), np.int64)
    big[:, :7, :10] = frames_in_bins(one, 3)
    ref = big.reshape(3, big.shape[1] // down, down, big.shape[2] // across, across, 2).sum((2, 4))
    np.testing.assert_array_equal(frames_in_bins(comp, 3), ref)


def test_crop_time_keeps_from_start_to_before_end():
    one = recording()
    comp = crop_time(one, 100, 222)
    assert_same(comp, columns(one)[:, (one.t >= 100) & (one.t < 222)])
    assert len(crop_time(one, 100, 100)) == 0


def test_crop_space_moves_the_corner_to_0():
    one = recording()
    comp = crop_space(one, 2, 3, 4, 5)
    inside = (one.y >= 2) & (one.y < 6) & (one.x >= 3) & (one.x < 8)
    assert_same(comp, (columns(one) - np.array([[3], [2], [0], [0]]))[:, inside])
    assert comp.sensor == (4, 5)
    assert_same(crop_space(one, 0, 0, *SENSOR), columns(one))


def test_flips_turn_the_frames_round():
    one = recording()
    frames = frames_in_bins(one, 3)
    np.testing.assert_array_equal(frames_in_bins(flip(one), 3), frames[:, :, ::-1])
    np.testing.assert_array_equal(frames_in_bins(flip(one, vertically=True), 3), frames[:, ::-1])
    np.testing.assert_array_equal(frames_in_bins(flip_polarity(one), 3), frames[..., ::-1])
    merged = frames_in_bins(merge_polarity(one), 3)
    np.testing.assert_array_equal(merged[..., 0], frames.sum(-1))
    assert not merged[..., 1].any()
    assert_same(flip(flip(one)), columns(one))


def test_the_recording_that_was_given_stays_as_it_is():
    one = recording()
    before = columns(one).copy()
    for change in (
        lambda: denoise(one, 9),
        lambda: refractory(one, 9),
        lambda: downsample(one, 2),
        lambda: flip(one),
        lambda: flip_polarity(one),
        lambda: merge_polarity(one),
        lambda: drop_events(one, 0.5, 0),
        lambda: event_drop(one, 3),
    ):
        change()
        assert_same(one, before)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.999, 1])
def test_drop_events_drops_as_many_as_tonic(share):
    one = recording()
    comp = drop_events(one, share, 5)
    assert len(one) - len(comp) == int(share * 300 + 0.5)
    assert_same(drop_events(one, share, 5), columns(comp))
    kept = {tuple(event) for event in columns(one).T}
    assert {tuple(event) for event in columns(comp).T} <= kept


def test_every_event_is_as_likely_to_be_dropped():
    """Each of 300 events goes in about half of 400 draws: within 5 deviations of 200."""
    one = Recording(np.arange(300), np.zeros(300, int), np.arange(300), np.zeros(300, bool), (1, 300))
    gone = 400 - sum(np.bincount(drop_events(one, 0.5, seed).x, minlength=300) for seed in range(400))
    assert np.abs(gone - 200).max() < 50


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_drop_time_drops_one_interval_of_that_length(share):
    one = recording(3000)
    starts = set()
    for seed in range(40):
        comp = drop_time(one, share, seed)
        gone = np.setdiff1d(one.t, comp.t)
        assert gone.max() - gone.min() <= int(share * one.duration)
        assert_same(comp, columns(one)[:, (one.t < gone.min()) | (one.t > gone.max())])
        assert gone.max() - gone.min() >= int(share * one.duration) - 4
        starts.add(int(gone.min()))
    assert len(starts) > 10 or share == 1.0
    assert len(drop_time(one, 0, 1)) == 3000
    assert len(drop_time(recording(0), 0.5, 1)) == 0


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 1.0])
def test_drop_area_drops_one_box_of_that_size(share):
    one = recording(4000)
    corners = set()
    for seed in range(60):
        frames, left = frames_in_bins(one, 1)[0], frames_in_bins(drop_area(one, share, seed), 1)[0]
        rows, cols = np.nonzero(~left.any(-1))
        assert len(rows) == int(7 * share) * int(10 * share)
        if len(rows):
            box = left[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
            assert box.shape[:2] == (int(7 * share), int(10 * share))
            assert not box.any()
            corners.add((rows.min(), cols.min()))
        outside = left.any(-1)
        np.testing.assert_array_equal(left[outside], frames[outside])
    if 0 < share < 1:
        ways = (7 - int(7 * share) + 1, 10 - int(10 * share) + 1)
        assert [len({corner[axis] for corner in corners}) for axis in (0, 1)] == list(ways)


def test_event_drop_does_one_of_four_things():
    """Nothing, an interval, a box, or single events, each in a quarter of 400 draws: within 5 deviations of 100."""
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 40, (2, 4000))
    one = Recording(x, y, np.arange(4000), np.zeros(4000, bool), (40, 40))
    shares = {"nothing": [], "time": [], "area": [], "events": []}
    for seed in range(400):
        gone = np.setdiff1d(one.t, event_drop(one, seed).t)
        rows, cols = one.y[gone], one.x[gone]
        if not len(gone):
            shares["nothing"].append(0.0)
        elif len(gone) == gone[-1] - gone[0] + 1:
            shares["time"].append(len(gone) / 4000)
        elif len(gone) == len(crop_space(one, rows.min(), cols.min(), np.ptp(rows) + 1, np.ptp(cols) + 1)):
            shares["area"].append(np.ptp(rows) + 1)
        else:
            shares["events"].append(len(gone) / 4000)
    assert all(57 < len(found) < 143 for found in shares.values()), {k: len(v) for k, v in shares.items()}
    tenths = {k / 10 for k in range(1, 10)}
    assert {round(share, 3) for share in shares["time"]} == tenths
    assert set(shares["events"]) == tenths
    assert set(shares["area"]) == {2, 4, 6, 8, 10, 12}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: denoise(one, 0), r"denoise\.within"),
        (lambda one: denoise(one, 5, neighbours=6), r"denoise\.neighbours: expected 4 or 8, got 6"),
        (lambda one: refractory(one, -1), r"refractory\.period"),
        (lambda one: downsample(one, 0), r"downsample\.down"),
        (lambda one: downsample(one, 1, 0), r"downsample\.across"),
        (lambda one: crop_time(one, 1.5, 4), r"crop_time\.start: expected a whole number of microseconds, got 1\.5"),
        (lambda one: crop_time(one, 5, 4), r"crop_time\.end: expected at least the start, 5, got 4"),
        (lambda one: crop_space(one, -1, 0, 1, 1), r"crop_space\.top"),
        (lambda one: crop_space(one, 3, 0, 5, 1), r"crop_space\.height: expected at most 4, the rest of the sensor"),
        (lambda one: crop_space(one, 0, 9, 1, 2), r"crop_space\.width: expected at most 1"),
        (lambda one: drop_events(one, 1.1, 0), r"drop_events\.probability: expected a number from 0 to 1, got 1\.1"),
        (lambda one: drop_time(one, float("nan"), 0), r"drop_time\.share"),
        (lambda one: drop_area(one, True, 0), r"drop_area\.share"),
        (lambda one: event_drop(one, -1), "seed"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call(recording())
