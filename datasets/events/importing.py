"""From the files that people have to a store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.validation import whole

from ..schema import limited_indices
from .guess import NAMES, guess
from .layouts import FORMATS, Item, Sensor, Source, class_folders
from .own_layouts import SETS
from .raw import Report, check_repairs, mend
from .recording import LARGEST_SIDE, Recording
from .tree import Tree
from .writer import SPLITS, event_writer


@dataclass(frozen=True)
class Imported:
    """What an import wrote: format; recordings, events; recordings of each split; repairs as `Report.done` has them."""

    format: str
    recordings: int
    events: int
    splits: dict[str, int]
    repairs: dict[str, tuple[int, int]]


def import_events(
    path: str | Path,
    out: str | os.PathLike[str],
    *,
    format: str = "",
    sensor: Sensor | None = None,
    repair: Collection[str] = (),
    limit: int | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Imported:
    """Read a file, folder or zip archive of recordings into the store `out`, one recording in memory at a time.

    format: of `NAMES`, else guessed where that is beyond doubt. sensor: (H, W), where files do not say it. repair: of
    `REPAIRS`, what may be mended; every other fault ends the import, and leaves nothing. limit: at most so many
    recordings of each split, each class in its proportion, always the same ones. progress: called with (done, of all).
    Raises ConfigError (format, sensor, repair, limit), FileError, FormatError, DataError, LabelError.
    """
    repair = check_repairs(repair)
    if limit is not None:
        whole("limit", limit, 1)
    name, source = find(path, format, sensor)
    items = _limited(source.items, limit)
    report, events, splits = Report(), 0, Counter[str]()
    notes: dict[str, Any] = {"format": name}
    with event_writer(out, source.classes, notes) as writer:
        for done, item in enumerate(items, start=1):
            recording = mend(item.load(), repair, report, item.label)
            if recording is not None:
                writer.add(recording, item.split)
                events += len(recording)
                splits[item.split] += 1
            progress(done, len(items))
        if not len(writer):
            raise DataError(expected(str(path), "a recording with events", Unquoted(f"none in {len(items)}")))
        notes["repairs"] = report.done
        count = len(writer)
    return Imported(name, count, events, {split: splits[split] for split in SPLITS if splits[split]}, report.done)


class Recordings:
    """The recordings of a file, folder or zip archive, each read and mended when its turn comes, in the order of names.

    classes: their names. len: how many files or samples there are; fewer come where "skip" leaves out empty ones.
    Arguments and errors are those of `import_events`; those of a recording come with it.
    """

    def __init__(
        self, path: str | Path, *, format: str = "", sensor: Sensor | None = None, repair: Collection[str] = ()
    ) -> None:
        self._repair = check_repairs(repair)
        self.format, source = find(path, format, sensor)
        self.classes, self._items = source

    def __len__(self) -> int:
        """Before any is left out."""
        return len(self._items)

    def __iter__(self) -> Iterator[Recording]:
        """One recording after the other."""
        for item in self._items:
            recording = mend(item.load(), self._repair, Report(), item.label)
            if recording is not None:
                yield recording


def read_events(
    path: str | Path, *, format: str = "", sensor: Sensor | None = None, repair: Collection[str] = ()
) -> Recording:
    """The one recording of a file. Arguments and errors are those of `import_events`."""
    found = Recordings(path, format=format, sensor=sensor, repair=repair)
    if len(found) != 1:
        raise DataError(expected(str(path), "one recording", Unquoted(f"{len(found)}: import them")))
    recording = next(iter(found), None)
    if recording is None:
        raise DataError(expected(str(path), "a recording with events", Unquoted("none")))
    return recording


def find(path: str | Path, format: str = "", sensor: Sensor | None = None) -> tuple[str, Source]:
    """The name of the format, and what is there to read; nothing but labels is read yet."""
    if format and format not in NAMES:
        raise ConfigError(expected("format", f"one of {', '.join(NAMES)}", format))
    if sensor is not None and not all(1 <= whole("sensor", side, 1) <= LARGEST_SIDE for side in sensor):
        raise ConfigError(expected("sensor", f"(H, W), each at most {LARGEST_SIDE} pixels", sensor))
    tree = Tree(path)
    name = format or guess(tree)
    if name in FORMATS:
        return name, class_folders(tree, name, sensor)
    if sensor is not None:
        raise ConfigError(expected(f"{name}: sensor", "none given: the set has its own", sensor))
    return name, SETS[name][1](tree)


def _limited(items: list[Item], limit: int | None) -> list[Item]:
    if limit is None:
        return items
    chosen: list[int] = []
    for split in SPLITS:
        of_split = np.array([k for k, item in enumerate(items) if item.split == split], np.int64)
        labels = np.array([items[k].label for k in of_split], np.int64)
        if len(of_split):
            chosen += of_split[limited_indices(labels, limit)].tolist()
    return [items[k] for k in sorted(chosen)]
