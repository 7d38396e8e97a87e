"""Structured arrays as tonic gives them, in memory, in .npy and, a column an entry, in .npz (SpikingJelly)."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes, foreign, read_unpacked

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
        loaded = _columns_of(data, name) if data[:2] == b"PK" else _array_of(io.BytesIO(data), name, len(data))
    return from_array(loaded, name, sensor)


def _columns_of(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file, a zip archive of .npy files."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = {}
        for entry in archive.infolist():
            with archive.open(entry) as file:
                place, packed = f"{name}: {entry.filename}", min(entry.compress_size, len(data))
                check_bytes(place, entry.file_size, packed)
                content = read_unpacked(file, place, packed)  # type: ignore[arg-type]  # ZipExtFile reads bytes
            found[entry.filename.removesuffix(".npy")] = _array_of(io.BytesIO(content), place, len(content))
    return found


def _array_of(file: io.BytesIO, name: str, length: int) -> NDArray[Any]:
    """The array of a .npy file of `length` bytes, whose header may claim any shape."""
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]  # NumPy gives it no types
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)  # type: ignore[no-untyped-call]  # NumPy gives it no types
    if dtype.hasobject:
        raise ValueError("it holds objects of Python")
    if math.prod(shape) * dtype.itemsize != length - file.tell():
        want = f"{length - file.tell()} bytes, which follow its header"
        raise FormatError(expected(name, want, Unquoted(f"shape {list(shape)} of {dtype}")))
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False))
