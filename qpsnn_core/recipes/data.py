"""The table [data] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from qpsnn_core.common.detection import DECODES
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.tasks import TASKS
from qpsnn_core.common.validation import check, check_at_least, choices, least, place, typed

BY = ("time", "count")
CODINGS = ("", "direct", "poisson", "latency", "delta")

BOXES = ("voc", "coco", "yolo", "vhr10", "ssdd", "gen1")
"""The names of sets with boxes."""

SIZED = ("folder", *BOXES)
"""Those of which a size may be height and width."""

Scale = float | str
"""A number, or "measured"."""

Size = int | tuple[int, int]
"""A side, or height and width."""


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how those that are trained on are changed.

    name: of a set that `load_data` knows, "" where none is named: nothing stands in for it. path: of its folder or
    file, "" for digits; a relative one starts where the command runs. limit: at most so many images of each part, 0 for
    all. crop: pixels of zero padding before a random crop. flip: mirror half of the images. cutout: side of the erased
    square, 0 for none. autoaugment: AutoAugment's CIFAR policy. nda: magnitude of Neuromorphic Data Augmentation of
    frames of events, 1 to 3, 0 for none. resized_crop: the least share of the area that is cut out and stretched to the
    whole, 0 for none. randaugment: so many operations of RandAugment on each image, at `magnitude` of 10; 0 for none.
    erasing: the chance that a rectangle of an image is erased.
    frames, size: of a store of recordings (name "events"): frames of equal "time" or of equally many events ("count"),
    as many as the network has steps, on a sensor of size x size pixels, 0 for its own.
    Of your own data (names "arrays", "folder", "saved"): test, validation: the shares that are held out, drawn by
    `split_seed`, 0 where the set has such parts. channels, series, scale, task (arrays): as `Dataset.from_arrays` takes
    them. size (a side, or height and width), resize, colour (folder): as `Dataset.from_folder` does.
    coding: of images or series as spikes, as of `encode`; "" and "direct": none. Its steps are those of the network;
    coding_seed: of "poisson"; coding_threshold: of "delta", at least 1 there.
    Of sets with boxes (names of BOXES): size, test, split_seed as above. anchors: so many are fit to the boxes of the
    training part, as many as the network's readouts have in all. decode: of `DetectionHead`. Changes of images with
    their boxes: flip; mosaic: the chance of four images in one; zoom, shift: of the scale, and of the place, at most;
    hue, saturation, brightness: of colours, at most.
    """

    name: str = ""
    path: str = ""
    limit: int = 0
    crop: int = 0
    flip: bool = False
    cutout: int = 0
    autoaugment: bool = False
    nda: int = 0
    resized_crop: float = 0.0
    randaugment: int = 0
    magnitude: int = 9
    erasing: float = 0.0
    frames: str = "time"
    size: Size = 0
    test: float = 0.0
    validation: float = 0.0
    split_seed: int = 0
    channels: str = ""
    series: str = ""
    scale: Scale = 0.0
    resize: str = ""
    colour: str = ""
    task: str = ""
    coding: str = field(default="", metadata=ADDED_LATER)
    coding_seed: int = field(default=0, metadata=ADDED_LATER)
    coding_threshold: int = field(default=0, metadata=ADDED_LATER)
    anchors: int = field(default=0, metadata=ADDED_LATER)
    decode: str = field(default="v5", metadata=ADDED_LATER)
    mosaic: float = field(default=0.0, metadata=ADDED_LATER)
    zoom: float = field(default=0.0, metadata=ADDED_LATER)
    shift: float = field(default=0.0, metadata=ADDED_LATER)
    hue: float = field(default=0.0, metadata=ADDED_LATER)
    saturation: float = field(default=0.0, metadata=ADDED_LATER)
    brightness: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        least(
            self,
            anchors=0,
            limit=0,
            crop=0,
            cutout=0,
            nda=0,
            split_seed=0,
            coding_seed=0,
            coding_threshold=0,
            randaugment=0,
        )
        check(self, "magnitude", type(self.magnitude) is int and 0 <= self.magnitude <= 10, "an integer from 0 to 10")
        check(self, "erasing", 0 <= self.erasing <= 1, "a chance from 0 to 1")
        self._check_size()
        choices(self, decode=DECODES, frames=BY, channels=("", "last", "first"), series=("", "frames", "map"))
        choices(self, task=("", *TASKS), resize=("", "crop", "stretch", "pad"), colour=("", "gray", "rgb"))
        check(self, "test", 0 <= self.test < 1, "a share from 0 to less than 1")
        check(self, "validation", 0 <= self.validation < 1, "a share from 0 to less than 1")
        number = type(self.scale) in (int, float)
        valid = self.scale == "measured" or (number and 0 <= float(self.scale) < math.inf)
        check(self, "scale", valid, 'a positive number, "measured", or 0 for bytes as they are')
        check(self, "resized_crop", 0 <= self.resized_crop <= 1, "a number from 0 to 1")
        for name in ("mosaic", "shift", "hue", "saturation", "brightness"):
            check(self, name, 0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        check(self, "zoom", 0 <= self.zoom <= 0.9, "a number from 0 to 0.9")
        check(self, "path", bool(self.name) or not self.path, '"", as no set is named beside it (data.name)')

        self._check_coding()

    @property
    def coded(self) -> dict[str, int] | None:
        """The options of `encode` besides steps, where there is a coding."""
        if self.coding in ("", "direct"):
            return None
        return {
            **({"seed": self.coding_seed} if self.coding == "poisson" else {}),
            **({"threshold": self.coding_threshold} if self.coding == "delta" else {}),
        }

    def _check_coding(self) -> None:
        choices(self, coding=CODINGS)
        check(self, "coding_seed", not self.coding_seed or self.coding == "poisson", '0, as coding is not "poisson"')
        if self.coding == "delta":
            check(self, "coding_threshold", self.coding_threshold >= 1, 'at least 1, as coding is "delta"')
        else:
            check(self, "coding_threshold", not self.coding_threshold, '0, as coding is not "delta"')

    def _check_size(self) -> None:
        where = place(self, "size")
        if not isinstance(self.size, tuple):
            check_at_least(where, self.size, 0)
            return
        check(self, "size", self.name in SIZED, "one side, as pictures of a folder, or with boxes, alone can have two")
        check(self, "size", len(self.size) == 2, "a side, or height and width")
        for index, side in enumerate(self.size):
            check_at_least(f"{where}[{index}]", side, 1)
