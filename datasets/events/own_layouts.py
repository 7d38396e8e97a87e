"""Sets with a layout of their own: DVS128 Gesture (many samples in a file), SHD and SSC (all samples in a file)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import NamedTuple

from qpsnn_core.common.errors import FileError, FormatError, LabelError, Unquoted, expected

from .formats import aedat3, hdf5
from .layouts import Item, Source
from .raw import Raw
from .tree import Tree

TRIALS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
COLUMNS = ["class", "startTime_usec", "endTime_usec"]
GESTURES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
"""Classes 1 to 11 of the set's gesture_mapping.csv; labels count from 0."""

SPIKES = re.compile(r"(shd|ssc)_(train|valid|test)\.h5")


class Sample(NamedTuple):
    """A row of a label file: a class from 1, and when it begins and ends, microseconds."""

    number: int
    start: int
    stop: int


def dvs_gesture(tree: Tree) -> Source:
    """DVS128 Gesture (Amir et al. 2017): the trials of two lists, each AEDAT 3.1 with a CSV of labelled times.

    Times may overlap, and a class may come several times. Raises FileError (missing), FormatError, LabelError.
    """
    items: list[Item] = []
    recording = lru_cache(maxsize=1)(partial(_trial, tree))
    for split, listed in TRIALS.items():
        for trial in tree.bytes_of(_only(tree, listed)).decode("utf-8", "replace").split():
            file = _only(tree, trial)
            for row, sample in enumerate(_samples(tree, _only(tree, f"{PurePosixPath(trial).stem}_labels.csv"))):
                name = f"{trial}#{row}"
                items.append(Item(name, sample.number - 1, split, partial(_part, recording, file, name, sample)))
    return Source(GESTURES, items)


def spikes(tree: Tree, kind: str) -> Source:
    """SHD or SSC (Cramer et al. 2020): `shd_train.h5` and `shd_test.h5`, or one of them alone.

    Raises FileError, FormatError, LabelError.
    """
    items: list[Item] = []
    classes: tuple[str, ...] = ()
    for name in tree.names:
        found = SPIKES.fullmatch(PurePosixPath(name).name)
        if not found or found[1] != kind:
            continue
        path = tree.path_of(name)
        labels, names = hdf5.spike_labels(path)
        if classes and names != classes:
            raise FormatError(expected(f"{path}: extra/keys", "the classes of the files before it", Unquoted("others")))
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            want = f"0 to {len(names) - 1}"
            raise LabelError(expected(f"{path}: labels", want, Unquoted(f"{labels.min()} to {labels.max()}")))
        classes = names
        for index, label in enumerate(labels.tolist()):
            title = f"{name}#{index}"
            items.append(Item(title, label, found[2], partial(hdf5.read_spikes, path, index, title)))
    if not items:
        want = f"{kind}_train.h5, {kind}_valid.h5 or {kind}_test.h5, whose names say which part they are"
        named = [name for name in tree.names if SPIKES.fullmatch(PurePosixPath(name).name)]
        others = ", ".join(PurePosixPath(name).name for name in tree.names[:3]) or "nothing"
        raise FileError(expected(str(tree.root), want, Unquoted("no recordings in them" if named else others)))
    return Source(classes, items)


SETS: dict[str, tuple[str, Callable[[Tree], Source]]] = {
    "dvs-gesture": ("DVS128 Gesture: trials_to_train.txt, user01_fluorescent.aedat, ..._labels.csv", dvs_gesture),
    "shd": ("Spiking Heidelberg Digits: shd_train.h5", partial(spikes, kind="shd")),
    "ssc": ("Spiking Speech Commands: ssc_train.h5", partial(spikes, kind="ssc")),
}


def _only(tree: Tree, name: str) -> str:
    found = tree.named(name)
    if len(found) != 1:
        raise FileError(expected(str(tree.root), f"one file {name}", Unquoted(str(len(found)))))
    return found[0]


def _samples(tree: Tree, name: str) -> list[Sample]:
    rows = list(csv.reader(io.StringIO(tree.bytes_of(name).decode("utf-8", "replace"))))
    if not rows or [cell.strip() for cell in rows[0]] != COLUMNS:
        raise FormatError(expected(f"{name}: first line", ",".join(COLUMNS), rows[0] if rows else Unquoted("nothing")))
    samples = []
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            sample = Sample(*map(int, row))
        except (TypeError, ValueError) as error:
            raise FormatError(expected(f"{name}: line {line}", "three whole numbers", ",".join(row))) from error
        if not 1 <= sample.number <= len(GESTURES):
            raise LabelError(expected(f"{name}: line {line}: class", f"1 to {len(GESTURES)}", sample.number))
        if sample.stop <= sample.start:
            raise FormatError(expected(f"{name}: line {line}", f"an end after {sample.start}", sample.stop))
        samples.append(sample)
    return samples


def _trial(tree: Tree, name: str) -> Raw:
    return aedat3.decode(tree.bytes_of(name), name)


def _part(recording: Callable[[str], Raw], file: str, name: str, sample: Sample) -> Raw:
    """The events of a trial with start <= t < stop. That a file is cut off is a fault of those that reach its end."""
    whole = recording(file)
    inside = (whole.t >= sample.start) & (whole.t < sample.stop)
    columns = {field: getattr(whole, field)[inside] for field in ("x", "y", "t", "p")}
    cut = whole.cut if not len(whole.t) or sample.stop > whole.t.max() else 0
    return replace(whole, **columns, name=name, cut=cut)
