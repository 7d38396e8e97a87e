"""Detections drawn from boxes that are there: moved, doubled, of another class, out of nothing; many equal scores."""

from __future__ import annotations

import numpy as np

from qpsnn_core.engine.detection import Detections
from qpsnn_datasets.detection.boxes import Boxes
from qpsnn_datasets.seeding import uniforms

DRAWS = 12


def drawn_boxes(images: int, classes: int, seed: int, side: int = 200) -> Boxes:
    """Up to 6 boxes in each image, a tenth of them crowds, a tenth difficult."""
    counts = (uniforms(images, seed, 1) * 7).astype(np.int64)
    draws = uniforms(int(counts.sum()) * 8, seed, 2).reshape(-1, 8)
    corner, sides = draws[:, :2] * side * 0.7, 2 + draws[:, 2:4] ** 2 * side * 0.3 * 2
    edges = np.concatenate([corner, np.minimum(corner + sides, side)], axis=1).round(1)
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]) * (0.5 + draws[:, 7] / 2)
    offsets = np.cumsum([0, *counts], dtype=np.int64)
    kinds = (draws[:, 4] * classes).astype(np.int64)
    return Boxes(edges, kinds, offsets, draws[:, 5] < 0.1, draws[:, 6] < 0.1, areas)


def drawn_detections(boxes: Boxes, classes: int, seed: int) -> Detections:
    """Of nine in ten boxes a detection whose edges are off by up to a fifth of its sides; of some a second one; and for
    each image up to three of nothing. Scores have two digits."""
    rows, scores, kinds, counts = [], [], [], [0]
    for image in range(len(boxes)):
        here = boxes.of(image)
        edges, own = boxes.edges[here], boxes.classes[here]
        draws = uniforms((2 * len(edges) + 3) * DRAWS, seed, 3, image).reshape(-1, DRAWS)
        sides = edges[:, 2:] - edges[:, :2]
        for number, draw in enumerate(draws):
            box = number // 2
            if box < len(edges):
                if draw[0] > (0.9, 0.3)[number % 2]:
                    continue
                found = edges[box] + np.tile(sides[box], 2) * (draw[1:5] - 0.5) * 0.4 * draw[10]
                kind = own[box] if draw[5] < 0.9 else int(draw[6] * classes)
                score = 0.3 + 0.7 * draw[7]
            else:
                if draw[0] > 0.6:
                    continue
                found = np.array([draw[1] * 100, draw[2] * 100, draw[1] * 100 + 5, draw[2] * 100 + 5 + draw[3] * 90])
                kind, score = int(draw[6] * classes), 0.8 * draw[7]
            rows.append(found)
            scores.append(round(float(score), 2))
            kinds.append(kind)
        counts.append(len(rows))
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(kinds, np.int64),
        np.array(counts, np.int64),
    )
