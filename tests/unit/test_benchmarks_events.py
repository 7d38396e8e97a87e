"""The benchmark of events: its contestants make the same frames, and it says so where they do not."""

from __future__ import annotations

import pytest

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
        events.frames(events.recording(3000, (1, 1)))
