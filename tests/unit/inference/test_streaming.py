"""A stream of events: cut into windows, answered window by window as the exact simulator answers the same frames."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, UnsupportedError
from qpsnn_core.inference.streaming import one_after_the_other, stream, windows
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.integer.simulate import simulate
from qpsnn_datasets.events import Recording
from qpsnn_datasets.events.frames import frames_in_bins
from qpsnn_datasets.events.sets import Seen

SENSOR = (5, 6)
T = 4


def network(peak=255, channels=2, leak=(1, 1)):
    rng = np.random.default_rng(0)
    nodes = (
        IntInput("in", (*SENSOR, channels), peak),
        IntConv("conv", "in", 7, 3, 1, 1),
        IntLIF("lif", ("conv",), *leak),
        IntLinear("fc", "lif", 3),
        IntReadout("out", "fc"),
    )
    arrays = {
        "conv": {"codes": rng.integers(-7, 8, (3, 3, channels, 7)).astype(np.int8), "gain": np.full(7, 16, np.int32)},
        "lif": {"threshold": np.full(7, 200, np.int32), "bias": np.arange(-3, 4).astype(np.int32)},
        "fc": {"codes": rng.integers(-7, 8, (210, 3)).astype(np.int8), "gain": np.ones(3, np.int32)},
        "out": {"bias": np.arange(3, dtype=np.int32)},
    }
    return IntegerNetwork(nodes, arrays, T)


def recording(count=4000, first=0, duration=10_000, seed=0, label=-1, sensor=SENSOR):
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, side, count) for side in sensor)
    t = first + np.sort(rng.integers(0, duration, count))
    return Recording(x, y, t, rng.integers(0, 2, count).astype(bool), sensor, label, f"made {seed}")


def columns(one):
    return np.array([getattr(one, field).astype(np.int64) for field in "xytp"])


def pieces(one, edges):
    """The recording in parts, as they would come from a camera."""
    return [
        Recording(*(getattr(one, field)[start:stop] for field in "xytp"), one.sensor, one.label)
        for start, stop in zip([0, *edges], [*edges, len(one)], strict=True)
    ]


@pytest.mark.parametrize("edges", [[], [1], [7, 7, 8, 900, 3999], list(range(100, 4000, 100))])
def test_windows_do_not_depend_on_the_parts_in_which_events_come(edges):
    one = recording()
    found = list(windows(pieces(one, edges), SENSOR, 777, start=0))
    assert [(window.begin, window.end) for window in found] == [(k * 777, (k + 1) * 777) for k in range(13)]
    np.testing.assert_array_equal(np.concatenate([columns(window.events) for window in found], axis=1), columns(one))
    for window in found:
        assert ((window.events.t >= window.begin) & (window.events.t < window.end)).all()


def test_a_window_is_given_as_soon_as_a_later_event_came():
    one, asked = recording(), []

    def camera():
        for piece in pieces(one, [1000, 2000, 3000]):
            asked.append(len(asked))
            yield piece

    found = windows(camera(), SENSOR, 500, start=0)
    next(found)
    assert asked == [0]


def test_windows_begin_at_the_first_event_and_silent_ones_are_given():
    one = Recording(np.array([1, 2]), np.array([0, 0]), np.array([105, 350]), np.array([1, 0]), SENSOR, 5)
    found = list(windows([one], SENSOR, 100))
    assert [(window.begin, len(window.events), window.events.label) for window in found] == [
        (105, 1, 5),
        (205, 0, -1),
        (305, 1, 5),
    ]
    assert list(windows([recording(0)], SENSOR, 100)) == []


def test_labels_are_those_of_the_latest_event():
    parts = [recording(50, 0, 100, label=1), recording(50, 100, 100, label=2)]
    assert [window.events.label for window in windows(parts, SENSOR, 100, start=0)] == [1, 2]
    assert [window.events.label for window in windows(parts, SENSOR, 200, start=0)] == [2]


def test_recordings_follow_one_another():
    parts = list(one_after_the_other([recording(50, 0, 100, seed=k, label=k) for k in range(3)], 100))
    assert all(100 * k <= part.t[0] and part.t[-1] < 100 * (k + 1) for k, part in enumerate(parts))
    assert [part.label for part in parts] == [0, 1, 2]


@pytest.mark.parametrize("steps", [1, 3, T])
@pytest.mark.parametrize("peak", [1, 255])
def test_each_window_is_a_sample_of_the_exact_simulator(steps, peak):
    net, one = network(peak), recording()
    given = IntegerNetwork(net.nodes, net.arrays, steps)
    answers = list(stream(net, [one], 900, steps=steps, start=0))
    assert len(answers) == 12
    for k, comp in enumerate(answers):
        frames = np.minimum(frames_in_bins(one, steps, span=(900 * k, 900 * (k + 1))), peak)
        np.testing.assert_array_equal(comp.frames, frames)
        ref = simulate(given, frames[:, None], record="all")
        np.testing.assert_array_equal(comp.run.readout, ref.readout)
        np.testing.assert_array_equal(comp.run.spikes["lif"], ref.spikes["lif"])
        np.testing.assert_array_equal(comp.run.membranes["lif"], ref.membranes["lif"])
        assert comp.answer == ref.readout[0].argmax()
        assert comp.seconds > 0
    assert 0 < np.mean([comp.run.spikes["lif"].mean() for comp in answers]) < 1


@pytest.mark.parametrize("steps", [1, 2, T, 6])
def test_kept_windows_are_one_long_run(steps):
    net, one = network(), recording()
    answers = list(stream(net, pieces(one, [10, 2000]), 900, steps=steps, keep=True, start=0))
    frames = np.concatenate([comp.frames for comp in answers])
    long = IntegerNetwork(net.nodes, net.arrays, len(frames))
    ref = simulate(long, frames[:, None], record="all")
    np.testing.assert_array_equal(np.concatenate([comp.run.spikes["lif"] for comp in answers]), ref.spikes["lif"])
    np.testing.assert_array_equal(np.concatenate([comp.run.membranes["lif"] for comp in answers]), ref.membranes["lif"])
    np.testing.assert_array_equal(sum(comp.run.readout for comp in answers), ref.readout)


def test_a_kept_answer_is_of_the_latest_t_steps():
    answers = list(stream(network(), [recording()], 500, keep=True, start=0))
    readouts = np.array([comp.run.readout[0] for comp in answers])
    assert [len(comp.frames) for comp in answers] == [1] * len(answers)
    for k, comp in enumerate(answers):
        assert comp.answer == readouts[max(0, k + 1 - T) : k + 1].sum(0).argmax()
    assert any(comp.answer != comp.run.readout[0].argmax() for comp in answers)


def test_without_anything_said_a_window_is_a_whole_sample():
    (first, *_) = stream(network(), [recording()], 1000)
    assert first.frames.shape == (T, *SENSOR, 2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: stream(network(channels=1), [], 100), ShapeError, r"in\.shape: expected \(H, W, 2\)"),
        (lambda: stream(network(), [], 0), ConfigError, "window: expected a whole number of microseconds, at least"),
        (lambda: stream(network(), [], 3), ConfigError, "window: .*at least the 4 steps, got 3"),
        (lambda: stream(network(), [], 100, steps=0), ConfigError, "steps: expected a whole number of at least 1"),
        (lambda: stream(network(leak=(1, 0)), [], 100, keep=True), UnsupportedError, r"lif\.multiplier"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_event(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([recording(sensor=(5, 5))], r"made 0\.sensor: expected \(5, 6\), the network's input, got \(5, 5\)"),
        ([recording(), recording()], r"made 0\.t\[0\]: expected at least \d+ microseconds"),
        ([recording(), 7], "stream: expected Recordings, got int"),
    ],
)
def test_recordings_that_are_no_stream_are_named(parts, message):
    with pytest.raises(DataError, match=message):
        list(stream(network(), parts, 1000))


def test_events_before_the_start_are_refused():
    with pytest.raises(DataError, match=r"t\[0\]: expected at least 500 microseconds"):
        list(stream(network(), [recording()], 1000, start=500))


def test_digits_seen_by_the_camera_make_a_stream_of_whole_windows():
    """Each window is one digit's recording, and its frames those of the data set."""
    pytest.importorskip("sklearn", reason="the [data] extra is not installed (scikit-learn)")
    from qpsnn_datasets import load_data
    from qpsnn_datasets.digits import load_digits

    seen, data = Seen(load_digits(limit=20).test), load_data("digits-events", limit=20, steps=3).test
    found = list(windows(one_after_the_other(map(seen.__getitem__, range(20)), 300_000), (10, 10), 300_000, 0))
    assert [window.events.label for window in found] == data.labels.tolist()
    for window, frames in zip(found, data.images, strict=True):
        np.testing.assert_array_equal(frames_in_bins(window.events, 3, span=(window.begin, window.end)), frames)
        assert frames.sum() == len(window.events)
