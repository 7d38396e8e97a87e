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


def well(more, last=1000, **others):
    """The same before so many events without a fault, which are later than all of its own."""
    columns = {name: np.concatenate((getattr(more, name), np.zeros(60, np.int64))) for name in "xyp"}
    columns["t"] = np.concatenate((more.t, np.full(60, last)))
    return Raw(**columns, sensor=more.sensor, name=more.name, clock=more.clock, cut=more.cut, **others)


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
    back = well(raw(t=(1, 9, 3, 3, 9), x=(0, 1, 2, 3, 0), y=(0,) * 5, p=(1,) * 5))
    message = r"a\.t\[2\]: expected at least the 9 .*, got 3, and 1 step\(s\) back in all \(repair 'sort' mends it\)"
    with pytest.raises(DataError, match=message):
        mended(back, "unwrap")
    recording, done = mended(back, "sort")
    assert (recording.t[:5].tolist(), recording.x[:5].tolist()) == ([1, 3, 3, 9, 9], [0, 2, 3, 1, 0])
    assert done == {"sort": (1, 2)}


def test_a_clock_that_begins_anew():
    wrapped = well(raw(t=(250, 255, 3, 200, 1), x=(0,) * 5, y=(0,) * 5, p=(1,) * 5, clock=256), 100)
    with pytest.raises(DataError, match=r"a\.t\[2\]: .*'unwrap' mends it"):
        mended(wrapped)
    with pytest.raises(DataError, match="a: expected repair 'unwrap' before 'sort', got a clock that begins anew"):
        mended(wrapped, "sort")
    recording, done = mended(wrapped, "unwrap")
    assert recording.t[:6].tolist() == [250, 255, 259, 456, 513, 612]
    assert done == {"unwrap": (1, 2)}


def test_unwrapping_leaves_small_steps_back_to_sorting():
    jitter = well(raw(t=(100, 99, 255, 3, 2), x=(0, 1, 2, 3, 0), y=(0,) * 5, p=(1,) * 5, clock=256), 50)
    with pytest.raises(DataError, match=r"a\.t\[1\].*'sort' mends it"):
        mended(jitter, "unwrap")
    recording, done = mended(jitter, "unwrap", "sort")
    assert recording.t[:6].tolist() == [99, 100, 255, 258, 259, 306]
    assert done == {"unwrap": (1, 1), "sort": (1, 2)}


FAULTS = {
    "off": (lambda k: {"x": 4 * (np.arange(100) < k)}, "drop", r"{} off the sensor of 4x3 pixels, of 100 in all"),
    "back": (lambda k: {"t": np.arange(100) * (np.arange(100) < 100 - k)}, "sort", r"{} earlier than one before them"),
    "anew": (lambda k: {"t": np.r_[[9, 0] * k, np.zeros(100 - 2 * k)], "clock": 10}, "unwrap", "{} where the clock"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_repair_changes_more_than_a_few_per_cent_of_the_events(fault):
    """Bytes of another format are events with faults nearly everywhere; no repair is offered for them."""
    change, repair, said = FAULTS[fault]
    others = {name: np.zeros(100) for name in "xyp"} | {"t": np.arange(100)}
    assert mended(raw(**others | change(5)), repair)[1] == {repair: (1, 5)}
    for repairs in ([], [repair], [name for name in REPAIRS if name != "clip"], ["truncate", "clip", "sort", "unwrap"]):
        with pytest.raises(DataError, match=f"^a: expected faults in at most 5% .*{said.format(6)}.*another") as caught:
            mended(raw(**others | change(6), cut=3), *repairs)
        assert "mends it" not in str(caught.value)


def test_faults_of_all_kinds_count_together():
    others = {"x": 4 * (np.arange(100) < 3), "y": np.zeros(100), "p": np.zeros(100)}
    assert mended(raw(t=np.r_[np.arange(98), 0, 0], **others), "drop", "sort")[1] == {"drop": (1, 3), "sort": (1, 2)}
    with pytest.raises(DataError, match="got 3 off the sensor of 4x3 pixels, 3 earlier than one before them, of 100"):
        mended(raw(t=np.r_[np.arange(97), 0, 0, 0], **others), "drop", "sort")


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
    assert mended(raw((1,), (4,), (0,), (1,)), "drop", "skip") == (None, {"drop": (1, 1), "skip": (1, 1)})
    with pytest.raises(DataError, match="3 off the sensor of 4x3 pixels, of 3 in all"):
        mended(raw(x=(4, 4, 4)), "drop", "skip")


def test_reports_add_up():
    report = Report()
    for _ in range(2):
        mend(well(raw(x=(9, 9, 0))), ("drop",), report)
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
    events = [(0, 0, time) for time in range(900)]
    for at in rng.choice(900, 20, replace=False):
        events[at] = (*map(int, rng.integers(-2, 9, 2)), events[at][2] - int(rng.integers(3)))
    x, y, t = zip(*events, strict=True)
    recording, done = mended(raw(t, x, y, (1,) * 900), "drop", "sort")
    ref = sorted(((time, a, b) for a, b, time in events if 0 <= a < 4 and 0 <= b < 3), key=lambda event: event[0])
    assert [(int(time), a, b) for a, b, time, _ in files.listed(recording)] == ref
    assert done["drop"] == (1, 900 - len(ref))
