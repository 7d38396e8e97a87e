"""Prophesee's Gen1 automotive set: recordings of an event camera, with boxes of cars and pedestrians.

Each time that has boxes is a sample: the events of the 250 ms before it, counted in T frames of equal duration
(de Tournemire et al. 2020, arXiv:2001.08499; the protocol of EMS-YOLO, arXiv:2307.11411).
"""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FileError, FormatError, LabelError, Unquoted, expected
from qpsnn_core.common.foreign import foreign
from qpsnn_core.common.types import Images, Longs
from qpsnn_core.common.validation import check_choice, whole

from ..events.formats import dat
from ..events.frames import frames_in_bins
from ..events.raw import Report, check_repairs, mend
from ..events.recording import UNLABELLED, Recording
from ..events.tree import Tree
from ..memmap import mapped
from ..npy import read_array
from ..schema import Split, limited_indices
from .anchors import fit_anchors
from .boxes import Box, BoxReport, gathered
from .letterbox import Letterboxes, Size, inner_of, size_of
from .listing import PARTS
from .schema import DetectionDataset, with_boxes

CLASSES = ("car", "pedestrian")
SENSOR = (240, 304)
WINDOW = 250_000
"""Microseconds before a box that are looked at."""

BOXES, EVENTS = "_bbox.npy", "_td.dat"
FITS = ("stretch", "letterbox")
EARLIEST = 500_000
LEAST_DIAGONAL, LEAST_SIDE = 30.0, 10.0
"""Prophesee's evaluation leaves out boxes of the first half second, and those that are smaller, in pixels."""

FIELDS = {"x": "f", "y": "f", "w": "f", "h": "f", "class_id": "iu", "track_id": "iu"}
TIMES = ("t", "ts")


class Moment(NamedTuple):
    """A time of a recording that has boxes. time: microseconds; boxes: the last of each object."""

    recording: str
    time: int
    boxes: list[Box]


def load_gen1(
    path: str | Path,
    size: int | tuple[int, int] = 0,
    steps: int = 4,
    *,
    fit: str = "stretch",
    filtered: bool = False,
    repair: Collection[str] = (),
    limit: int | None = None,
    anchors: int = 0,
    decode: str = "v5",
) -> Split:
    """Frames of events, uint8 `[N, steps, H, W, 2]` (channel 0 counts OFF, 1 ON; 255 at most), of a folder.

    Files NAME_td.dat and NAME_bbox.npy lie in folders train, val and test. size: of the frames; fit: 304 x 240 pixels
    are stretched to it, or letterboxed; to the nearest pixel. filtered: leave out the boxes that Prophesee's evaluation
    leaves out. repair: of `events.REPAIRS`, what may be mended of recordings. limit: at most so many times of a part,
    always the same ones. anchors, decode: as of `load_detection`. Frames lie in a mapped temporary file.
    Raises ConfigError, FileError, FormatError, DataError, LabelError (a class that is neither car nor pedestrian).
    """
    check_choice("fit", fit, FITS)
    shape, steps = size_of(size), whole("steps", steps, 1)
    if limit is not None:
        whole("limit", limit, 1)
    mends = check_repairs(repair)
    tree = Tree(path, "folder of Gen1")
    moments: dict[str, list[Moment]] = {}
    for name in tree.names:
        if name.endswith(BOXES):
            part = next((PARTS[one] for one in Path(name).parts[:-1] if one in PARTS), "")
            if not part:
                raise FormatError(expected(f"{tree.root}: {name}", "a folder train, val or test", Unquoted("none")))
            moments.setdefault(part, []).extend(_moments(tree, name, filtered))
    for part in ("train", "test"):
        if not moments.get(part):
            raise FormatError(expected(str(tree.root), f"files *{BOXES} with boxes in {part}/", Unquoted("none")))
    sets = {}
    fitted = _fitted(moments["train"], shape, fit, anchors) if whole("anchors", anchors, 0) else ()
    for part, found in moments.items():
        chosen = [found[index] for index in limited_indices(np.zeros(len(found), np.int64), limit)]
        made = _dataset(tree, mends, chosen, shape, steps, fit, f"{Path(path).stem}.{part}")
        sets[part] = replace(made, anchors=fitted, decode=decode)
    return Split(sets["train"], sets["test"], sets.get("validation"))


def read_boxes(data: bytes, place: str) -> NDArray[Any]:
    """A structured array of boxes, as the file has it, in the order of time; FormatError."""
    with foreign(place, ".npy file"):
        boxes = read_array(lambda: io.BytesIO(data), place, len(data))
    names = boxes.dtype.names or ()
    time = [one for one in TIMES if one in names]
    if boxes.ndim != 1 or not time or any(one not in names for one in FIELDS):
        want = f"a structured array [N] with {' or '.join(TIMES)}, {', '.join(FIELDS)}"
        raise FormatError(expected(place, want, Unquoted(f"{', '.join(names) or boxes.dtype} {list(boxes.shape)}")))
    for name, kinds in {time[0]: "iu", **FIELDS}.items():
        if boxes.dtype[name].kind not in kinds:
            want = "integers" if kinds == "iu" else "real numbers"
            raise FormatError(expected(f"{place}: {name}", want, boxes.dtype[name]))
    return boxes[np.argsort(times_of(boxes), kind="stable")]


def times_of(boxes: NDArray[Any]) -> Longs:
    """Microseconds of each box."""
    return boxes["t" if "t" in (boxes.dtype.names or ()) else "ts"].astype(np.int64)


def last_of_each(tracks: Longs) -> Longs:
    """The index of the last entry of each number, rising."""
    _, first = np.unique(tracks[::-1], return_index=True)
    return np.sort(len(tracks) - 1 - first)


def _moments(tree: Tree, name: str, filtered: bool) -> list[Moment]:
    place = f"{tree.root}: {name}"
    boxes = read_boxes(tree.bytes_of(name), place)
    wrong = np.flatnonzero(boxes["class_id"] >= len(CLASSES))
    if wrong.size:
        got = int(boxes["class_id"][wrong[0]])
        raise LabelError(expected(f"{place}: class_id[{wrong[0]}]", f"0 to {len(CLASSES) - 1}", got))
    recording = name.removesuffix(BOXES) + EVENTS
    if recording not in tree.names:
        raise FileError(expected(str(tree.root), recording, Unquoted("no such file")))
    if not len(boxes):
        return []
    times, begins = np.unique(times_of(boxes), return_index=True)
    found = []
    for time, group in zip(times.tolist(), np.split(boxes, begins[1:]), strict=True):
        kept = group[last_of_each(group["track_id"].astype(np.int64))]
        chosen = [_box(one) for one in kept if not filtered or _counts(time, one)]
        if chosen:
            found.append(Moment(recording, time, chosen))
    return found


def _box(one: Any) -> Box:
    left, top, width, height = (float(one[side]) for side in ("x", "y", "w", "h"))
    return Box((left, top, left + width, top + height), CLASSES[int(one["class_id"])])


def _counts(time: int, one: Any) -> bool:
    width, height = float(one["w"]), float(one["h"])
    large = width * width + height * height >= LEAST_DIAGONAL**2 and min(width, height) >= LEAST_SIDE
    return time >= EARLIEST and large


def _dataset(
    tree: Tree, repair: Collection[str], moments: list[Moment], shape: Size, steps: int, fit: str, name: str
) -> DetectionDataset:
    inner = _inner(shape, fit)
    left, top, width, height = inner
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip((height, width), SENSOR, strict=True)
    )
    report, loaded, recording = BoxReport(), "", None
    with mapped((len(moments), steps, *shape, 2)) as (_, images):
        for index, moment in enumerate(moments):
            if recording is None or moment.recording != loaded:
                loaded, recording = moment.recording, _recording(tree, moment.recording, repair)
            span = moment.time - WINDOW, moment.time
            frames: Images = frames_in_bins(recording, steps, span=span)
            images[index, :, top : top + height, left : left + width] = frames[:, rows[:, np.newaxis], columns]
    files = tuple(f"{moment.recording}@{moment.time}" for moment in moments)
    entries = [(file, *SENSOR, moment.boxes) for file, moment in zip(files, moments, strict=True)]
    boxes = gathered(entries, CLASSES, report)
    letterboxes = Letterboxes(
        np.tile(np.array(SENSOR, np.int64), (len(moments), 1)), np.tile(np.array(inner, np.int64), (len(moments), 1))
    )
    return with_boxes(images, boxes, letterboxes, CLASSES, files=files, name=name, report=report)


def _inner(shape: Size, fit: str) -> tuple[int, int, int, int]:
    return (0, 0, shape[1], shape[0]) if fit == "stretch" else inner_of(SENSOR, shape)


def _fitted(moments: list[Moment], shape: Size, fit: str, count: int) -> tuple[tuple[float, float], ...]:
    """Anchors for all boxes of the training part; of seed 0."""
    boxes = gathered([(one.recording, *SENSOR, one.boxes) for one in moments], CLASSES, BoxReport()).edges
    _, _, width, height = _inner(shape, fit)
    sides = (boxes[:, 2:] - boxes[:, :2]) * np.array([width / SENSOR[1], height / SENSOR[0]])
    return tuple((across, down) for across, down in fit_anchors(sides, count, 0).tolist())


def _recording(tree: Tree, name: str, repair: Collection[str]) -> Recording:
    raw = dat.decode(tree.bytes_of(name), f"{tree.root}: {name}", SENSOR)
    recording = mend(raw, repair, Report(), UNLABELLED)
    if recording is None:
        raise DataError(expected(f"{tree.root}: {name}", "a recording with events", Unquoted("none")))
    return recording
