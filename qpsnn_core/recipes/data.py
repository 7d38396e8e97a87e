"""The table [data] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.common.validation import check, choices, least, typed

BY = ("time", "count")


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how those that are trained on are changed.

    name: of a set that `load_data` knows, "" where none is named: nothing stands in for it. path: of its folder or
    file, "" for digits; a relative one starts where the command runs. limit: at most so many images of each part, 0 for
    all. crop: pixels of zero padding before a random crop. flip: mirror half of the images. cutout: side of the erased
    square, 0 for none. autoaugment: AutoAugment's CIFAR policy. nda: magnitude of Neuromorphic Data Augmentation of
    frames of events, 1 to 3, 0 for none. resized_crop: the least share of the area that is cut out and stretched to the
    whole, 0 for none.
    frames, size: of a store of recordings (name "events"): frames of equal "time" or of equally many events ("count"),
    as many as the network has steps, on a sensor of size x size pixels, 0 for its own.
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
    frames: str = "time"
    size: int = 0

    def __post_init__(self) -> None:
        typed(self)
        least(self, limit=0, crop=0, cutout=0, nda=0, size=0)
        choices(self, frames=BY)
        check(self, "resized_crop", 0 <= self.resized_crop <= 1, "a number from 0 to 1")
        check(self, "path", bool(self.name) or not self.path, '"", as no set is named beside it (data.name)')
