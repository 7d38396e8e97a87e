"""Writing a store of recordings, one after the other; `docs/event-format.md` says what is in the file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, expected
from qpsnn_core.common.hdf5 import Sink, streaming

from .recording import Recording

KIND = "qpsnn-events"
VERSION = 1

BLOCK = 1 << 12
"""Events of a chunk; time is also kept at every such event, so that reading can begin there."""

SPLITS = ("none", "train", "valid", "test")

EVENTS = {"x": "<u2", "y": "<u2", "step": "<i8", "p": "u1"}
TABLE = {
    "offset": "<i8",
    "first": "<i8",
    "last": "<i8",
    "on": "<i8",
    "label": "<i8",
    "split": "u1",
    "height": "<u4",
    "width": "<u4",
    "name_offset": "<i8",
}


class EventWriter:
    """Takes recordings; made by `event_writer`."""

    def __init__(self, file: h5py.File, sink: Sink, classes: Sequence[str]) -> None:
        self.classes = check_classes(classes)
        self._file, self._sink = file, sink
        self._columns = {name: _Column(file, f"events/{name}", dtype) for name, dtype in EVENTS.items()}
        self._table = {name: array("q") for name in TABLE}
        self._table["offset"].append(0)
        self._table["name_offset"].append(0)
        self._names = bytearray()
        self._anchors = array("q")

    def __len__(self) -> int:
        """Recordings so far."""
        return len(self._table["label"])

    def add(self, recording: Recording, split: str = "none") -> None:
        """Write a recording. Raises LabelError (no such class), ConfigError (no such split), FileError (disk full)."""
        if split not in SPLITS:
            raise ConfigError(expected(f"{recording.name}: split", f"one of {', '.join(SPLITS)}", split))
        if recording.label >= len(self.classes):
            want = f"-1 to {len(self.classes) - 1}, one of the classes"
            raise LabelError(expected(f"{recording.name}.label", want, recording.label))
        t, begin = recording.t, self._table["offset"][-1]
        columns = {"x": recording.x, "y": recording.y, "step": np.diff(t, prepend=t[:1]), "p": recording.p}
        for name, column in columns.items():
            self._columns[name].add(column)
        self._anchors.extend(t[-begin % BLOCK :: BLOCK].tolist())
        encoded = recording.name.encode("utf-8", "surrogateescape")
        self._names += encoded
        row = {
            "offset": begin + len(t),
            "first": t[0] if len(t) else 0,
            "last": t[-1] if len(t) else 0,
            "on": np.count_nonzero(recording.p),
            "label": recording.label,
            "split": SPLITS.index(split),
            "height": recording.sensor[0],
            "width": recording.sensor[1],
            "name_offset": self._table["name_offset"][-1] + len(encoded),
        }
        for name, value in row.items():
            self._table[name].append(int(value))
        self._sink.check()

    def finish(self, notes: dict[str, Any]) -> None:
        """Write what is left: the last events, the table, the classes and the notes."""
        for column in self._columns.values():
            column.flush()
        parts = {f"recordings/{name}": np.array(self._table[name], dtype) for name, dtype in TABLE.items()}
        parts["recordings/name"] = np.frombuffer(bytes(self._names), np.uint8)
        parts["events/anchor"] = np.array(self._anchors, "<i8")
        parts["classes"] = np.frombuffer(json.dumps(self.classes).encode(), np.uint8)
        parts["notes"] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
        for name, values in parts.items():
            self._file.create_dataset(name, data=values)
        self._file.attrs["block"] = BLOCK
        self._file.attrs["checksum"] = np.bytes_(checksum(parts))


@contextlib.contextmanager
def event_writer(
    path: str | os.PathLike[str], classes: Sequence[str], notes: dict[str, Any] | None = None
) -> Iterator[EventWriter]:
    """A writer of a new store; the file takes its place when the block ends well, and vanishes when it does not.

    classes: the name of each; notes: JSON data about where it comes from, which may be filled in until the block ends.
    Memory: the table of recordings, about a hundred bytes each, and a chunk of events.
    Raises FileError (disk, folder), DataError (classes).
    """
    with streaming(path, KIND, VERSION) as (file, sink):
        writer = EventWriter(file, sink, classes)
        yield writer
        writer.finish(notes or {})


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of classes, distinct strings, of which there may be none; DataError otherwise."""
    names = tuple(classes) if isinstance(classes, (tuple, list)) else None
    if names is None or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(expected("classes", "a tuple of distinct strings", classes))
    return names


def checksum(parts: dict[str, NDArray[Any]]) -> bytes:
    """SHA-256, in hexadecimal, over name, type, length and bytes of every part, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(parts):
        total.update(f"{name} {parts[name].dtype.str} {len(parts[name])}\n".encode())
        total.update(parts[name].tobytes())
    return total.hexdigest().encode()


class _Column:
    """A dataset that grows by whole chunks."""

    def __init__(self, file: h5py.File, name: str, dtype: str) -> None:
        self._data = file.create_dataset(
            name, (0,), dtype, maxshape=(None,), chunks=(BLOCK,), compression="gzip", shuffle=True, fletcher32=True
        )
        self._waiting: list[NDArray[Any]] = []
        self._count = 0

    def add(self, values: NDArray[Any]) -> None:
        self._waiting.append(values)
        self._count += len(values)
        if self._count >= BLOCK:
            self._write(self._count - self._count % BLOCK)

    def flush(self) -> None:
        self._write(self._count)

    def _write(self, count: int) -> None:
        if not count:
            return
        values = np.concatenate(self._waiting)
        end = len(self._data)
        self._data.resize(end + count, axis=0)
        self._data[end:] = values[:count]
        self._waiting = [values[count:].copy()]
        self._count -= count
