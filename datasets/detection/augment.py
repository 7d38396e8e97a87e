"""Random changes of images and their boxes: mosaic, scale and shift, flip, colours; each by (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Doubles, Images, Longs
from qpsnn_core.common.validation import number
from qpsnn_core.kernels.pictures import resample, shift_colours

from ..seeding import BOXES, uniforms
from .letterbox import GREY
from .schema import DetectionDataset

LEAST_SIDE = 2.0
LEAST_SHARE = 0.1
LARGEST_ASPECT = 100.0
"""A box that was cut stays if its sides are longer, more of its area is left, and one side is less than so many times
the other, as in YOLOv5."""

DRAWS = 16
"""Random numbers of a sample, whichever changes are made: each has its own place."""
MIX, CENTRE, OTHERS, SCALE, SHIFT, FLIP, COLOURS = 0, 1, 3, 6, 7, 9, 10


class Sample(NamedTuple):
    """images: uint8 `[H, W, C]` or `[T, H, W, C]`. edges: float64 `[M, 4]`, in its pixels. classes: int64 `[M]`."""

    images: Images
    edges: Doubles
    classes: Longs


@dataclass(frozen=True)
class DetectionAugment:
    """Which changes are made, in this order; 0 makes none.

    mosaic: the probability that an image is put together with three others around a point of a canvas of twice the
    sides, drawn from its inner half. scale: the image (or canvas) is scaled about its middle by 1 - scale to 1 + scale.
    translate: then shifted by up to that share of the sides. flip: the probability that left and right are exchanged.
    hue, saturation, value: by how much these are changed, as a share, at most (images of three channels).
    `YOLO` has YOLOv5's numbers. Raises ConfigError.
    """

    mosaic: float = 0.0
    scale: float = 0.0
    translate: float = 0.0
    flip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    value: float = 0.0

    def __post_init__(self) -> None:
        """Check every field."""
        plain_fields(self)
        for name in ("mosaic", "flip", "hue", "saturation", "value", "translate"):
            number(f"augment.{name}", getattr(self, name), 0, 1)
        number("augment.scale", self.scale, 0, 0.9)

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    def __call__(self, dataset: DetectionDataset, index: int, seed: int, epoch: int) -> Sample:
        """Image `index` changed, with the boxes that are left of it; crowds are left out.

        Raises DataError: colours of images that do not have three channels.
        """
        draws = uniforms(DRAWS, seed, BOXES, epoch, index)
        if self.mosaic and draws[MIX] < self.mosaic:
            others = (draws[OTHERS : OTHERS + 3] * len(dataset)).astype(np.int64)
            sample = mosaic(dataset, [index, *others.tolist()], draws[CENTRE : CENTRE + 2])
        else:
            sample = plain_sample(dataset, index)
        size = dataset.image_shape[:2]
        if self.scale or self.translate or sample.images.shape[-3:-1] != size:
            scale = 1 + self.scale * (2 * draws[SCALE] - 1)
            shifts = self.translate * (2 * draws[SHIFT : SHIFT + 2] - 1)
            sample = moved(sample, size, float(scale), shifts)
        if self.flip and draws[FLIP] < self.flip:
            sample = flipped(sample)
        if self.hue or self.saturation or self.value:
            most = np.array([self.hue, self.saturation, self.value])
            sample = coloured(sample, 1 + most * (2 * draws[COLOURS : COLOURS + 3] - 1))
        return sample


YOLO = DetectionAugment(mosaic=1.0, scale=0.5, translate=0.1, flip=0.5, hue=0.015, saturation=0.7, value=0.4)


def plain_sample(dataset: DetectionDataset, index: int) -> Sample:
    """An image as it is, with its boxes; crowds are left out."""
    edges, classes, _ = dataset.targets(np.array([index], np.int64))
    return Sample(dataset.images[index], edges.astype(np.float64), classes)


def mosaic(dataset: DetectionDataset, indices: list[int], centre: Doubles) -> Sample:
    """Four images around a point of a canvas of twice their sides: left above, right above, left below, right below.

    The letterboxes' borders are left out. centre: shares of the sides, from a quarter to three quarters of the canvas.
    """
    height, width, channels = dataset.image_shape
    canvas = np.full((*dataset.images.shape[1:-3], 2 * height, 2 * width, channels), fill_of(dataset.images), np.uint8)
    down, across = (int(side / 2 + share * side) for side, share in zip((height, width), centre.tolist(), strict=True))
    edges, classes = [], []
    for place, index in enumerate(indices):
        sample = plain_sample(dataset, index)
        left, top, columns, rows = dataset.letterboxes.inner[index].tolist()
        x, y = (across - columns, across)[place % 2], (down - rows, down)[place // 2]
        first_x, first_y = max(0, -x), max(0, -y)
        last_x, last_y = min(columns, 2 * width - x), min(rows, 2 * height - y)
        canvas[..., y + first_y : y + last_y, x + first_x : x + last_x, :] = sample.images[
            ..., top + first_y : top + last_y, left + first_x : left + last_x, :
        ]
        edges.append(sample.edges + np.array([x - left, y - top] * 2))
        classes.append(sample.classes)
    cut, kept = clipped(np.concatenate(edges), (2 * height, 2 * width))
    return Sample(canvas, cut, np.concatenate(classes)[kept])


def moved(sample: Sample, size: tuple[int, int], scale: float, shifts: Doubles) -> Sample:
    """Scaled about the middle, whose place in an image of `size` is shifted by shares of its sides (across, down).

    Frames of events are taken to the nearest pixel, as their counts stay counts.
    """
    old = sample.images.shape[-3:-1]
    right, down = (
        side * (0.5 + shift) - scale * before / 2
        for side, before, shift in zip(size[::-1], old[::-1], shifts.tolist(), strict=True)
    )
    frames = sample.images.reshape(-1, *sample.images.shape[-3:])
    out = np.empty((len(frames), *size, frames.shape[-1]), np.uint8)
    events = sample.images.ndim == 4
    resample(np.ascontiguousarray(frames), scale, down, right, events, fill_of(sample.images[np.newaxis]), out)
    cut, kept = clipped(sample.edges * scale + np.array([right, down] * 2), size)
    return Sample(out.reshape(*sample.images.shape[:-3], *out.shape[1:]), cut, sample.classes[kept])


def flipped(sample: Sample) -> Sample:
    """Left and right exchanged."""
    width = sample.images.shape[-2]
    edges = sample.edges[:, [2, 1, 0, 3]].copy()
    edges[:, [0, 2]] = width - edges[:, [0, 2]]
    return Sample(np.ascontiguousarray(sample.images[..., ::-1, :]), edges, sample.classes)


def coloured(sample: Sample, gains: Doubles) -> Sample:
    """Hue, saturation and value times `gains` `[3]`. DataError: an image that does not have three channels."""
    if sample.images.ndim != 3 or sample.images.shape[-1] != 3:
        got = Unquoted(f"shape {list(sample.images.shape)}")
        raise DataError(expected("augment.hue, saturation, value", "images [H, W, 3], in colour", got))
    out = sample.images.copy()
    shift_colours(out.reshape(-1, 3), *gains.tolist())
    return sample._replace(images=out)


def clipped(edges: Doubles, size: tuple[int, int]) -> tuple[Doubles, Longs]:
    """The boxes cut at the edges of an image, as far as enough is left of them, and which they are."""
    height, width = size
    cut = np.clip(edges, 0, np.array([width, height] * 2, np.float64))
    sides, before = cut[:, 2:] - cut[:, :2], edges[:, 2:] - edges[:, :2]
    share = sides[:, 0] * sides[:, 1] / (before[:, 0] * before[:, 1])
    aspect = sides.max(1) / np.maximum(sides.min(1), LEAST_SIDE)
    kept = np.flatnonzero((sides > LEAST_SIDE).all(1) & (share > LEAST_SHARE) & (aspect < LARGEST_ASPECT))
    return cut[kept], kept


def fill_of(images: Images) -> int:
    """What lies beyond an image: grey; no events, beyond frames."""
    return 0 if images.ndim == 5 else GREY


def samples(
    dataset: DetectionDataset, indices: Longs, augment: DetectionAugment | None, seed: int | None, epoch: int
) -> Iterator[Sample]:
    """The images of a batch, changed if there is an `augment` (then with a seed)."""
    for index in indices.tolist():
        if augment and seed is not None:
            yield augment(dataset, index, seed, epoch)
        else:
            yield plain_sample(dataset, index)
