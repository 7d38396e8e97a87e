"""A store of recordings as frames to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.validation import whole
from qpsnn_datasets.seeding import SPLIT, stratified

from ..schema import PARTS, Dataset, Split, limited_indices
from .filters import resize
from .frames import to_dataset
from .recording import Recording
from .sets import STEPS
from .store import EventStore, load_events

BY = ("time", "count")
HELD_OUT = 0.1
"""The share of each class that is the test part of a store without one, as is usual for CIFAR10-DVS."""


class _Resized:
    """Some recordings of a store, each read when it is asked for, scaled to `size` x `size` pixels (0: as it is)."""

    def __init__(self, store: EventStore, indices: NDArray[np.int64], size: int) -> None:
        self._store, self._indices, self._size = store, indices, size

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Recording:
        one = self._store[int(self._indices[index])]
        return resize(one, self._size, self._size) if self._size else one


def load_event_frames(
    path: str | Path, *, limit: int | None = None, steps: int = STEPS, frames: str = "time", size: int = 0
) -> Split:
    """The training and test parts of a store in `steps` frames, uint8 `[N, steps, H, W, 2]`, in mapped files.

    limit: at most so many recordings of each part, each class in its proportion, always the same ones. frames: of equal
    duration ("time") or of equally many events ("count"). size: a square sensor that events are scaled to, 0 for the
    store's own. Where no recording is marked as test, a tenth of each class is, always the same.
    Memory: the table of recordings and one recording; frames lie on the disk.
    Raises ConfigError, FileError, FormatError, VersionError, LabelError (unlabelled), DataError (no training part).
    """
    if frames not in BY:
        raise ConfigError(expected("frames", f"one of {', '.join(BY)}", frames))
    whole("size", size, 0)
    with load_events(path) as store:
        parts = (
            _framed(store, indices[limited_indices(store.labels[indices], limit)], part, steps, frames, size)
            for part, indices in zip(PARTS, _parts(store), strict=True)
        )
        return Split(*parts)


def _parts(store: EventStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The recordings to train on, and those to test on."""
    test, rest = store.indices("test"), np.flatnonzero((store.splits == "train") | (store.splits == "none"))
    if not len(test):
        held = np.zeros(len(rest), np.bool_)
        held[stratified(store.labels[rest], round(HELD_OUT * len(rest)), 0, SPLIT)] = True
        rest, test = rest[~held], rest[held]
    for part, indices in zip(PARTS, (rest, test), strict=True):
        if not len(indices):
            raise DataError(expected(f"{store.path}: {part}", "at least one recording", Unquoted("none")))
    return rest, test


def _framed(store: EventStore, indices: NDArray[np.int64], part: str, steps: int, frames: str, size: int) -> Dataset:
    name = f"{store.path.stem}.{part}"
    recordings = _Resized(store, indices, size)
    return to_dataset(recordings, steps, by=frames, classes=store.classes, name=name, on_disk=True)
