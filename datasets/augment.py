"""Which random changes are made to the images of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import number, whole

from .autoaugment import autoaugment
from .nda import MOST, nda
from .randaugment import MOST_MAGNITUDE, randaugment
from .random_erasing import random_erasing
from .resized_crop import resized_crop
from .transforms import cutout, random_crop, random_flip

MAGNITUDE = 9
"""RandAugment's, of 10, as Spikingformer is trained with."""


@dataclass(frozen=True)
class Augment:
    """Which changes are made, in this order: a part of at least the share `resized_crop` of the area (0: all of it)
    stretched to the whole, crop after `crop` pixels of padding, flip, AutoAugment's CIFAR policy, `randaugment`
    operations of RandAugment at `magnitude` (of 10), Neuromorphic Data Augmentation of frames of events at the
    magnitude `nda`, a hole of `cutout` pixels, with the chance `erasing` a rectangle that is erased.

    Raises ConfigError for a negative or fractional size, a share or chance that is not 0 to 1, a flip or policy that is
    not true or false, a magnitude that is not 0 (none) to 3, or to 10 of RandAugment.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    autoaugment: bool = False
    nda: int = 0
    resized_crop: float = 0.0
    randaugment: int = 0
    magnitude: int = MAGNITUDE
    erasing: float = 0.0

    def __post_init__(self) -> None:
        """Check every field."""
        plain_fields(self)
        whole("augment.crop", self.crop, 0)
        whole("augment.cutout", self.cutout, 0)
        number("augment.resized_crop", self.resized_crop, 0, 1)
        number("augment.erasing", self.erasing, 0, 1)
        whole("augment.randaugment", self.randaugment, 0)
        if whole("augment.magnitude", self.magnitude, 0) > MOST_MAGNITUDE:
            raise ConfigError(expected("augment.magnitude", f"0 to {MOST_MAGNITUDE}", self.magnitude))
        if whole("augment.nda", self.nda, 0) > MOST:
            raise ConfigError(expected("augment.nda", f"0 to {MOST}", self.nda))
        for name in ("flip", "autoaugment"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(expected(f"augment.{name}", "true or false", getattr(self, name)))

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        given = (self.resized_crop, self.crop, self.flip, self.autoaugment, self.randaugment, self.nda, self.cutout)
        return any((*given, self.erasing))

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        """The changed images, same shape; the same generator state gives the same images."""
        if self.resized_crop:
            images = resized_crop(images, self.resized_crop, rng)
        if self.crop:
            images = random_crop(images, self.crop, rng)
        if self.flip:
            images = random_flip(images, rng)
        if self.autoaugment:
            images = autoaugment(images, rng)
        if self.randaugment:
            images = randaugment(images, self.randaugment, self.magnitude, rng)
        if self.nda:
            images = nda(images, self.nda, rng)
        if self.cutout:
            images = cutout(images, self.cutout, rng)
        if self.erasing:
            images = random_erasing(images, self.erasing, rng)
        return images
