"""The overlaps of one class's detections and boxes in every image, which every average precision needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Bools, Doubles, Longs
from qpsnn_core.engine.detection import Detections
from qpsnn_core.kernels.boxes import overlaps
from qpsnn_datasets.detection.boxes import Boxes


class Ranked(NamedTuple):
    """One class, image by image, each image's detections the best first, equal scores as they came.

    overlaps: of each image float64 `[D, G]`, over the detection's area alone where the box is a crowd. difficult,
    crowd, areas: of each image `[G]`. detected: of each image the areas of the detections, `[D]`. scores: of all
    images, one after another, `[N]`. order: of these, the best first, equal ones as they are, `[N]`.
    """

    overlaps: list[Doubles]
    difficult: list[Bools]
    crowd: list[Bools]
    areas: list[Doubles]
    detected: list[Doubles]
    scores: Doubles
    order: Longs


def ranked(detections: Detections, boxes: Boxes, kind: int, *, most: int | None = None, crowds: bool = False) -> Ranked:
    """The detections of class `kind`, `most` of an image at most, and its boxes, except crowds unless asked."""
    found: list[Doubles] = []
    difficult, crowd, areas, detected, scores = [], [], [], [], []
    for image in range(len(boxes)):
        here, there = detections.of(image), boxes.of(image)
        rows = np.flatnonzero(detections.classes[here] == kind)
        values = detections.scores[here][rows].astype(np.float64)
        best = np.argsort(-values, kind="stable")[:most]
        edges = np.ascontiguousarray(detections.boxes[here][rows[best]], np.float64)
        own = np.flatnonzero((boxes.classes[there] == kind) & (crowds | ~boxes.crowd[there]))
        flags = boxes.crowd[there][own]
        table = np.zeros((len(best), len(own)))
        overlaps(edges, np.ascontiguousarray(boxes.edges[there][own]), flags.astype(np.uint8), table)
        found.append(table)
        difficult.append(boxes.difficult[there][own])
        crowd.append(flags)
        areas.append(boxes.areas[there][own])
        detected.append((edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]))
        scores.append(values[best])
    every = np.concatenate(scores)
    return Ranked(found, difficult, crowd, areas, detected, every, np.argsort(-every, kind="stable"))
