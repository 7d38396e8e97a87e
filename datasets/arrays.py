"""A set of your own as NumPy arrays: one .npz file, or a folder of .npy files with the same names."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import foreign

from . import npy
from .checks import existing
from .schema import Dataset, Split, check_labels

SUFFIX = ".npz"
RATIO = 100
"""How many times its packed bytes an array of images may take: those that are mostly background pack well."""

MOST_CLASSES = 1 << 16
"""Of a set that does not name its classes."""


def load_arrays(path: str | Path, *, limit: int | None = None) -> Split:
    """Both parts: `train_images`, `train_labels`, `test_images`, `test_labels`, and `classes` if they have names.

    Images are uint8 `[N, H, W, C]`, or counts of events `[N, T, H, W, C]`; labels are integers `[N]`; without
    `classes` the classes are called 0, 1, ... up to the largest label of either part.
    limit: at most so many samples of each part, each class in its proportion, always the same ones.
    Raises FileError (not there), FormatError (damaged, an array is missing, too large), DataError, LabelError.
    """
    arrays = _Arrays(existing(path, "a .npz file, or a folder of .npy files"))
    if not arrays.whole:
        want = "train_images, train_labels, test_images and test_labels, as both parts are needed"
        raise DataError(expected(str(path), want, Unquoted("images and labels of one part")))
    classes = _classes(arrays, "train_labels", "test_labels")
    return Split(*(_part(arrays, part, f"{part}_", classes).limited(limit) for part in Split._fields))


def load_arrays_part(path: str | Path, part: str, *, limit: int | None = None) -> Dataset:
    """One part, "train" or "test"; a file of `images` and `labels` alone is whichever part is asked for."""
    arrays = _Arrays(existing(path, "a .npz file, or a folder of .npy files"))
    prefix = f"{part}_" if arrays.whole else ""
    both = [name for name in ("train_labels", "test_labels") if name in arrays.names]
    labels = (*both, *([] if f"{part}_labels" in both else [f"{part}_labels"])) if arrays.whole else ("labels",)
    return _part(arrays, part, prefix, _classes(arrays, *labels)).limited(limit)


class _Arrays:
    """Arrays by name; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self.names = sorted(file.stem for file in path.glob(f"*{npy.SUFFIX}"))
        else:
            with foreign(path, "npz archive"), zipfile.ZipFile(path) as archive:
                self.names = sorted(npy.entries(archive))
        self.whole = any(name.startswith(("train_", "test_")) for name in self.names)

    def read(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            there = Unquoted(", ".join(self.names) or "none")
            raise FormatError(expected(str(self.path), f"an array {name}", there))
        if self.path.is_dir():
            file = self.path / f"{name}{npy.SUFFIX}"
            with foreign(file, "array of numbers or text"):
                return npy.read_array(lambda: file.open("rb"), str(file), file.stat().st_size)
        place = f"{self.path}: {name}"
        with foreign(place, "array of numbers or text"), zipfile.ZipFile(self.path) as archive:
            length = self.path.stat().st_size
            return npy.read_entry(archive, npy.entries(archive)[name], place, length, RATIO)


def _classes(arrays: _Arrays, *labels: str) -> tuple[str, ...]:
    """Their names, else numbers up to the largest of these labels."""
    if "classes" in arrays.names:
        given = arrays.read("classes")
        if given.dtype.kind != "U" or given.ndim != 1:
            want = "a row of strings"
            raise DataError(expected(f"{arrays.path}: classes", want, Unquoted(f"{given.dtype} {list(given.shape)}")))
        return tuple(given.tolist())
    checked = [check_labels(arrays.read(name), MOST_CLASSES, f"{arrays.path}: {name}") for name in labels]
    return tuple(map(str, range(1 + max((int(one.max()) for one in checked if one.size), default=0))))


def _part(arrays: _Arrays, part: str, prefix: str, classes: tuple[str, ...]) -> Dataset:
    images, labels = arrays.read(f"{prefix}images"), arrays.read(f"{prefix}labels")
    return Dataset(images, labels, classes, f"{arrays.path.stem}.{part}")
