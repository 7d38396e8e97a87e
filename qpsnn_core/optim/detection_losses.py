"""The loss of a detector: boxes by CIoU, objectness and classes by binary cross-entropy; and its gradient.

Every sum is taken exactly and rounded once (`math.fsum`), so that no order decides a bit of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.detection import BOX, REFERENCE, BoxTargets, DetectionHead
from qpsnn_core.common.errors import DataError, LabelError, NumericsError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Array, Doubles, Floats
from qpsnn_core.common.validation import check_number, is_positive
from qpsnn_core.kernels.elementary import exp, log
from qpsnn_core.optim.anchor_matching import Matches, match_anchors
from qpsnn_core.optim.box_overlaps import ciou
from qpsnn_core.optim.detection_boxes import boxes_of

BALANCES = {3: (4.0, 1.0, 0.4)}
MORE_MAPS = (4.0, 1.0, 0.25, 0.06, 0.02)
"""YOLOv5's weights of the objectness of each map, the finest first: of three maps, and of any other number."""

REFERENCE_MAPS = 3
REFERENCE_CLASSES = 80
"""Of the network and the set for which the gains were published."""


@dataclass(frozen=True)
class DetectionGains:
    """The weights of the parts of the loss, as they are multiplied: `scaled` gives those of a head and a size.

    Raises ConfigError for one that is not above 0.
    """

    box: float = 0.05
    objectness: float = 1.0
    classes: float = 0.5

    def __post_init__(self) -> None:
        """Check every field."""
        plain_fields(self)
        for name in ("box", "objectness", "classes"):
            check_number(f"gains.{name}", getattr(self, name), "a positive number", is_positive)

    def scaled(self, head: DetectionHead, size: int) -> DetectionGains:
        """As YOLOv5 scales them: all by `3 / maps`, classes also by `K / 80`, objectness by `(size / 640)**2`."""
        maps = REFERENCE_MAPS / len(head.strides)
        share = size / REFERENCE
        classes = self.classes * maps * head.classes / REFERENCE_CLASSES
        return DetectionGains(self.box * maps, self.objectness * maps * share * share, classes)


class DetectionLoss(NamedTuple):
    """The loss of a batch and its parts, each times its gain: `total = (box + objectness + classes) * batch`.

    matches: how many cells and anchors are to find a box.
    """

    total: float
    box: float
    objectness: float
    classes: float
    matches: int


def detection_loss(
    maps: Sequence[Floats], targets: BoxTargets, head: DetectionHead, gains: DetectionGains
) -> tuple[DetectionLoss, list[Floats]]:
    """The loss, and its gradient by each map, float32 of the map's shape.

    maps: raw, the finest first, `[B, H, W, A*(5 + K)]`. Of each map, N being its matches (`match_anchors`):

    box: `1/N sum (1 - CIoU)`;
    objectness: the mean over all cells and anchors of `BCE(t_objectness, o)`, times the balance of the map, where o is
    the CIoU of the match there, 0 at least, as a constant (of several the largest), and 0 where there is none;
    classes: the mean over matches and classes of `BCE(t_class, 1 for the box's class, else 0)`; none with one class.

    Each is summed over maps and multiplied by its gain. Raises DataError (shapes), LabelError (a class that is none),
    NumericsError (a number that is not finite).
    """
    values = [_checked(map_, head, level, len(targets.offsets) - 1) for level, map_ in enumerate(maps)]
    if len(values) != len(head.strides):
        raise DataError(expected("maps", f"{len(head.strides)}, one for each stride", len(values)))
    _check_targets(targets, head)
    batch = len(values[0])
    balances = BALANCES.get(len(values), MORE_MAPS)
    box = objectness = classes = 0.0
    count, gradients = 0, []
    for level, raw in enumerate(values):
        matches = match_anchors(targets, head, level, *raw.shape[1:3])
        gradient = np.zeros_like(raw)
        wanted = np.zeros(raw.shape[:4])
        if len(matches.image):
            at = matches.image, matches.row, matches.column, matches.anchor
            loss, overlap, slopes = _box_loss(raw[at], matches, head.decode)
            box += gains.box * loss
            np.add.at(gradient[..., : BOX - 1], at, gains.box * batch * slopes)
            np.maximum.at(wanted, at, overlap)
            if head.classes > 1:
                marks = np.zeros((len(matches.image), head.classes))
                marks[np.arange(len(marks)), matches.classes] = 1
                loss, slopes = _binary(raw[at][:, BOX:], marks)
                classes += gains.classes * loss
                np.add.at(gradient[..., BOX:], at, gains.classes * batch * slopes)
        loss, slopes = _binary(raw[..., BOX - 1], wanted)
        gain = gains.objectness * balances[level]
        objectness += gain * loss
        gradient[..., BOX - 1] = gain * batch * slopes
        count += len(matches.image)
        gradients.append(gradient.reshape(*raw.shape[:3], -1).astype(np.float32))
    total = (box + objectness + classes) * batch
    return DetectionLoss(total, box, objectness, classes, count), gradients


def _box_loss(raw: Doubles, matches: Matches, decode: str) -> tuple[float, Doubles, Doubles]:
    """The mean of `1 - CIoU`, each CIoU, and the slopes of the mean by the raw numbers `[N, 4]`."""
    boxes, steps = boxes_of(raw[:, : BOX - 1], matches.anchors, decode)
    overlap, slopes = ciou(boxes, matches.boxes)
    return math.fsum((1 - overlap).tolist()) / len(raw), overlap, -slopes * steps / len(raw)


def _binary(raw: Doubles, wanted: Doubles) -> tuple[float, Doubles]:
    """The mean binary cross-entropy of raw numbers and what their sigmoid should be, and its slopes."""
    smaller = exp(-np.abs(raw))
    losses = np.maximum(raw, 0) - raw * wanted + log(1 + smaller)
    share = np.where(raw >= 0, 1.0, smaller) / (1 + smaller)
    return math.fsum(losses.reshape(-1).tolist()) / losses.size, (share - wanted) / losses.size


def _checked(map_: Array, head: DetectionHead, level: int, batch: int) -> Doubles:
    """A map in float64, `[B, H, W, A, 5 + K]`."""
    place, channels = f"maps[{level}]", head.channels(level) if level < len(head.strides) else 0
    if map_.ndim != 4 or map_.shape[0] != batch or map_.shape[3] != channels or not map_.size:
        want = f"[{batch}, H, W, {channels}], as there are targets of {batch} images"
        raise DataError(expected(place, want, Unquoted(f"shape {list(map_.shape)}")))
    if not np.isfinite(map_).all():
        index: Any = np.argwhere(~np.isfinite(map_))[0]
        raise NumericsError(expected(f"{place}{index.tolist()}", "finite numbers", map_[tuple(index)]))
    return map_.reshape(*map_.shape[:3], -1, BOX + head.classes).astype(np.float64)


def _check_targets(targets: BoxTargets, head: DetectionHead) -> None:
    wrong = np.flatnonzero((targets.classes < 0) | (targets.classes >= head.classes))
    if wrong.size:
        at = int(wrong[0])
        raise LabelError(expected(f"targets.classes[{at}]", f"0 to {head.classes - 1}", int(targets.classes[at])))
    flat = np.flatnonzero(~(targets.boxes[:, 2:] > targets.boxes[:, :2]).all(1))
    if flat.size:
        got = Unquoted(f"{targets.boxes[flat[0]].tolist()}")
        raise DataError(expected(f"targets.boxes[{flat[0]}]", "left < right and top < bottom", got))
