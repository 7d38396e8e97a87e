"""A set of your own as NumPy arrays: a .npz file, a folder of .npy files with the same names, or one .npy file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import foreign
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.tasks import CLASSIFICATION

from . import npy
from .checks import existing
from .given import MEASURED, from_arrays, in_range, input_range
from .given_labels import labels_of, rows_of
from .given_shapes import shaped
from .schema import PARTS, Dataset, Split

SUFFIX = ".npz"
RATIO = 100
"""How many times its packed bytes an array of images may take: those that are mostly background pack well."""

WHAT = "a .npz file, a folder of .npy files, or a .npy file of images"
VALIDATION = "validation"


def load_arrays(path: str | Path, *, limit: int | None = None, **options: Any) -> Split:
    """All parts: `train_images`, `train_labels`, `test_images`, `test_labels`, and the same of `validation` if there is
    such a part; or `images` and `labels`, of which `test` is the share to test on. `classes`: their names.

    Arrays and options (test, validation, seed, channels, series, scale, task) are those of `from_arrays`; a number
    `scale` in the file is as if it were given. unit: the range of a network that is there already, which real numbers
    get whatever `scale` says. classes: of labels that are words, where the file names none. A file of images.npy has
    its labels beside it, in labels.npy.
    limit: at most so many samples of each part, each class in its proportion, always the same ones.
    Raises FileError (not there), FormatError (damaged, an array is missing, too large), DataError, LabelError.
    """
    arrays = _Arrays(existing(path, WHAT))
    chosen = {**_said(arrays, options), "classes": arrays.classes(), "name": arrays.path.stem}
    chosen["known"] = options.get("classes") or ()
    for part in ("test", VALIDATION):
        if arrays.has(part) and chosen.get(part):
            there = Unquoted(f"{chosen[part]} with {part}_images in {arrays.path}")
            raise DataError(expected(f"data.{part}", f"no share, as the {part} part has arrays of its own", there))
    if not arrays.whole and not chosen.get("test"):
        want = "train_images, train_labels, test_images and test_labels, as both parts are needed"
        remedy = "images and labels of one part (test = 0.2 holds a fifth of them out)"
        raise DataError(expected(str(path), want, Unquoted(remedy)))
    if arrays.whole and not chosen.get("test"):
        chosen["test"] = arrays.part("test")
    if arrays.has(VALIDATION):
        chosen[VALIDATION] = arrays.part(VALIDATION)
    chosen[VALIDATION] = chosen.get(VALIDATION) or None
    train = arrays.part("train" if arrays.whole else "")
    split = from_arrays(*train, **{**chosen, **_of_unit(arrays, options, train[0])})
    return Split(*(None if one is None else one.limited(limit) for one in (*split, split.validation)))  # type: ignore[arg-type]  # only the last is None


def load_arrays_part(path: str | Path, part: str, *, limit: int | None = None, **options: Any) -> Dataset:
    """One part, "train" or "test"; a file of `images` and `labels` alone is whichever part is asked for.

    Nothing else is read, unless the part has to be held out first, or the scale to be measured.
    """
    arrays = _Arrays(existing(path, WHAT))
    chosen = _said(arrays, options)
    measures = chosen.get("scale") == MEASURED and part != "train" and not options.get("unit")
    if (chosen.get("test") and not arrays.has(part)) or measures:
        found: Dataset = load_arrays(path, limit=limit, **options).parts[part]
        return found
    both = [name for name in PARTS if f"{name}_labels" in arrays.names]
    parts = ([*both, *([] if part in both else [part])]) if arrays.whole else [""]
    own = part if arrays.whole else ""
    read = {one: arrays.read("labels", one) for one in parts}
    places = [(arrays.place("labels", one), found) for one, found in read.items()]
    task, own_names, known = chosen.get("task") or CLASSIFICATION, arrays.classes(), options.get("classes") or ()
    labels: Sequence[NDArray[Any]]
    if task == CLASSIFICATION:
        labels, classes = labels_of(places, own_names, known)
    else:
        labels, classes = rows_of(task, places, own_names or known or None)
    name = f"{arrays.path.stem}.{part}"
    layout = {key: chosen[key] for key in ("channels", "series") if chosen.get(key)}
    images = shaped(f"{name}.images", arrays.read("images", own), **layout)
    chosen |= _of_unit(arrays, options, images)
    span = input_range(f"{name}.images", images, chosen.get("scale"), chosen.get("signed"))
    made, scale = in_range(f"{name}.images", images, span)
    return Dataset(made, labels[parts.index(own)], classes, name, scale, task=task).limited(limit)


class _Arrays:
    """Arrays by name; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, Path] = {}
        if path.is_dir():
            self.files = {file.stem: file for file in sorted(path.glob(f"*{npy.SUFFIX}"))}
        elif path.suffix == npy.SUFFIX:
            self.files = {"images": path, "labels": existing(labels_beside(path), f"the labels of {path}")}
        else:
            with foreign(path, "npz archive"), zipfile.ZipFile(path) as archive:
                self.names = sorted(npy.entries(archive))
        self.names = sorted(self.files) if self.files or path.is_dir() else self.names
        self.whole = any(name.startswith(("train_", "test_")) for name in self.names)

    def has(self, part: str) -> bool:
        """Whether a part has arrays of its own."""
        return any(name.startswith(f"{part}_") for name in self.names)

    def place(self, what: str, part: str) -> str:
        """How messages call an array."""
        return f"{self.path}: {f'{part}_' if part else ''}{what}"

    def part(self, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Its images and labels."""
        return self.read("images", part), self.read("labels", part)

    def classes(self) -> tuple[str, ...] | None:
        """Their names, if they have any."""
        if "classes" not in self.names:
            return None
        given = self.read("classes")
        if given.dtype.kind != "U" or given.ndim != 1:
            want = "a row of strings"
            raise DataError(expected(f"{self.path}: classes", want, Unquoted(f"{given.dtype} {list(given.shape)}")))
        return tuple(given.tolist())

    def read(self, what: str, part: str = "") -> NDArray[Any]:
        """An array, of a part if one is named."""
        name = f"{part}_{what}" if part else what
        if name not in self.names:
            there = Unquoted(", ".join(self.names) or "none")
            raise FormatError(expected(str(self.path), f"an array {name}", there))
        if self.files:
            file = self.files[name]
            with foreign(file, "array of numbers or text"):
                return npy.read_array(lambda: file.open("rb"), str(file), file.stat().st_size)
        place = f"{self.path}: {name}"
        with foreign(place, "array of numbers or text"), zipfile.ZipFile(self.path) as archive:
            length = self.path.stat().st_size
            return npy.read_entry(archive, npy.entries(archive)[name], place, length, RATIO)


def labels_beside(images: Path) -> Path:
    """The file of the labels of `images.npy`: its name with "images" read as "labels", else with "_labels" added."""
    stem = images.stem
    return images.with_name((stem.replace("images", "labels") if "images" in stem else f"{stem}_labels") + npy.SUFFIX)


def _said(arrays: _Arrays, options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; the file's own scale where there is one. DataError: two scales that differ."""
    given = {key: value for key, value in options.items() if value and key != "unit"}
    if "scale" not in arrays.names:
        return given
    found = arrays.read("scale")
    if found.size != 1 or found.dtype.kind not in "iuf":
        raise DataError(expected(f"{arrays.path}: scale", "one number", Unquoted(f"{found.dtype} {list(found.shape)}")))
    own = float(found.reshape(-1)[0])
    if given.get("scale", own) != own:
        raise DataError(expected(f"{arrays.path}: scale", f"{given['scale']!r}, as was asked for", own))
    return {**given, "scale": own}


def _of_unit(arrays: _Arrays, options: dict[str, Any], images: NDArray[Any]) -> dict[str, Any]:
    """Scale and sign of a network that is there already, for images that are not bytes and do not say theirs."""
    unit: InputRange | None = options.get("unit")
    if unit is None or images.dtype == np.uint8 or "scale" in arrays.names:
        return {}
    return {"scale": unit.scale, "signed": unit.low < 0}
