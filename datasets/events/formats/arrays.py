"""Structured arrays as tonic gives them, in memory, in .npy and, a column an entry, in .npz (SpikingJelly)."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.foreign import foreign

from ...npy import entries, read_array, read_entry
from ..raw import Raw

NAMES = {"x": ("x",), "y": ("y",), "t": ("t", "ts", "timestamp"), "p": ("p", "polarity")}
"""What a column is called by those who write such arrays."""


def from_array(events: Any, name: str, sensor: tuple[int, int]) -> Raw:
    """Events of a structured array `[N]`, or of a mapping of arrays `[N]`: x, y, t (microseconds), p.

    Without y all events are of row 0 (tonic's SHD). p is 0 and 1, or -1 and 1. Raises DataError.
    """
    there = tuple(getattr(getattr(events, "dtype", None), "names", None) or getattr(events, "keys", tuple)())
    columns: dict[str, NDArray[Any]] = {}
    for field, names in NAMES.items():
        found = next((each for each in names if each in there), None)
        if found is not None:
            columns[field] = np.asarray(events[found])
        elif field != "y":
            raise DataError(
                expected(f"{name}.{field}", f"a field {' or '.join(names)}", Unquoted(", ".join(there) or "none"))
            )
    columns.setdefault("y", np.zeros(columns["t"].shape, np.uint16))
    for field in "xyt":
        if columns[field].dtype.kind not in "iu":
            raise DataError(expected(f"{name}.{field}", "integers", columns[field].dtype))
    if {(column.ndim, column.shape[:1]) for column in columns.values()} != {(1, columns["t"].shape[:1])}:
        got = ", ".join(f"{field} {list(column.shape)}" for field, column in columns.items())
        raise DataError(expected(name, "columns [N] of one length", Unquoted(got)))
    on = columns["p"]
    if on.dtype.kind not in "biu" or not np.isin(on, (-1, 0, 1)).all():
        raise DataError(expected(f"{name}.p", "0 and 1, or -1 and 1", on.dtype))
    return Raw(columns["x"], columns["y"], columns["t"], on, sensor, name)


def decode(data: bytes, name: str, sensor: tuple[int, int]) -> Raw:
    """The array of a .npy file, or the columns of a .npz file. Raises FormatError, and what `from_array` raises."""
    with foreign(name, ".npy or .npz file of numbers"):
        if data[:2] != b"PK":
            return from_array(read_array(lambda: io.BytesIO(data), name, len(data)), name, sensor)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = {
                key: read_entry(archive, entry, f"{name}: {entry.filename}", len(data))
                for key, entry in entries(archive).items()
            }
    return from_array(found, name, sensor)
