"""From a detector's raw numbers to boxes, and the slope of the boxes by them: one place for training and detecting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qpsnn_core.common.types import Doubles
from qpsnn_core.kernels.elementary import exp

LARGEST = 50.0
"""Raw numbers beyond it count as it: a sigmoid is 0 or 1 there to float32's last bit, and no side becomes 0."""

LARGEST_GROWTH = 8.0
"""Of `decode = "v3"`, whose sides are `exp(t) anchor`: 2,981 anchors."""


def sigmoid(raw: Doubles) -> Doubles:
    """`1 / (1 + exp(-t))`, without overflow."""
    smaller = exp(-np.abs(raw))
    found: Doubles = np.where(raw >= 0, 1.0, smaller) / (1 + smaller)
    return found


def boxes_of(raw: Doubles, anchors: Doubles, decode: str) -> tuple[Doubles, Doubles]:
    """Centre relative to the cell's corner, width and height, `[N, 4]`, in cells; and the slope of each by its own raw.

    raw: x, y, w, h as the network gives them, `[N, 4]`. anchors: width and height in cells, `[N, 2]`. decode: of
    `DetectionHead`.
    """
    return _DECODES[decode](raw, anchors)


def _v5(raw: Doubles, anchors: Doubles) -> tuple[Doubles, Doubles]:
    share = sigmoid(np.clip(raw, -LARGEST, LARGEST))
    slope = 2 * share * (1 - share)
    side = 2 * share[:, 2:]
    boxes = np.concatenate([2 * share[:, :2] - 0.5, side * side * anchors], axis=1)
    slopes = np.concatenate([slope[:, :2], 2 * side * slope[:, 2:] * anchors], axis=1)
    return boxes, slopes


def _v3(raw: Doubles, anchors: Doubles) -> tuple[Doubles, Doubles]:
    share = sigmoid(np.clip(raw[:, :2], -LARGEST, LARGEST))
    side = exp(np.clip(raw[:, 2:], -LARGEST, LARGEST_GROWTH)) * anchors
    return np.concatenate([share, side], axis=1), np.concatenate([share * (1 - share), side], axis=1)


_DECODES: Mapping[str, Callable[[Doubles, Doubles], tuple[Doubles, Doubles]]] = {"v3": _v3, "v5": _v5}
