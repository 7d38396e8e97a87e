"""Random recordings come back as they were, whole and in windows, whatever the size of a block."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
from generators import event_files as files
from hypothesis import given, settings
from hypothesis import strategies as st

from qpsnn_datasets.events import SPLITS, Recording, event_writer, load_events, writer

CLASSES = ("a", "b", "c")
TIMES = st.integers(-(2**63), 2**63 - 1)


@st.composite
def recordings(draw):
    height, width = draw(st.integers(1, 1 << 16)), draw(st.integers(1, 1 << 16))
    times = sorted(draw(st.lists(TIMES | st.integers(0, 9), max_size=40)))
    count = len(times)
    columns = [
        draw(st.lists(st.integers(0, most), min_size=count, max_size=count)) for most in (width - 1, height - 1, 1)
    ]
    x, y, p = (np.array(column, np.int64) for column in columns)
    t, name = np.array(times, np.int64), draw(st.text(max_size=5))
    return Recording(x, y, t, p.astype(bool), (height, width), draw(st.integers(-1, 2)), name)


@settings(max_examples=60)
@given(
    made=st.lists(st.tuples(recordings(), st.sampled_from(SPLITS)), max_size=6),
    block=st.integers(1, 50),
    edges=st.data(),
)
def test_what_is_written_is_read(made, block, edges):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.h5"
        with patch.object(writer, "BLOCK", block), event_writer(path, CLASSES) as store:
            for recording, split in made:
                store.add(recording, split)
        with load_events(path) as store:
            assert store.splits.tolist() == [split for _, split in made]
            for one, (other, _) in zip(store, made, strict=True):
                files.same(one, other)
            for index, (recording, _) in enumerate(made):
                start, stop = sorted(
                    edges.draw(st.tuples(TIMES, TIMES) | st.tuples(st.integers(-1, 9), st.integers(-1, 9)))
                )
                found = store.window(index, start, stop)
                inside = (recording.t >= start) & (recording.t < stop)
                np.testing.assert_array_equal(found.t, recording.t[inside])
                np.testing.assert_array_equal(found.x, recording.x[inside])
