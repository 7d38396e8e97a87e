"""Our own file of a set: HDF5, its parts as they are in memory; docs/own_data.md specifies it.

| name | what |
|---|---|
| attributes `format`, `version` | "qpsnn-dataset", 1 |
| attributes `classes`, `name` | JSON: the names of the classes in order; what messages call the set |
| attribute `scale` | the real number of one unit; not there for intensities x/255 and counts of events |
| attribute `task` | "multilabel" or "regression"; not there for classes |
| groups `train`, `test`, `validation`, or `all` alone | the parts |
| `images` in each | uint8 or int8 `[N, H, W, C]` or `[N, T, H, W, C]` |
| `labels` in each | integers `[N]` from 0; of "multilabel" uint8 `[N, K]`, of "regression" float64 `[N, K]` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from qpsnn_core.common.errors import DataError, FileError, FormatError, QpsnnError, Unquoted, expected
from qpsnn_core.common.file_kinds import DATASET
from qpsnn_core.common.hdf5 import read_array, reading, text_attribute, writing
from qpsnn_core.common.tasks import CLASSIFICATION, DETECTION
from qpsnn_core.common.validation import check_path

from .schema import PARTS, Dataset, Split

VERSION = 1
WHOLE = "all"
"""The group of a set that is not split."""


def save_sets(path: str | Path, parts: Mapping[str, Dataset]) -> None:
    """Write these parts, whole or not at all. parts: by name; "" for a set that is not split. Raises FileError."""
    check_path("save.path", path)
    first = next(iter(parts.values()))
    if first.task == DETECTION:
        raise DataError(expected("save", "a set without boxes, which have formats of their own", Unquoted(first.name)))
    for other in parts.values():
        if _kind(other) != _kind(first):
            want = f"classes, scale, task and type of {first.name}"
            raise DataError(expected(f"save: {other.name}", want, Unquoted(f"{other!r} of others")))
    with writing(path, DATASET, VERSION) as file:
        file.attrs["classes"] = np.bytes_(json.dumps(first.classes).encode())
        file.attrs["name"] = np.bytes_(json.dumps(first.name.rpartition(".")[0] or first.name).encode())
        if first.scale is not None:
            file.attrs["scale"] = first.scale
        if first.task != CLASSIFICATION:
            file.attrs["task"] = np.bytes_(first.task.encode())
        for name, part in parts.items():
            file.create_dataset(f"{name or WHOLE}/images", data=part.images)
            file.create_dataset(f"{name or WHOLE}/labels", data=part.labels)


def _kind(part: Dataset) -> tuple[Any, ...]:
    return part.classes, part.scale, part.task, part.images.dtype


def load_saved(path: str | Path, *, limit: int | None = None, **options: Any) -> Split:
    """The parts that `Split.save` wrote. test, validation, seed: of a set that is not split, what is held out.

    Raises FileError (not there), FormatError (damaged, of another kind, one part alone), DataError, LabelError.
    """
    found = _read(path)
    share, kept = options.get("test") or 0.0, options.get("validation") or 0.0
    if WHOLE in found:
        if not share:
            got = Unquoted("a set that is not split (test = 0.2 holds a fifth of it out)")
            raise FormatError(expected(str(path), "a training and a test part", got))
        seed = options.get("seed", 0)
        split = found[WHOLE].split(share, seed)
        if kept:
            rest = split.train.hold_out(round(kept * len(found[WHOLE])), seed)
            split = Split(rest.train, split.test, rest.test)
    else:
        if share or kept:
            got = Unquoted(f"test = {share}, validation = {kept}")
            raise DataError(expected(f"{path}", "no shares to hold out, as its parts are split already", got))
        for part in PARTS:
            if part not in found:
                raise FormatError(expected(str(path), f"a group {part}", Unquoted(", ".join(found) or "none")))
        split = Split(found["train"], found["test"], found.get("validation"))
    made = {name: one.limited(limit) for name, one in split.parts.items()}
    return Split(made["train"], made["test"], made.get("validation"))


def load_saved_part(path: str | Path, part: str, *, limit: int | None = None, **options: Any) -> Dataset:
    """One part; a set that is not split is whichever is asked for, unless a share is held out. Raises as above."""
    found = _read(path, part, WHOLE)
    if WHOLE in found and options.get("test"):
        return load_saved(path, limit=limit, **options).parts[part]
    if not found:
        raise FormatError(expected(str(path), f"a group {part}", Unquoted("none")))
    return next(iter(found.values())).limited(limit)


def _read(path: str | Path, *wanted: str) -> dict[str, Dataset]:
    """The parts by name, in their order; wanted: only these."""
    parts = {}
    with reading(path, DATASET, VERSION) as file:
        try:
            classes, name = (json.loads(text_attribute(file, key)) for key in ("classes", "name"))
            scale = _scale(file)
            task = text_attribute(file, "task") if "task" in file.attrs else CLASSIFICATION
            for part in (*PARTS, "validation", WHOLE):
                if part in file and (not wanted or part in wanted):
                    images, labels = (_array(file, f"{part}/{what}") for what in ("images", "labels"))
                    parts[part] = Dataset(images, labels, tuple(classes), f"{name}.{part}", scale, task=task)
        except FileError:
            raise
        except (QpsnnError, TypeError, ValueError) as error:
            raise FormatError(f"{path}: not a whole {DATASET} file: {error}") from error
    return parts


def _scale(file: h5py.File) -> float | None:
    """The number of its attribute; of other kinds nothing is read, as HDF5 can loop for ever on damaged ones."""
    if "scale" not in file.attrs:
        return None
    found = file.attrs.get_id("scale")
    if found.dtype.kind not in "iuf" or found.shape != ():
        raise FormatError(expected(f"{file.filename}: scale", "one number", Unquoted(f"{found.dtype} {found.shape}")))
    return float(file.attrs["scale"])


def _array(file: h5py.File, name: str) -> Any:
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise FormatError(expected(f"{file.filename}: {name}", "an array", Unquoted(str(found))))
    return read_array(found)
