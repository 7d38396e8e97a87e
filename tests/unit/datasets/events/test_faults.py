"""Faults of event files: refused with an error that names the repair, or mended and counted."""

from __future__ import annotations

import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, LabelError
from qpsnn_datasets.events import REPAIRS
from qpsnn_datasets.events.raw import Raw, Report, check_repairs, mend


def raw(t=(1, 2, 3), x=(0, 1, 2), y=(2, 1, 0), p=(1, 0, 1), **more):
    columns = {name: np.asarray(column, np.int64) for name, column in zip("xytp", (x, y, t, p), strict=True)}
    return Raw(**columns, **{"sensor": (3, 4), "name": "a", **more})


def mended(what, *repair, label=-1):
    report = Report()
    return mend(what, repair, report, label), report.done


def test_what_is_well_is_left_alone():
    recording, done = mended(raw(), *[name for name in REPAIRS if name != "clip"], label=4)
    assert files.listed(recording) == files.listed(raw())
    assert (recording.label, recording.sensor, recording.name, done) == (4, (3, 4), "a", {})
    assert len(mended(raw(p=(5, -1, 0)))[0].p) == 3
    assert mended(raw(p=(5, -1, 0)))[0].p.tolist() == [True, False, False]


def test_cut_off():
    with pytest.raises(FormatError, match=r"a: end: expected a whole event, got 3 bytes of one \(repair 'truncate'"):
        mended(raw(cut=3), "sort")
    recording, done = mended(raw(cut=3), "truncate")
    assert len(recording) == 3
    assert done == {"truncate": (1, 3)}


def test_time_that_runs_back():
    """The third and fourth are earlier than the second; those of one time keep their order."""
    back = raw(t=(1, 9, 3, 3, 9), x=(0, 1, 2, 3, 0), y=(0,) * 5, p=(1,) * 5)
    message = r"a\.t\[2\]: expected at least the 9 microseconds before it, got 3, and 1 step\(s\) back"
    with pytest.raises(DataError, match=message):
        mended(back, "unwrap")
    recording, done = mended(back, "sort")
    assert (recording.t.tolist(), recording.x.tolist()) == ([1, 3, 3, 9, 9], [0, 2, 3, 1, 0])
    assert done == {"sort": (1, 2)}


def test_a_clock_that_begins_anew():
    wrapped = raw(t=(250, 255, 3, 200, 1), x=(0,) * 5, y=(0,) * 5, p=(1,) * 5, clock=256)
    with pytest.raises(DataError, match="'unwrap' mends it"):
        mended(wrapped)
    recording, done = mended(wrapped, "unwrap")
    assert recording.t.tolist() == [250, 255, 259, 456, 513]
    assert done == {"unwrap": (1, 2)}


def test_unwrapping_leaves_small_steps_back_to_sorting():
    jitter = raw(t=(100, 99, 255, 3, 2), x=(0, 1, 2, 3, 0), y=(0,) * 5, p=(1,) * 5, clock=256)
    with pytest.raises(DataError, match=r"a\.t\[1\]"):
        mended(jitter, "unwrap")
    recording, done = mended(jitter, "unwrap", "sort")
    assert recording.t.tolist() == [99, 100, 255, 258, 259]
    assert done == {"unwrap": (1, 1), "sort": (1, 2)}


@pytest.mark.parametrize(("x", "y"), [((0, 4, 1), (0, 0, 0)), ((0, -1, 1), (0, 0, 0)), ((0, 1, 1), (0, 3, 0))])
def test_an_event_off_the_sensor(x, y):
    off = raw(x=x, y=y)
    with pytest.raises(DataError, match=r"a\.events\[1\]: expected on the sensor of 4x3 pixels, got at x="):
        mended(off)
    recording, done = mended(off, "drop")
    assert recording.t.tolist() == [1, 3]
    assert done == {"drop": (1, 1)}
    recording, done = mended(off, "clip")
    assert (int(recording.x[1]), int(recording.y[1])) == (min(max(x[1], 0), 3), min(y[1], 2))
    assert done == {"clip": (1, 1)}


def test_no_events():
    empty = raw((), (), (), ())
    with pytest.raises(DataError, match=r"a: expected at least one event, got 1 recording without any \(repair 'skip'"):
        mended(empty)
    assert mended(empty, "skip") == (None, {"skip": (1, 1)})
    assert mended(raw(x=(4, 4, 4)), "drop", "skip") == (None, {"drop": (1, 3), "skip": (1, 1)})


def test_reports_add_up():
    report = Report()
    for _ in range(2):
        mend(raw(x=(9, 9, 0)), ("drop",), report)
    assert report.done == {"drop": (2, 4)}


def test_a_label_is_checked():
    with pytest.raises(LabelError, match=r"a\.label"):
        mended(raw(), label=-2)


@pytest.mark.parametrize(
    ("repair", "message"),
    [
        (("sort", "mend"), "repair: expected some of truncate, .*, got 'mend'"),
        ("sort", "repair: expected some of truncate"),
        (("drop", "clip"), "repair: expected drop or clip, got both"),
    ],
)
def test_repairs_have_names(repair, message):
    with pytest.raises(ConfigError, match=message):
        check_repairs(repair)


@pytest.mark.parametrize("seed", range(10))
def test_everything_at_once_leaves_a_recording_of_what_was_good(seed):
    """Against sorting and filtering in plain Python."""
    rng = np.random.default_rng(seed)
    events = [tuple(map(int, rng.integers(-2, 9, 3))) for _ in range(100)]
    x, y, t = zip(*events, strict=True)
    recording, done = mended(raw(t, x, y, (1,) * 100), "drop", "sort")
    ref = sorted(((time, a, b) for a, b, time in events if 0 <= a < 4 and 0 <= b < 3), key=lambda event: event[0])
    assert [(int(time), a, b) for a, b, time, _ in files.listed(recording)] == ref
    assert done["drop"] == (1, 100 - len(ref))
