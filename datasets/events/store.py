"""A store of recordings in one file, read one recording, or a window of one, at a time."""

from __future__ import annotations

import contextlib
import json
import math
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes
from qpsnn_core.common.hdf5 import CACHE, read_array, reading

from .recording import Recording
from .writer import EVENTS, KIND, SPLITS, TABLE, VERSION, check_classes, checksum

PIECE = 1 << 20


def load_events(path: str | os.PathLike[str]) -> EventStore:
    """The store at `path`, open. Raises FileError (not there), FormatError (damaged, or no store), VersionError."""
    return EventStore(path)


class EventStore:
    """Recordings in a file. Events stay on the disk until they are asked for; the table of recordings is in memory.

    `store[i]` is recording i, `store.window(i, start, stop)` a part of it; a store may be iterated, pickled (it is
    opened anew) and used as a context manager.
    classes: their names; notes: what the importer noted. Of each recording `[n]`: labels (-1: none), counts of events,
    on (events that are ON), first and last (microseconds), heights and widths (pixels), splits (of `SPLITS`).
    Raises FileError, FormatError (truncated, altered), VersionError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(reading(self.path, KIND, VERSION, cache=CACHE))
            with self._whole():
                self._open()
            self._close = stack.pop_all().close

    def _open(self) -> None:
        table = {name: self._part(f"recordings/{name}", dtype) for name, dtype in TABLE.items()}
        names, anchors = self._part("recordings/name", "u1"), self._part("events/anchor", "<i8")
        classes, notes = self._part("classes", "u1"), self._part("notes", "u1")
        parts = {f"recordings/{name}": values for name, values in table.items()}
        parts |= {"recordings/name": names, "events/anchor": anchors, "classes": classes, "notes": notes}
        if self._file.attrs.get("checksum") != checksum(parts):
            raise FormatError(f"{self.path}: altered: its table does not have its checksum")
        self._columns = {name: self._dataset(f"events/{name}", dtype) for name, dtype in EVENTS.items()}
        self._block = int(self._file.attrs["block"])
        self._offset, self._names, self._name_offset, self._anchor = (
            table["offset"],
            names.tobytes(),
            table["name_offset"],
            anchors,
        )
        lengths = {name: len(column) for name, column in self._columns.items()}
        total = int(self._offset[-1])
        if set(lengths.values()) != {total}:
            raise FormatError(expected(f"{self.path}: events", f"{total} in each column", lengths))
        if self._block < 1 or len(anchors) != -(-total // self._block):
            want = f"one for each {self._block} of {total} events"
            raise FormatError(expected(f"{self.path}: events/anchor", want, len(anchors)))
        self.classes = check_classes(json.loads(classes.tobytes()))
        self.notes: dict[str, Any] = json.loads(notes.tobytes())
        self.labels, self.on = table["label"], table["on"]
        self.first, self.last = table["first"], table["last"]
        self.heights, self.widths = table["height"], table["width"]
        self.splits = np.array(SPLITS)[table["split"]]
        self.counts: NDArray[np.int64] = np.diff(self._offset)

    def __len__(self) -> int:
        """The number of recordings n."""
        return len(self.labels)

    def __repr__(self) -> str:
        """The file, and how much is in it."""
        return f"EventStore({str(self.path)!r}, {len(self)} recordings, {self.counts.sum()} events)"

    def __iter__(self) -> Iterator[Recording]:
        """One recording after the other."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Recording:
        """Recording `index`, counted from 0, or from the end where it is below 0; IndexError, FormatError."""
        index = self._index(index)
        return self._read(index, int(self._offset[index]), int(self._offset[index + 1]))

    def window(self, index: int, start: int, stop: int) -> Recording:
        """The events of recording `index` with start <= t < stop, in its own microseconds; only their chunks are read.

        Raises IndexError, DataError (stop before start), FormatError.
        """
        index = self._index(index)
        if stop < start:
            raise DataError(expected(f"{self.name(index)}: window", f"a stop of at least {start}", stop))
        begin, end = int(self._offset[index]), int(self._offset[index + 1])
        block = self._block
        inner = self._anchor[-(-begin // block) : -(-end // block)]  # the times at those rows k*block that are within
        low, high = (int(np.searchsorted(inner, edge)) for edge in (start, stop))
        first = -(-begin // block)
        begin = max(begin, (first + low - 1) * block)
        end = min(end, (first + high) * block)
        found = self._read(index, begin, max(begin, end))
        keep = slice(*(int(np.searchsorted(found.t, edge)) for edge in (start, stop)))
        columns = {name: getattr(found, name)[keep] for name in ("x", "y", "t", "p")}
        return Recording(**columns, sensor=found.sensor, label=found.label, name=found.name)

    def ranges(self) -> dict[str, tuple[int, int] | None]:
        """Least and largest x and y (None: no events); reads all of these columns, a piece at a time. FormatError."""
        return {name: self._range(name) for name in ("x", "y")}

    def _range(self, name: str) -> tuple[int, int] | None:
        column, edges = self._columns[name], []
        for begin in range(0, len(column), PIECE):
            with self._whole():
                piece = column[begin : begin + PIECE]
            edges.append((int(piece.min()), int(piece.max())))
        return (min(low for low, _ in edges), max(high for _, high in edges)) if edges else None

    def name(self, index: int) -> str:
        """The name of a recording."""
        start, stop = self._name_offset[index], self._name_offset[index + 1]
        return self._names[start:stop].decode("utf-8", "surrogateescape")

    def indices(self, split: str) -> NDArray[np.int64]:
        """The recordings of a split, rising; ConfigError where there is no such split."""
        if split not in SPLITS:
            raise ConfigError(expected("split", f"one of {', '.join(SPLITS)}", split))
        return np.flatnonzero(self.splits == split)

    def part(self, split: str) -> Part:
        """The recordings of a split, as a sequence; ConfigError where there is no such split."""
        return Part(self, self.indices(split))

    @property
    def sensor(self) -> tuple[int, int]:
        """(H, W) that all recordings have; DataError where they differ, or there are none."""
        sizes = set(zip(self.heights.tolist(), self.widths.tolist(), strict=True))
        if len(sizes) != 1:
            raise DataError(
                expected(f"{self.path}: sensor", "one size of all recordings", Unquoted(f"{len(sizes)} sizes"))
            )
        return sizes.pop()

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __enter__(self) -> EventStore:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[EventStore], tuple[Path]]:
        """Another process opens the file for itself."""
        return EventStore, (self.path.absolute(),)

    def _index(self, index: int) -> int:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(expected("index", f"a recording, {-len(self)} to {len(self) - 1}", index))
        return index % len(self)

    def _read(self, index: int, begin: int, end: int) -> Recording:
        """Rows begin to end, which lie within recording `index`."""
        anchor = max(int(self._offset[index]), begin - begin % self._block)
        with self._whole():
            size = (end - anchor) * sum(np.dtype(dtype).itemsize for dtype in EVENTS.values())
            check_bytes(f"{self.path}: {self.name(index)}", size, self.path.stat().st_size)
            step = self._columns["step"][anchor:end]
            x, y, p = (self._columns[name][begin:end] for name in ("x", "y", "p"))
            if end > anchor:
                inside = anchor % self._block == 0
                step[0] = self._anchor[anchor // self._block] if inside else self.first[index]
            t = np.cumsum(step)[begin - anchor :]
            sensor = (int(self.heights[index]), int(self.widths[index]))
            return Recording(x, y, t, p, sensor, int(self.labels[index]), self.name(index))

    def _part(self, name: str, dtype: str) -> NDArray[Any]:
        return read_array(self._dataset(name, dtype))

    def _dataset(self, name: str, dtype: str) -> h5py.Dataset:
        part = self._file[name]
        if not isinstance(part, h5py.Dataset) or part.dtype.str.lstrip("|") != dtype or part.ndim != 1:
            raise FormatError(expected(f"{self.path}: {name}", f"{dtype} [N]", Unquoted(str(part))))
        chunk = math.prod(part.chunks or ()) * part.dtype.itemsize
        check_bytes(f"{self.path}: {name} (a chunk)", chunk, self.path.stat().st_size)
        return part

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """What fails in here says that the file is damaged."""
        try:
            yield
        except FileError:
            raise
        except (DataError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
            if not self._file:
                raise FileError(f"{self.path}: the store was closed") from error
            raise FormatError(f"{self.path}: not a whole {KIND} file: {error}") from error


class Part(Sequence[Recording]):
    """Some recordings of a store, read when they are asked for. indices: rising; labels: int64 `[len]`; classes."""

    def __init__(self, store: EventStore, indices: NDArray[np.int64]) -> None:
        self._store = store
        self.indices = indices
        self.labels: NDArray[np.int64] = store.labels[indices]
        self.classes = store.classes

    def __len__(self) -> int:
        """The number of recordings."""
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Recording: ...

    @overload
    def __getitem__(self, index: slice) -> Part: ...

    def __getitem__(self, index: int | slice) -> Recording | Part:
        """Recording `index` of these, or a part of them; IndexError, FormatError."""
        if isinstance(index, slice):
            return Part(self._store, self.indices[index])
        return self._store[int(self.indices[index])]
