"""The boxes of many images as flat arrays, and what was wrong with those that a file had."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import DataError, LabelError, Unquoted, expected
from qpsnn_core.common.types import Array, Bools, Doubles, Longs

DEGENERATE = {
    "not finite": "an edge is no number",
    "no area": "the right edge is not beyond the left one, or the lower not beyond the upper",
    "outside": "no part lies within the image",
}
"""Why a box of a file is dropped."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of N images; those of image i are rows `offsets[i]` to `offsets[i + 1] - 1`.

    edges: float64 `[M, 4]`, left, top, right, bottom in pixels of the image as it was, pixel (0, 0) reaching from 0 to
    1. classes: int64 `[M]`. offsets: int64 `[N + 1]`. difficult: bool `[M]`, as Pascal VOC marks them. crowd: bool
    `[M]`, COCO's `iscrowd`. areas: float64 `[M]`, as COCO has them of outlines; else width times height.
    Raises DataError (types, lengths, boxes without area).
    """

    edges: Doubles
    classes: Longs
    offsets: Longs
    difficult: Bools
    crowd: Bools
    areas: Doubles

    def __post_init__(self) -> None:
        """Check every field."""
        count = len(self.classes)
        for name, dtype, shape in (
            ("edges", np.float64, (count, 4)),
            ("classes", np.int64, (count,)),
            ("difficult", np.bool_, (count,)),
            ("crowd", np.bool_, (count,)),
            ("areas", np.float64, (count,)),
        ):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
                got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
                raise DataError(expected(f"boxes.{name}", f"{np.dtype(dtype)} {list(shape)}", Unquoted(got)))
        check_offsets("boxes.offsets", self.offsets, count)
        wrong = np.flatnonzero(~((self.edges[:, 2:] > self.edges[:, :2]).all(1) & np.isfinite(self.edges).all(1)))
        if wrong.size:
            got = Unquoted(f"{self.edges[wrong[0]].tolist()}")
            raise DataError(expected(f"boxes.edges[{wrong[0]}]", "finite, left < right, top < bottom", got))
        wrong = np.flatnonzero(~(self.areas >= 0))
        if wrong.size:
            raise DataError(expected(f"boxes.areas[{wrong[0]}]", "a number of at least 0", self.areas[wrong[0]]))

    def __len__(self) -> int:
        """The number of images N."""
        return len(self.offsets) - 1

    def of(self, image: int) -> slice:
        """The rows of an image."""
        return slice(int(self.offsets[image]), int(self.offsets[image + 1]))

    def take(self, images: Longs) -> Boxes:
        """The boxes of these images, in that order."""
        rows = [np.arange(self.offsets[one], self.offsets[one + 1]) for one in images]
        chosen = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        offsets = np.cumsum([0, *(len(one) for one in rows)], dtype=np.int64)
        columns = (self.edges, self.classes, self.difficult, self.crowd, self.areas)
        edges, classes, difficult, crowd, areas = (one[chosen] for one in columns)
        return Boxes(edges, classes, offsets, difficult, crowd, areas)


class Box(NamedTuple):
    """One box of a file, before it is checked. edges: in pixels, as of `Boxes`; area: 0 where the file has none."""

    edges: tuple[float, float, float, float]
    label: str
    difficult: bool = False
    crowd: bool = False
    area: float = 0.0
    degenerate: str = ""


class Dropped(NamedTuple):
    """A box that was left out: of which image, its number among those of the file, its class, and why."""

    image: str
    number: int
    label: str
    reason: str


@dataclass
class BoxReport:
    """What was wrong with the boxes of a set. dropped: each box that was left out. clipped: boxes cut at an edge."""

    dropped: list[Dropped] = field(default_factory=list)
    clipped: int = 0

    def __str__(self) -> str:
        """The numbers, and the name of every image that lost a box."""
        reasons = Counter(one.reason for one in self.dropped)
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        names = ", ".join(f"{one.image} ({one.label} {one.number})" for one in self.dropped)
        dropped = f"{len(self.dropped)} boxes dropped ({counts}): {names}" if self.dropped else "no box dropped"
        return f"{dropped}; {self.clipped} clipped at the edge of their image"


def gathered(images: Sequence[tuple[str, int, int, Sequence[Box]]], classes: Sequence[str], report: BoxReport) -> Boxes:
    """The boxes of (name, height, width, boxes) of each image, cut at its edges; those without area are dropped.

    Raises LabelError for a class that is none of `classes`.
    """
    numbers = {name: index for index, name in enumerate(classes)}
    rows: list[tuple[float, ...]] = []
    kinds: list[int] = []
    marks: list[tuple[bool, bool, float]] = []
    counts = [0]
    for name, height, width, boxes in images:
        for index, box in enumerate(boxes):
            if box.label not in numbers:
                want = f"one of the classes {', '.join(classes)}"
                raise LabelError(expected(f"{name}: box {index}", want, box.label))
            reason = box.degenerate or _reason(box.edges, height, width)
            if reason:
                report.dropped.append(Dropped(name, index, box.label, reason))
                continue
            left, top, right, bottom = box.edges
            cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
            report.clipped += cut != box.edges
            rows.append(cut)
            kinds.append(numbers[box.label])
            marks.append((box.difficult, box.crowd, box.area or (cut[2] - cut[0]) * (cut[3] - cut[1])))
        counts.append(len(rows))
    difficult, crowd, areas = zip(*marks, strict=True) if marks else ((), (), ())
    return Boxes(
        np.array(rows, np.float64).reshape(-1, 4),
        np.array(kinds, np.int64),
        np.array(counts, np.int64),
        np.array(difficult, np.bool_),
        np.array(crowd, np.bool_),
        np.array(areas, np.float64),
    )


def check_offsets(place: str, offsets: Any, count: int) -> None:
    """DataError unless `offsets` are int64, begin with 0, never fall and end with `count`."""
    valid = isinstance(offsets, np.ndarray) and offsets.dtype == np.int64 and offsets.ndim == 1 and len(offsets) > 0
    if not valid:
        got = f"{offsets.dtype} {list(offsets.shape)}" if isinstance(offsets, np.ndarray) else type(offsets).__name__
        raise DataError(expected(place, "int64 [N + 1]", Unquoted(got)))
    if offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets) < 0).any():
        ends: Array = offsets[[0, -1]]
        raise DataError(expected(place, f"rising numbers from 0 to {count}", Unquoted(f"{ends[0]} to {ends[1]}")))


def _reason(edges: tuple[float, float, float, float], height: int, width: int) -> str:
    left, top, right, bottom = edges
    if not all(map(math.isfinite, edges)):
        return "not finite"
    if right <= left or bottom <= top:
        return "no area"
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return "outside"
    return ""
