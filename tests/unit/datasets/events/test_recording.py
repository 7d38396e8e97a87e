"""A recording is checked when it is made: types, lengths, the sensor's edges, the order of time."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import DataError, LabelError
from qpsnn_datasets.events import Recording

GOOD = {"x": [0, 3, 1], "y": [2, 0, 1], "t": [5, 5, 9], "p": [0, 1, 1]}


def recording(sensor=(3, 4), label=-1, name="one", **changes):
    columns = {field: np.asarray(value) for field, value in (GOOD | changes).items()}
    return Recording(**columns, sensor=sensor, label=label, name=name)


def test_columns_are_stored_in_their_types():
    made = recording(label=np.int64(7))
    assert [made.x.dtype, made.y.dtype, made.t.dtype, made.p.dtype] == [np.uint16, np.uint16, np.int64, np.bool_]
    assert (len(made), made.duration, made.label, made.sensor) == (3, 4, 7, (3, 4))
    assert "3 events" in repr(made)


def test_a_recording_may_be_empty():
    none = np.zeros(0, np.int64)
    made = Recording(none, none, none, none.astype(bool), (2, 2))
    assert (len(made), made.duration) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": [0, 4, 4]}, r"one\.x\[1\]: expected 0 to 3, got 4, and 1 more"),
        ({"y": [3, 0, 0]}, r"one\.y\[0\]: expected 0 to 2, got 3"),
        ({"x": [0, -1, 1]}, r"one\.x: expected 0 to 65535, got -1 to 1"),
        ({"x": [0, 70000, 1]}, r"one\.x: expected 0 to 65535, got 0 to 70000"),
        ({"t": [5, 4, 9]}, r"one\.t\[1\]: expected at least the 5 microseconds before it, got 4"),
        ({"t": [5.0, 6.0, 9.0]}, r"one\.t: expected integers, got .*float64"),
        ({"p": [0, 2, 1]}, r"one\.p: expected 0 to 1, got 0 to 2"),
        ({"p": [0, 1]}, r"one: expected x, y, t and p of one length, got .*p 2"),
        ({"x": [[0, 3, 1]]}, r"one\.x: expected a NumPy array \[N\], got shape \[1, 3\]"),
        ({"sensor": (3,)}, r"one\.sensor: expected \(H, W\)"),
        ({"sensor": (3, 0)}, r"one\.sensor: expected \(H, W\)"),
        ({"sensor": (True, 4)}, r"one\.sensor: expected \(H, W\)"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(DataError, match=message):
        recording(**changes)


@pytest.mark.parametrize("label", [-2, True, 1.0, "1"])
def test_a_label_is_an_integer(label):
    with pytest.raises(LabelError, match=r"one\.label"):
        recording(label=label)
