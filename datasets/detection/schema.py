"""A set of images with boxes as data: checked once, when it is made, and then trusted everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qpsnn_core.common.detection import DECODES, BoxTargets
from qpsnn_core.common.errors import DataError, LabelError, Unquoted, expected
from qpsnn_core.common.tasks import DETECTION
from qpsnn_core.common.types import Array, Doubles, Images, Longs
from qpsnn_core.common.validation import check_choice

from ..schema import Dataset
from .boxes import Boxes, BoxReport
from .letterbox import Letterboxes


def no_boxes() -> Boxes:
    """Boxes of no image."""
    none, flags = np.zeros(0), np.zeros(0, np.bool_)
    return Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(1, np.int64), flags, flags, none)


def no_letterboxes() -> Letterboxes:
    """Of no image."""
    return Letterboxes(np.zeros((0, 2), np.int64), np.zeros((0, 4), np.int64))


@dataclass(frozen=True, eq=False, repr=False)
class DetectionDataset(Dataset):
    """A Dataset with boxes; `with_boxes` makes one.

    images: uint8 `[N, H, W, C]`, or frames of events `[N, T, H, W, C]`, all of one size. labels: int64 `[N]`, how many
    boxes each has. boxes: in pixels of the images as they were. letterboxes: how these were brought to that size.
    files: the name of each image. report: what was wrong with boxes. anchors: (width, height) of each, in pixels of
    `images`, by rising area, none for a set that no detector is trained on yet; decode: of `DetectionHead`.
    Raises DataError, LabelError, ConfigError.
    """

    boxes: Boxes = field(default_factory=no_boxes)
    letterboxes: Letterboxes = field(default_factory=no_letterboxes)
    files: tuple[str, ...] = ()
    report: BoxReport = field(default_factory=BoxReport)
    anchors: tuple[tuple[float, float], ...] = ()
    decode: str = "v5"

    def _check_labels(self) -> None:
        """Boxes, letterboxes and files of every image, classes that there are."""
        check_choice(f"{self.name}.task", self.task, (DETECTION,))
        check_choice(f"{self.name}.decode", self.decode, DECODES)
        if self.images.dtype != np.uint8:
            raise DataError(expected(f"{self.name}.images", "uint8", self.images.dtype))
        for what in ("boxes", "letterboxes", "files"):
            count = len(getattr(self, what))
            if count != len(self.images):
                want = f"of {len(self.images)} images"
                raise DataError(expected(f"{self.name}.{what}", want, Unquoted(f"of {count}")))
        wrong = np.flatnonzero((self.boxes.classes < 0) | (self.boxes.classes >= len(self.classes)))
        if wrong.size:
            want = f"0 to {len(self.classes) - 1}"
            got = int(self.boxes.classes[wrong[0]])
            raise LabelError(expected(f"{self.name}.boxes.classes[{wrong[0]}]", want, got))
        object.__setattr__(self, "labels", np.diff(self.boxes.offsets))

    def __repr__(self) -> str:
        """Name, shape, and numbers of boxes and classes, not the pixels."""
        count, kinds = len(self.boxes.classes), len(self.classes)
        return f"DetectionDataset({self.name!r}, images={self.images.shape}, boxes={count}, classes={kinds})"

    @property
    def annotations(self) -> tuple[Array, ...]:
        """All that is to be predicted, and how: boxes, flags, letterboxes, anchors."""
        boxes, there = self.boxes, self.letterboxes
        flat = (boxes.edges, boxes.classes, boxes.offsets, boxes.difficult, boxes.crowd, boxes.areas)
        coding = np.array([DECODES.index(self.decode), *(side for pair in self.anchors for side in pair)], np.float64)
        return (*flat, there.sizes, there.inner, coding)

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
        """The images at `indices`, integers `[M]` or a mask `[N]`, in that order, with their boxes; DataError."""
        at = self._chosen(indices) % len(self)
        files = tuple(self.files[one] for one in at.tolist())
        chosen = set(files)
        report = BoxReport([one for one in self.report.dropped if one.image in chosen], self.report.clipped)
        parts = {"images": self.images[at], "boxes": self.boxes.take(at), "letterboxes": self.letterboxes.take(at)}
        return replace(self, **parts, labels=self.labels[at], files=files, report=report, origin={})


def with_boxes(
    images: Images,
    boxes: Boxes,
    letterboxes: Letterboxes,
    classes: Sequence[str],
    *,
    files: Sequence[str] = (),
    name: str = "boxes",
    report: BoxReport | None = None,
    anchors: Sequence[tuple[float, float]] = (),
    decode: str = "v5",
) -> DetectionDataset:
    """Images with boxes as a set. files: else their numbers. Others, and what it raises, as of DetectionDataset."""
    named = tuple(files) or tuple(map(str, range(len(images))))
    own = BoxReport() if report is None else report
    flat = tuple((float(width), float(height)) for width, height in anchors)
    labels = np.zeros(len(images), np.int64)  # counted when the set is made
    return DetectionDataset(
        images,
        labels,
        tuple(classes),
        name,
        task=DETECTION,
        boxes=boxes,
        letterboxes=letterboxes,
        files=named,
        report=own,
        anchors=flat,
        decode=decode,
    )
