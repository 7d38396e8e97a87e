"""Which images can be moved before a camera, and how many streams of events a file may have."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qpsnn_core.common.errors import DataError, FormatError
from qpsnn_datasets.events.formats import aedat4
from qpsnn_datasets.events.saccades import saccade


@pytest.mark.parametrize("shape", [(5,), (), (0, 3), (3, 4, 2), (3, 4, 0), (1, 3, 4, 1)])
def test_images_that_are_no_picture_in_grey(shape):
    with pytest.raises(DataError, match=r"saccade\.image: expected \[H, W\] or \[H, W, 1\], got shape"):
        saccade(np.zeros(shape, np.uint8))


def test_a_channel_of_its_own_changes_nothing():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    np.testing.assert_array_equal(saccade(image[..., None]).t, saccade(image).t)
    assert saccade(image).sensor == (6, 7)


class File:
    """What faery's decoder gives, made up: tracks, then packets."""

    def __init__(self, kinds):
        self.kinds = kinds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def tracks(self):
        return [SimpleNamespace(id=i, data_type=kind, dimensions=(7, 3)) for i, kind in enumerate(self.kinds)]

    def __iter__(self):
        for track in self.tracks():
            yield track, {name: np.arange(3) + track.id for name in ("x", "y", "t", "on")}


@pytest.mark.parametrize(
    ("kinds", "begin"), [(["events"], 0), (["frame", "events"], 1), (["imus", "triggers", "events"], 2)]
)
def test_one_stream_of_events_beside_others(kinds, begin, tmp_path, monkeypatch):
    path = tmp_path / "made-up.aedat4"
    path.write_bytes(aedat4.MAGIC + bytes(4))
    monkeypatch.setattr(aedat4, "_decoder", lambda: lambda _: File(kinds))
    raw = aedat4.read(path, "made up")
    assert raw.x.tolist() == [begin, begin + 1, begin + 2]
    assert raw.sensor == (3, 7)


@pytest.mark.parametrize("kinds", [[], ["frame"], ["events", "events"], ["events", "frame", "events"]])
def test_no_stream_or_two(kinds, tmp_path, monkeypatch):
    path = tmp_path / "made-up.aedat4"
    path.write_bytes(aedat4.MAGIC + bytes(4))
    monkeypatch.setattr(aedat4, "_decoder", lambda: lambda _: File(kinds))
    with pytest.raises(FormatError, match=f"made up: expected one stream of events, got {kinds.count('events')}"):
        aedat4.read(path, "made up")
