"""From the maps of a detector, of real numbers or integers, to its boxes: decoding and non-maximum suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qpsnn_core.common.detection import BOX, DetectionHead
from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.types import Array, Doubles, Floats, Longs
from qpsnn_core.common.validation import number, whole
from qpsnn_core.kernels.boxes import suppress
from qpsnn_core.optim.detection_boxes import boxes_of, sigmoid
from qpsnn_datasets.detection.boxes import check_offsets
from qpsnn_datasets.detection.letterbox import Letterboxes

MOST_CANDIDATES = 30_000
"""Of an image, which non-maximum suppression begins with, as in YOLOv5."""


@dataclass(frozen=True)
class DetectionLimits:
    """What of a detector's output becomes a detection; the defaults are those of YOLOv5's mAP.

    confidence: the score that must be exceeded. overlap: of two boxes of a class that overlap by more, the weaker goes.
    most: detections of an image. several: a box may be found as several classes; else only as the most likely one.
    Raises ConfigError.
    """

    confidence: float = 0.001
    overlap: float = 0.6
    most: int = 300
    several: bool = True

    def __post_init__(self) -> None:
        """Check every field."""
        number("limits.confidence", self.confidence, 0, 1)
        number("limits.overlap", self.overlap, 0, 1)
        whole("limits.most", self.most, 1)


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes that were found, of each image the best first; those of image i are rows `offsets[i]..offsets[i + 1] - 1`.

    boxes: float32 `[N, 4]`, left, top, right, bottom in pixels. scores: float32 `[N]`. classes: int64 `[N]`.
    offsets: int64 `[images + 1]`. Raises DataError (types, lengths, numbers that are not finite).
    """

    boxes: Floats
    scores: Floats
    classes: Longs
    offsets: Longs

    def __post_init__(self) -> None:
        """Check every field."""
        for name, dtype, shape in (
            ("boxes", np.float32, (len(self.scores), 4)),
            ("scores", np.float32, (len(self.scores),)),
            ("classes", np.int64, (len(self.scores),)),
        ):
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                got = Unquoted(f"{array.dtype} {list(array.shape)}")
                raise DataError(expected(f"detections.{name}", f"{np.dtype(dtype)} {list(shape)}", got))
            if not np.isfinite(array).all():
                raise DataError(expected(f"detections.{name}", "finite numbers", Unquoted("NaN or infinity")))
        check_offsets("detections.offsets", self.offsets, len(self.scores))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.offsets) - 1

    def of(self, image: int) -> slice:
        """The rows of an image."""
        return slice(int(self.offsets[image]), int(self.offsets[image + 1]))


def detect(
    maps: Sequence[Array],
    head: DetectionHead,
    *,
    units: Sequence[float] | None = None,
    limits: DetectionLimits | None = None,
    letterboxes: Letterboxes | None = None,
) -> Detections:
    """The boxes in a batch of images.

    maps: raw, the finest first, `[B, H, W, A*(5 + K)]`, real numbers, or integers with `units`, the real number that
    one unit of each map stands for. Both are decoded alike, in float64, so that the same integers give the same bits.
    letterboxes: of these images: boxes are given in the pixels of the images as they were, and cut at their edges;
    without, in those of the network's input. The score is objectness times class (objectness, with one class).
    Raises DataError (shapes, integers without units).
    """
    limits = DetectionLimits() if limits is None else limits
    values = _checked(maps, head, units)
    shape = values[0].shape[1] * head.strides[0], values[0].shape[2] * head.strides[0]
    parts: list[tuple[Floats, Floats, Longs]] = []
    for image in range(len(values[0])):
        found = [_candidates([one[image] for one in values], head, limits)]
        boxes, scores, classes = _suppressed(*found[0], limits)
        if letterboxes is not None:
            boxes = letterboxes.back(image, boxes)
        else:
            boxes = np.clip(boxes, 0, np.array([shape[1], shape[0]] * 2, np.float64))
        parts.append((boxes.astype(np.float32), scores.astype(np.float32), classes))
    offsets = np.cumsum([0, *(len(one[1]) for one in parts)], dtype=np.int64)
    edges, scored, kinds = zip(*parts, strict=True)
    return Detections(np.concatenate(edges), np.concatenate(scored), np.concatenate(kinds), offsets)


def joined(parts: Sequence[Detections]) -> Detections:
    """The detections of several batches as those of one."""
    boxes, scores, classes = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("boxes", "scores", "classes")
    )
    counts = np.concatenate([np.diff(one.offsets) for one in parts])
    return Detections(boxes, scores, classes, np.cumsum([0, *counts], dtype=np.int64))


def _candidates(
    maps: Sequence[Doubles], head: DetectionHead, limits: DetectionLimits
) -> tuple[Doubles, Doubles, Longs]:
    """What exceeds the confidence in one image, the best first: boxes in pixels of the input, scores, classes.

    Equal scores stay in the order of maps, rows, columns, anchors, classes.
    """
    boxes, scores, classes = [], [], []
    for level, raw in enumerate(maps):
        objectness = sigmoid(raw[..., BOX - 1])
        row, column, anchor = np.nonzero(objectness > limits.confidence)
        if not len(row):
            continue
        stride = head.strides[level]
        anchors = np.asarray(head.anchors[level], np.float64)[anchor] / stride
        chosen = raw[row, column, anchor]
        cells, _ = boxes_of(chosen[:, : BOX - 1], anchors, head.decode)
        cells[:, 0] += column
        cells[:, 1] += row
        sides = cells[:, 2:] / 2
        edges = np.concatenate([cells[:, :2] - sides, cells[:, :2] + sides], axis=1) * stride
        score = objectness[row, column, anchor][:, np.newaxis]
        if head.classes > 1:
            score = score * sigmoid(chosen[:, BOX:])
        if limits.several:
            of, kind = np.nonzero(score > limits.confidence)
        else:
            kind = score.argmax(1)
            of = np.flatnonzero(score[np.arange(len(score)), kind] > limits.confidence)
            kind = kind[of]
        boxes.append(edges[of])
        scores.append(score[of, kind])
        classes.append(kind)
    if not boxes:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    found, values, kinds = np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes)
    order = np.argsort(-values, kind="stable")[:MOST_CANDIDATES]
    return found[order], values[order], kinds[order]


def _suppressed(
    boxes: Doubles, scores: Doubles, classes: Longs, limits: DetectionLimits
) -> tuple[Doubles, Doubles, Longs]:
    kept = np.zeros(min(len(scores), limits.most), np.int64)
    count = suppress(boxes, classes, float(limits.overlap), int(limits.most), kept)
    return boxes[kept[:count]], scores[kept[:count]], classes[kept[:count]]


def _checked(maps: Sequence[Array], head: DetectionHead, units: Sequence[float] | None) -> list[Doubles]:
    """The maps in float64, `[B, H, W, A, 5 + K]`."""
    if len(maps) != len(head.strides):
        raise DataError(expected("maps", f"{len(head.strides)}, one for each stride", len(maps)))
    if units is not None and len(units) != len(maps):
        raise DataError(expected("units", f"{len(maps)}, one for each map", len(units)))
    found = []
    for level, map_ in enumerate(maps):
        place, want = f"maps[{level}]", f"[{len(maps[0])}, H, W, {head.channels(level)}]"
        if map_.ndim != 4 or (len(map_), map_.shape[3]) != (len(maps[0]), head.channels(level)) or not map_.size:
            raise DataError(expected(place, want, Unquoted(f"shape {list(map_.shape)}")))
        if map_.shape[1] * head.strides[level] != maps[0].shape[1] * head.strides[0]:
            rows = maps[0].shape[1] * head.strides[0] / head.strides[level]
            raise DataError(
                expected(f"{place}: rows", f"{rows:g}, as the first map and the strides say", map_.shape[1])
            )
        if map_.dtype.kind in "iu" and units is None:
            raise DataError(expected("units", f"the real number of a unit, as {place} is of integers", None))
        values = map_.astype(np.float64)
        if units is not None:
            if not 0 < units[level] < math.inf:
                raise DataError(expected(f"units[{level}]", "a positive number", units[level]))
            values *= units[level]
        if not np.isfinite(values).all():
            raise DataError(expected(place, "finite numbers", Unquoted("NaN or infinity")))
        found.append(values.reshape(*values.shape[:3], -1, BOX + head.classes))
    return found
