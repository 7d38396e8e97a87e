"""Mean average precision of detections in three conventions: those of Pascal VOC, of COCO, and of YOLO's code.

They differ in what counts as found and in how the area below a curve is taken, so that their figures must not be
compared with each other. `mean_average_precision` names the convention, and so does what it gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.types import Bools, Doubles, Longs
from qpsnn_core.common.validation import check_choice, number
from qpsnn_core.engine.coco_precision import coco_curves, coco_means
from qpsnn_core.engine.detection import Detections
from qpsnn_core.engine.overlapping import Ranked, ranked
from qpsnn_core.kernels.boxes import match_best
from qpsnn_datasets.detection.boxes import Boxes

CONVENTIONS = ("voc", "coco", "yolo")
INTEGRALS = ("all points", "11 points")
"""Of `voc`: since 2010 the area below the curve; until then the mean of the precisions at 11 recalls."""

COCO_THRESHOLDS = tuple(float(one) for one in np.linspace(0.5, 0.95, 10))


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Average precisions of one convention.

    thresholds: the overlaps that were asked for. classes: their names. by_class: float64 `[thresholds, classes]`, NaN
    for a class that no box is of. figures: what the convention prints beside them, by name.
    """

    convention: str
    thresholds: tuple[float, ...]
    classes: tuple[str, ...]
    by_class: Doubles
    figures: Mapping[str, float]

    @property
    def mean(self) -> float:
        """The mean over thresholds and the classes that have boxes."""
        return _mean(self.by_class)

    def at(self, threshold: float) -> float:
        """The mean over classes at one overlap. DataError: it was not asked for."""
        near = [index for index, one in enumerate(self.thresholds) if math.isclose(one, threshold)]
        if not near:
            raise DataError(expected("threshold", f"one of {self.thresholds}", threshold))
        return _mean(self.by_class[near[0]])

    def __str__(self) -> str:
        """One line, with the convention's name."""
        first, last = self.thresholds[0], self.thresholds[-1]
        parts = [f"mAP@{first:.2g} {self.at(first):.4f}"]
        if last != first:
            parts.append(f"mAP@{first:.2g}:{last:.2g} {self.mean:.4f}")
        return f"{self.convention}: {', '.join(parts)}"


def mean_average_precision(
    convention: str,
    detections: Detections,
    boxes: Boxes,
    classes: Sequence[str],
    *,
    thresholds: Sequence[float] | None = None,
    integral: str = "all points",
) -> AveragePrecision:
    """Average precision of detections in the images of `boxes`, whose pixels both are in.

    thresholds: overlaps; else 0.5 ("voc"), 0.5 to 0.95 in steps of 0.05 ("coco", "yolo"). integral: of "voc", one of
    INTEGRALS. Boxes that are crowds are left out of "voc" and "yolo", which know none.
    Raises ConfigError, DataError (other images, another class, no box that counts).
    """
    check_choice("convention", convention, CONVENTIONS)
    check_choice("integral", integral, INTEGRALS)
    if integral != INTEGRALS[0] and convention != "voc":
        raise DataError(expected("integral", f"{INTEGRALS[0]} with {convention}", integral))
    if len(detections) != len(boxes):
        raise DataError(expected("detections", f"of {len(boxes)} images, as there are boxes of", len(detections)))
    wrong = np.flatnonzero((detections.classes < 0) | (detections.classes >= len(classes)))
    if wrong.size:
        want = f"0 to {len(classes) - 1}"
        raise DataError(expected(f"detections.classes[{wrong[0]}]", want, int(detections.classes[wrong[0]])))
    if not len(boxes.classes):
        raise DataError(expected("boxes", "at least one", Unquoted("none")))
    given = (0.5,) if convention == "voc" else COCO_THRESHOLDS
    levels = tuple(number("threshold", one, 0, 1) for one in (given if thresholds is None else thresholds))
    kinds = tuple(classes)
    if convention == "coco":
        by_class, figures = coco_means(coco_curves(detections, boxes, len(kinds), levels), levels)
        return AveragePrecision(convention, levels, kinds, by_class, figures)
    area = {"all points": area_below, "11 points": eleven_points}[integral] if convention == "voc" else yolo_area
    columns = [_BEST[convention](ranked(detections, boxes, kind), levels, area) for kind in range(len(kinds))]
    return AveragePrecision(convention, levels, kinds, np.stack(columns, 1), {})


def area_below(recall: Doubles, precision: Doubles) -> float:
    """The area below the precision that is reached at each recall or beyond it; VOC 2010 and later."""
    recalls = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.maximum.accumulate(np.concatenate([precision, [0.0]])[::-1])[::-1]
    return math.fsum((np.diff(recalls) * envelope).tolist())


def eleven_points(recall: Doubles, precision: Doubles) -> float:
    """The mean of the precisions that are reached at the recalls 0, 0.1, ..., 1 or beyond them; VOC 2007."""
    best = [precision[recall >= tenth / 10].max(initial=0.0) for tenth in range(11)]
    return math.fsum(best) / 11


def yolo_area(recall: Doubles, precision: Doubles) -> float:
    """The envelope, straight between its points, from precision 1 at recall 0 to 0 at 1, at 101 points: trapezoids."""
    if not len(recall):
        return 0.0
    recalls = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.maximum.accumulate(np.concatenate([[1.0], precision, [0.0]])[::-1])[::-1]
    heights = np.interp(np.linspace(0, 1, 101), recalls, envelope)
    return math.fsum(((heights[1:] + heights[:-1]) / 200).tolist())


def _voc(found: Ranked, levels: Sequence[float], area: Callable[[Doubles, Doubles], float]) -> Doubles:
    """Of one class at each overlap. What claims a difficult box counts neither as found nor as false."""
    out = np.full(len(levels), math.nan)
    count = sum(int((~one).sum()) for one in found.difficult)
    for index, level in enumerate(levels if count else ()):
        right, wrong = [], []
        for overlaps, difficult in zip(found.overlaps, found.difficult, strict=True):
            chosen = _claims(overlaps, level, True)
            box = np.where(chosen >= 0, chosen, -2 - chosen)
            spared = (chosen != -1) & (difficult[box] if len(difficult) else False)
            right.append((chosen >= 0) & ~spared)
            wrong.append((chosen < 0) & ~spared)
        out[index] = area(*_curve(np.concatenate(right), np.concatenate(wrong), found, count))
    return out


def _yolo(found: Ranked, levels: Sequence[float], area: Callable[[Doubles, Doubles], float]) -> Doubles:
    """Of one class at each overlap. Boxes are claimed once, at the least one; all boxes count."""
    out = np.full(len(levels), math.nan)
    count = sum(len(one) for one in found.difficult)
    if count:
        best, claimed = [], []
        for overlaps in found.overlaps:
            chosen = _claims(overlaps, min(levels), False)
            claimed.append(chosen >= 0)
            best.append(overlaps.max(1, initial=0.0))
        reached, first = np.concatenate(best), np.concatenate(claimed)
        for index, level in enumerate(levels):
            right = first & (reached >= level)
            out[index] = area(*_curve(right, ~right, found, count))
    return out


_BEST: Mapping[str, Callable[[Ranked, Sequence[float], Callable[[Doubles, Doubles], float]], Doubles]] = {
    "voc": _voc,
    "yolo": _yolo,
}


def _claims(overlaps: Doubles, level: float, strict: bool) -> Longs:
    chosen = np.zeros(len(overlaps), np.int64)
    match_best(overlaps, float(level), strict, np.zeros(overlaps.shape[1], np.uint8), chosen)
    return chosen


def _curve(right: Bools, wrong: Bools, found: Ranked, count: int) -> tuple[Doubles, Doubles]:
    """Recall and precision after each detection, the best of all images first."""
    hits, misses = np.cumsum(right[found.order]), np.cumsum(wrong[found.order])
    return hits / count, hits / np.maximum(hits + misses, 1)


def _mean(values: Doubles) -> float:
    there = values[~np.isnan(values)]
    if not there.size:
        raise DataError(expected("boxes", "at least one that counts", Unquoted("none")))
    return math.fsum(there.tolist()) / there.size
