"""The benchmark of events: its contestants make the same frames, and it says so where they do not."""

from __future__ import annotations

import json

import pytest

from benched import FOLDER
from benchmarks import events
from qpsnn_datasets.events import Recording


def test_numpys_frames_are_ours():
    one = events.recording(3000, (9, 7))
    for sensor in ((1, 1), (9, 7)):
        calls = events.frames(events.recording(3000, sensor))
        assert len(calls) == 6
    for change in events.filters(one).values():
        assert isinstance(change(), Recording)


def test_frames_that_differ_end_it(monkeypatch):
    monkeypatch.setattr(events, "MOST", 254)
    with pytest.raises(SystemExit, match=r"frames differ from NumPy's add\.at"):
        events.frames(events.recording(9000, (1, 1)))


def test_published_figures_are_of_every_contestant_on_every_sensor():
    published = json.loads((FOLDER / "events.json").read_text(encoding="utf-8"))
    one = events.recording(3000, (9, 7))
    names = {*events.frames(one), *events.filters(one)}
    for sensor in events.SENSORS:
        assert {record["name"] for record in published["records"] if record["sensor"] == sensor} == names
