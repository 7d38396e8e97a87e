"""Which cells and anchors of a detector's maps are to find which box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.detection import LARGEST_RATIO, BoxTargets, DetectionHead
from qpsnn_core.common.types import Doubles, Longs

NEAR = 0.5
"""Of a cell: how near a neighbour must be to find the box, too."""


class Matches(NamedTuple):
    """What one map is to find, in the order of images, then of boxes, anchors, and cells (own, left, up, right, down).

    image, anchor, row, column, classes: int64 `[N]`. boxes: float64 `[N, 4]`, centre relative to the cell's corner,
    width and height, in cells. anchors: float64 `[N, 2]`, in cells.
    """

    image: Longs
    anchor: Longs
    row: Longs
    column: Longs
    classes: Longs
    boxes: Doubles
    anchors: Doubles


def match_anchors(targets: BoxTargets, head: DetectionHead, level: int, height: int, width: int) -> Matches:
    """The matches of the map of index `level`, of `height` x `width` cells.

    A box is found by each anchor whose sides are less than LARGEST_RATIO times its own and more than one part in so
    many, in the cell of its centre; with `decode = "v5"`, whose centres reach half a cell beyond, also in the cells
    across the edges that are nearer than NEAR, as far as there are cells.
    """
    stride = head.strides[level]
    anchors = np.asarray(head.anchors[level], np.float64) / stride
    boxes = np.asarray(targets.boxes, np.float64) / stride
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    ratio = sides[:, np.newaxis] / anchors
    fits = np.maximum(ratio, 1 / ratio).max(2) < LARGEST_RATIO  # [M, A]
    grid = np.array([width, height], np.float64)
    own = np.clip(np.floor(centres), 0, grid - 1)
    shifts = [np.zeros((len(boxes), 2))]
    valid = [np.ones(len(boxes), np.bool_)]
    for towards, distance in ((-1, centres - own), (1, own + 1 - centres)) if head.decode == "v5" else ():
        for axis in (0, 1):
            shift = np.zeros((len(boxes), 2))
            shift[:, axis] = towards
            beyond = own[:, axis] + towards
            shifts.append(shift)
            valid.append((distance[:, axis] < NEAR) & (beyond >= 0) & (beyond < grid[axis]))
    row, anchor, place = np.nonzero(fits[:, :, np.newaxis] & np.stack(valid, 1)[:, np.newaxis])
    cells = own[row] + np.stack(shifts, 1)[row, place]
    image = np.repeat(np.arange(len(targets.offsets) - 1), np.diff(targets.offsets))[row]
    return Matches(
        image,
        anchor,
        cells[:, 1].astype(np.int64),
        cells[:, 0].astype(np.int64),
        targets.classes[row],
        np.concatenate([centres[row] - cells, sides[row]], axis=1),
        anchors[anchor],
    )
