"""COCO's average precision and recall: the twelve figures that pycocotools prints, element for element.

Written from the definition of the COCO detection challenge, and compared with pycocotools 2.0.11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Bools, Doubles
from qpsnn_core.engine.detection import Detections
from qpsnn_core.engine.overlapping import Ranked, ranked
from qpsnn_core.kernels.boxes import match_free
from qpsnn_datasets.detection.boxes import Boxes

MOST = (1, 10, 100)
"""Detections of an image and class: recall is given for each, precision for the last."""

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Least and largest area, in pixels, of the boxes that count. A box of exactly 32 x 32 is small and medium."""

RECALLS = np.linspace(0.0, 1.0, 101)


class Curves(NamedTuple):
    """precision: float64 `[thresholds, 101]`; recall: `[thresholds]`; NaN where no box counts."""

    precision: Doubles
    recall: Doubles


AllCurves = dict[tuple[str, int], list[Curves]]
"""Of each class, by area and detections of an image."""


def coco_means(curves: AllCurves, levels: Sequence[float]) -> tuple[Doubles, Mapping[str, float]]:
    """Average precisions `[thresholds, classes]` of boxes of every size, and the figures by name.

    AP, AP50, AP75 (the latter two where these overlaps are among `levels`); APs, APm, APl by area; AR1, AR10, AR100 by
    detections; ARs, ARm, ARl. NaN where no box counts (pycocotools prints -1). Boxes that are `crowd`, and those
    beyond an area, are neither asked for nor held against what finds them.
    """
    precision = {area: np.stack([one.precision for one in curves[area, MOST[-1]]], 2) for area in AREAS}
    figures = {"AP": _mean(precision["all"])}
    for name, level in (("AP50", 0.5), ("AP75", 0.75)):
        near = [index for index, one in enumerate(levels) if math.isclose(one, level)]
        if near:
            figures[name] = _mean(precision["all"][near[0]])
    figures |= {f"AP{area[0]}": _mean(precision[area]) for area in list(AREAS)[1:]}
    recall = {key: np.stack([one.recall for one in found]) for key, found in curves.items()}
    figures |= {f"AR{most}": _mean(recall["all", most]) for most in MOST}
    figures |= {f"AR{area[0]}": _mean(recall[area, MOST[-1]]) for area in list(AREAS)[1:]}
    by_class = np.array([[_mean(row) for row in one.precision] for one in curves["all", MOST[-1]]])
    return by_class.T, figures


def coco_curves(detections: Detections, boxes: Boxes, classes: int, levels: Sequence[float]) -> AllCurves:
    """The curves of each class, by area and detections of an image: what pycocotools keeps as `precision`, `recall`."""
    curves: AllCurves = {}
    for kind in range(classes):
        found = ranked(detections, boxes, kind, most=MOST[-1], crowds=True)
        for area in AREAS:
            for most in MOST if area == "all" else MOST[-1:]:
                curves.setdefault((area, most), []).append(_curves(found, levels, AREAS[area], most))
    return curves


def _curves(found: Ranked, levels: Sequence[float], area: tuple[float, float], most: int) -> Curves:
    """Precision at each of RECALLS, and the recall that all detections reach, of one class."""
    matched, spared, count = [], [], 0
    for image, table in enumerate(found.overlaps):
        ignored = found.crowd[image] | _beyond(found.areas[image], area)
        last = np.argsort(ignored, kind="stable")
        count += int((~ignored).sum())
        shape = len(levels), min(len(table), most)
        hits, dropped = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        match_free(
            np.ascontiguousarray(table[:most, last]),
            np.asarray(levels, np.float64),
            ignored[last].astype(np.uint8),
            found.crowd[image][last].astype(np.uint8),
            np.zeros((len(levels), len(last)), np.uint8),
            hits,
            dropped,
        )
        matched.append(hits > 0)
        spared.append((dropped > 0) | ((hits == 0) & _beyond(found.detected[image][:most], area)))
    if not count:  # which also is so where there are no images
        return Curves(np.full((len(levels), len(RECALLS)), math.nan), np.full(len(levels), math.nan))
    within = np.concatenate([np.arange(len(one)) < most for one in found.overlaps])
    order = np.argsort(-found.scores[within], kind="stable")
    found_any = np.concatenate(matched, 1)[:, order]
    counts = ~np.concatenate(spared, 1)[:, order]
    right = np.cumsum(found_any & counts, 1).astype(np.float64)
    wrong = np.cumsum(~found_any & counts, 1).astype(np.float64)
    precision, recall = np.zeros((len(levels), len(RECALLS))), np.zeros(len(levels))
    for level in range(len(levels)):
        reached = right[level] / count
        if not len(reached):
            continue
        recall[level] = reached[-1]
        share = right[level] / (wrong[level] + right[level] + np.spacing(1))
        envelope = np.maximum.accumulate(share[::-1])[::-1]
        places = np.searchsorted(reached, RECALLS, side="left")
        there = places < len(reached)
        precision[level, there] = envelope[places[there]]
    return Curves(precision, recall)


def _beyond(areas: Doubles, area: tuple[float, float]) -> Bools:
    outside: Bools = (areas < area[0]) | (areas > area[1])
    return outside


def _mean(values: Doubles) -> float:
    """The mean of all that is there, its sum rounded once (pycocotools adds in pairs: the last bit may differ)."""
    there = values[~np.isnan(values)]
    return math.fsum(there.reshape(-1).tolist()) / there.size if there.size else math.nan
