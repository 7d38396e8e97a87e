"""The overlaps of one class's detections and boxes in every image, which every average precision needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Bools, Doubles, Longs
from qpsnn_core.engine.detection import Detections
from qpsnn_core.kernels.boxes import overlaps
from qpsnn_datasets.detection.boxes import Boxes


class Ranked(NamedTuple):
    """One class, in each image that has a detection or box of it; the best detection first, equal scores as they came.

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
    rows, own = np.flatnonzero(detections.classes == kind), np.flatnonzero(boxes.classes == kind)
    if not crowds:
        own = own[~boxes.crowd[own]]
    detected_in, there_in = _images(detections.offsets)[rows], _images(boxes.offsets)[own]
    images = np.union1d(detected_in, there_in)
    found: list[Doubles] = []
    difficult, crowd, areas, detected, scores = [], [], [], [], [np.zeros(0)]
    for here, there in zip(_parts(rows, detected_in, images), _parts(own, there_in, images), strict=True):
        values = detections.scores[here].astype(np.float64)
        best = np.argsort(-values, kind="stable")[:most]
        edges = detections.boxes[here[best]].astype(np.float64)
        flags = boxes.crowd[there]
        table = np.zeros((len(best), len(there)))
        overlaps(edges, boxes.edges[there], flags.astype(np.uint8), table)
        found.append(table)
        difficult.append(boxes.difficult[there])
        crowd.append(flags)
        areas.append(boxes.areas[there])
        detected.append((edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]))
        scores.append(values[best])
    every = np.concatenate(scores)
    return Ranked(found, difficult, crowd, areas, detected, every, np.argsort(-every, kind="stable"))


def _images(offsets: Longs) -> Longs:
    """The image of each row."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _parts(rows: Longs, of: Longs, images: Longs) -> list[Longs]:
    """The rows of each of `images`, which rise; of: the image of each row, which never fall."""
    return np.split(rows, np.searchsorted(of, images[1:])) if len(images) else []
