"""A set of images with boxes as data: checked once, when it is made, and then trusted everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qpsnn_core.common.detection import BoxTargets
from qpsnn_core.common.errors import ConfigError, DataError, LabelError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Images, Longs
from qpsnn_core.common.validation import number

from ..schema import check_images
from ..seeding import LIMIT, SPLIT, permutation
from .boxes import Boxes, BoxReport
from .letterbox import Letterboxes

LIMIT_SEED = 0


@dataclass(frozen=True, eq=False)
class DetectionDataset:
    """Images with boxes.

    images: uint8 `[N, H, W, C]`, or frames of events `[N, T, H, W, C]`, all of one size. boxes: in pixels of the images
    as they were. letterboxes: how these were brought to that size. classes: the name of each. files: the name of each
    image. name: that messages use. report: what was wrong with boxes. Raises DataError, LabelError.
    """

    images: Images
    boxes: Boxes
    letterboxes: Letterboxes
    classes: tuple[str, ...]
    files: tuple[str, ...]
    name: str
    report: BoxReport

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "images", check_images(self.images, f"{self.name}.images"))
        if self.images.dtype != np.uint8:
            raise DataError(expected(f"{self.name}.images", "uint8", self.images.dtype))
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise DataError(
                expected(f"{self.name}.classes", "distinct names, at least one", Unquoted(f"{self.classes}"))
            )
        for what in ("boxes", "letterboxes", "files"):
            count = len(getattr(self, what))
            if count != len(self.images):
                raise DataError(
                    expected(f"{self.name}.{what}", f"of {len(self.images)} images", Unquoted(f"of {count}"))
                )
        wrong = np.flatnonzero((self.boxes.classes < 0) | (self.boxes.classes >= len(self.classes)))
        if wrong.size:
            want = f"0 to {len(self.classes) - 1}"
            got = int(self.boxes.classes[wrong[0]])
            raise LabelError(expected(f"{self.name}.boxes.classes[{wrong[0]}]", want, got))

    def __len__(self) -> int:
        """The number of images N."""
        return len(self.images)

    def __repr__(self) -> str:
        """Name, shape, and numbers of boxes and classes, not the pixels."""
        count, kinds = len(self.boxes.classes), len(self.classes)
        return f"DetectionDataset({self.name!r}, images={self.images.shape}, boxes={count}, classes={kinds})"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of an image, or of a frame: what `build` takes."""
        height, width, channels = self.images.shape[-3:]
        return height, width, channels

    def edges(self, image: int) -> Doubles:
        """The boxes of an image in pixels of the network's input, float64 `[M, 4]`."""
        return self.letterboxes.there(image, self.boxes.edges[self.boxes.of(image)])

    def sides(self) -> Doubles:
        """Width and height of every box in pixels of the network's input, float64 `[M, 2]`: what anchors are fit to."""
        found = [self.edges(image) for image in range(len(self))]
        edges = np.concatenate(found) if found else np.zeros((0, 4))
        return edges[:, 2:] - edges[:, :2]

    def targets(self, indices: Longs) -> BoxTargets:
        """The boxes of some images, those that are crowds left out, as a loss takes them."""
        edges, classes, counts = [], [], [0]
        for image in indices.tolist():
            rows = self.boxes.of(image)
            alone = ~self.boxes.crowd[rows]
            edges.append(self.edges(image)[alone])
            classes.append(self.boxes.classes[rows][alone])
            counts.append(counts[-1] + int(alone.sum()))
        joined = np.concatenate(edges) if edges else np.zeros((0, 4))
        kinds = np.concatenate(classes) if classes else np.zeros(0, np.int64)
        return BoxTargets(joined.astype(np.float32), kinds, np.array(counts, np.int64))

    def take(self, indices: Any) -> DetectionDataset:
        """The images at `indices`, integers `[M]`, in that order, with their boxes; DataError out of range."""
        at = np.asarray(indices)
        if at.ndim != 1 or at.dtype.kind not in "iu" or (at.size and not 0 <= at.min() <= at.max() < len(self)):
            got = Unquoted(f"{at.dtype} {list(at.shape)}")
            raise DataError(expected(f"{self.name}.take.indices", f"integers [M], 0 to {len(self) - 1}", got))
        files = tuple(self.files[one] for one in at.tolist())
        chosen = set(files)
        report = BoxReport([one for one in self.report.dropped if one.image in chosen], self.report.clipped)
        parts = {"images": self.images[at], "boxes": self.boxes.take(at), "letterboxes": self.letterboxes.take(at)}
        return replace(self, **parts, files=files, report=report)

    def split(self, fraction: float, seed: int) -> DetectionSplit:
        """Hold out `fraction` of the images as `test`, drawn by `seed`; both parts keep their order. ConfigError."""
        count = round(number(f"{self.name}.split.fraction", fraction, 0, 1) * len(self))
        if not 0 < count < len(self):
            want = f"a share that leaves both parts an image of {len(self)}"
            raise ConfigError(expected(f"{self.name}.split.fraction", want, fraction))
        drawn = permutation(len(self), seed, SPLIT)
        return DetectionSplit(self.take(np.sort(drawn[count:])), self.take(np.sort(drawn[:count])))


@dataclass(frozen=True, eq=False)
class DetectionSplit:
    """What is trained on, and what is only measured; iterating gives these two.

    validation: what training measures after every epoch; None: the test part.
    """

    train: DetectionDataset
    test: DetectionDataset
    validation: DetectionDataset | None = None

    def __iter__(self) -> Iterator[DetectionDataset]:
        """The training part, then the test part."""
        return iter((self.train, self.test))

    @property
    def parts(self) -> dict[str, DetectionDataset]:
        """All that there are, by name."""
        there = {"train": self.train, "test": self.test}
        return there if self.validation is None else {**there, "validation": self.validation}


def limited(count: int, limit: int | None) -> Longs:
    """`limit` of `count` images, rising, always the same ones; None: all."""
    every = np.arange(count, dtype=np.int64)
    return every if limit is None or limit >= count else np.sort(permutation(count, LIMIT_SEED, LIMIT)[:limit])
