"""How well boxes agree: IoU, GIoU, CIoU of pairs, and the slopes of CIoU."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Doubles
from qpsnn_core.kernels.arctangent import arctangent

TINY = 1e-7
"""Added to the denominator of CIoU's weight, which is 0 / 0 where boxes are the same."""

SHAPE = 4 / math.pi**2


class _Meeting(NamedTuple):
    """Of pairs of boxes (centre, width, height): what they share and what holds both, each `[N, 2]` (across, down)."""

    low: Doubles
    high: Doubles
    low_there: Doubles
    high_there: Doubles
    shared: Doubles
    around: Doubles


def iou(boxes: Doubles, there: Doubles) -> Doubles:
    """Intersection over union of boxes and boxes that are there, each `[N, 4]`: centre x, y, width, height; `[N]`."""
    return _ratio(boxes, there, _meeting(boxes, there))[0]


def giou(boxes: Doubles, there: Doubles) -> Doubles:
    """`IoU - (hull - union) / hull`, the hull being the smallest box around both (Rezatofighi et al. 2019)."""
    meeting = _meeting(boxes, there)
    found, union = _ratio(boxes, there, meeting)
    hull = meeting.around[:, 0] * meeting.around[:, 1]
    return found - (hull - union) / hull


def ciou(boxes: Doubles, there: Doubles) -> tuple[Doubles, Doubles]:
    """Complete IoU of pairs, `[N]`, and its slopes by the box's centre x, y, width and height, `[N, 4]`.

    `CIoU = IoU - d**2 / c**2 - a v`, d between the centres, c the diagonal of the smallest box around both,
    `v = 4/pi**2 (atan(w'/h') - atan(w/h))**2`, `a = v / (1 - IoU + v)`, which counts as a constant
    (Zheng et al. 2020, arXiv:1911.08287). Boxes as of `iou`, of positive sides.
    """
    meeting = _meeting(boxes, there)
    shared, around = meeting.shared, meeting.around
    found, union = _ratio(boxes, there, meeting)
    apart = boxes[:, :2] - there[:, :2]
    distance = apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1]
    diagonal = around[:, 0] * around[:, 0] + around[:, 1] * around[:, 1]
    width, height = boxes[:, 2], boxes[:, 3]
    turn = arctangent(there[:, 2] / there[:, 3]) - arctangent(width / height)
    shape = SHAPE * turn * turn
    weight = shape / (1 - found + shape + TINY)

    meets = shared[:, 0] * shared[:, 1] > 0
    slopes = np.empty_like(boxes)
    for axis in (0, 1):
        other, side = 1 - axis, 2 + axis
        # How the shared side and the hull's side grow with the box's own two edges.
        inner_high = meets * (meeting.high[:, axis] < meeting.high_there[:, axis])
        inner_low = meets * (meeting.low[:, axis] > meeting.low_there[:, axis])
        outer_high = 1.0 * (meeting.high[:, axis] > meeting.high_there[:, axis])
        outer_low = 1.0 * (meeting.low[:, axis] < meeting.low_there[:, axis])
        for column, shared_slope, around_slope in (
            (axis, 1.0 * inner_high - inner_low, outer_high - outer_low),
            (side, (1.0 * inner_high + inner_low) / 2, (outer_high + outer_low) / 2),
        ):
            both = shared_slope * shared[:, other]
            area = boxes[:, 2 + other] if column == side else 0.0
            union_slope = area - both
            overlap_slope = (both - found * union_slope) / union
            distance_slope = 2 * apart[:, axis] if column == axis else 0.0
            diagonal_slope = 2 * around[:, axis] * around_slope
            slopes[:, column] = overlap_slope - (distance_slope - distance / diagonal * diagonal_slope) / diagonal
    bend = 2 * SHAPE * turn / (width * width + height * height)  # -dv/dw = bend * h, -dv/dh = -bend * w
    slopes[:, 2] += weight * bend * height
    slopes[:, 3] -= weight * bend * width
    return found - distance / diagonal - weight * shape, slopes


def _meeting(boxes: Doubles, there: Doubles) -> _Meeting:
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    low_there, high_there = there[:, :2] - there[:, 2:] / 2, there[:, :2] + there[:, 2:] / 2
    shared = np.maximum(np.minimum(high, high_there) - np.maximum(low, low_there), 0)
    around = np.maximum(high, high_there) - np.minimum(low, low_there)
    return _Meeting(low, high, low_there, high_there, shared, around)


def _ratio(boxes: Doubles, there: Doubles, meeting: _Meeting) -> tuple[Doubles, Doubles]:
    """Intersection over union, and the union."""
    both = meeting.shared[:, 0] * meeting.shared[:, 1]
    union: Doubles = boxes[:, 2] * boxes[:, 3] + there[:, 2] * there[:, 3] - both
    return both / union, union
