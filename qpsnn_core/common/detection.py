"""What a detector's maps mean (its head), and the boxes that they are trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.elementary import log
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Floats, Longs
from qpsnn_core.common.validation import check_at_least, check_choice, whole

DECODES = ("v3", "v5")
"""How raw numbers become boxes: as in YOLOv3 (Redmon and Farhadi 2018, arXiv:1804.02767), or as in YOLOv5."""

BOX = 5
"""Numbers of an anchor before those of the classes: x, y, w, h, objectness."""

Anchors = tuple[tuple[tuple[float, float], ...], ...]
"""(width, height) in pixels of each anchor of each map."""

LARGEST_RATIO = 4.0
"""A box matches an anchor if no side of one is this many times that of the other."""

REFERENCE = 640
"""The side of the images, in pixels, for which the default anchors were published."""

EMS_STRIDES = (16, 32)
EMS_ANCHORS: Anchors = (((10, 14), (23, 27), (37, 58)), ((81, 82), (135, 169), (344, 319)))
"""EMS-YOLO's two maps (Su et al. 2023, arXiv:2307.11411), those of YOLOv3-tiny."""
GEN1_ANCHORS: Anchors = (EMS_ANCHORS[0], ((81, 82), (135, 169), (216, 269)))
"""Likewise, for Prophesee's Gen1, whose images are of 320 pixels."""


@dataclass(frozen=True)
class DetectionHead:
    """How the maps of a detector are read, the finest first.

    classes: their number K. strides: pixels of the image per cell of each map. anchors: `Anchors`, one tuple for each
    map. A map is `[B, H, W, A*(5 + K)]`: for each of A anchors x, y, w, h, objectness, then the classes. With one class
    objectness alone is the score. decode: with `s = 1/(1 + exp(-t))`,

    "v5": `cx = (2 s_x - 0.5 + column) stride`, `w = (2 s_w)**2 anchor`; likewise cy and h;
    "v3": `cx = (s_x + column) stride`, `w = exp(t_w) anchor`.

    Raises ConfigError.
    """

    classes: int
    strides: tuple[int, ...] = EMS_STRIDES
    anchors: Anchors = EMS_ANCHORS
    decode: str = "v5"

    def __post_init__(self) -> None:
        """Check every field."""
        plain_fields(self)
        check_at_least("head.classes", self.classes, 1)
        check_choice("head.decode", self.decode, DECODES)
        object.__setattr__(self, "strides", _strides(self.strides))
        object.__setattr__(self, "anchors", _anchors(self.anchors, len(self.strides)))

    def channels(self, level: int) -> int:
        """Channels of the map of that index."""
        return len(self.anchors[level]) * (BOX + self.classes)

    def shape(self, level: int, height: int, width: int) -> tuple[int, int]:
        """(H, W) of the map of that index, of images of that size, which its stride divides; ConfigError otherwise."""
        stride = self.strides[level]
        for name, side in (("height", height), ("width", width)):
            if side % stride:
                raise ConfigError(expected(f"image.{name}", f"a multiple of the stride {stride}", side))
        return height // stride, width // stride

    def scaled(self, size: int) -> DetectionHead:
        """The same with anchors for images of `size` pixels instead of REFERENCE."""
        share = whole("size", size, 1) / REFERENCE
        anchors = tuple(tuple((w * share, h * share) for w, h in one) for one in self.anchors)
        return DetectionHead(self.classes, self.strides, anchors, self.decode)

    def start_bias(self, size: int) -> tuple[Floats, ...]:
        """The bias of each map to start from, for images of `size` pixels: float32 `[A*(5 + K)]`.

        Objectness `log(8 / (size / stride)**2)`, about 8 boxes an image (Lin et al. 2017, arXiv:1708.02002, Sec. 3.3);
        classes `log(0.6 / (K - 1))`; 0 elsewhere, and where K = 1. Added to a random bias in YOLOv5.
        """
        found = []
        for level, stride in enumerate(self.strides):
            bias = np.zeros((len(self.anchors[level]), BOX + self.classes), np.float32)
            bias[:, BOX - 1] = log(8 / (size / stride) ** 2)
            if self.classes > 1:
                bias[:, BOX:] = log(0.6 / (self.classes - 1))
            found.append(bias.reshape(-1))
        return tuple(found)


class BoxTargets(NamedTuple):
    """The boxes of a batch, those of image b being rows `offsets[b]` to `offsets[b + 1] - 1`.

    boxes: float32 `[M, 4]`, left, top, right, bottom in pixels of the network's input. classes: int64 `[M]`.
    offsets: int64 `[B + 1]`.
    """

    boxes: Floats
    classes: Longs
    offsets: Longs


def _strides(strides: object) -> tuple[int, ...]:
    if not isinstance(strides, (tuple, list)) or not strides:
        raise ConfigError(expected("head.strides", "the stride of each map, at least one", Unquoted(f"{strides}")))
    found = tuple(whole(f"head.strides[{level}]", one, 1) for level, one in enumerate(strides))
    if any(fine >= coarse for fine, coarse in pairwise(found)):
        raise ConfigError(expected("head.strides", "rising numbers, the finest map first", Unquoted(f"{found}")))
    return found


def _anchors(anchors: object, maps: int) -> Anchors:
    if not isinstance(anchors, (tuple, list)) or len(anchors) != maps:
        got = len(anchors) if isinstance(anchors, (tuple, list)) else anchors
        raise ConfigError(expected("head.anchors", f"anchors of each of {maps} maps", Unquoted(f"{got}")))
    found = []
    for level, one in enumerate(anchors):
        if not isinstance(one, (tuple, list)) or not one:
            raise ConfigError(expected(f"head.anchors[{level}]", "at least one (width, height)", Unquoted(f"{one}")))
        for index, pair in enumerate(one):
            valid = isinstance(pair, (tuple, list)) and len(pair) == 2
            if not valid or not all(isinstance(side, (int, float)) and 0 < side < math.inf for side in pair):
                place = f"head.anchors[{level}][{index}]"
                raise ConfigError(expected(place, "a positive width and height, in pixels", Unquoted(f"{pair}")))
        found.append(tuple((float(w), float(h)) for w, h in one))
    return tuple(found)
