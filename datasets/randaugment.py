"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719): a few operations drawn evenly, all at one magnitude."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, expected
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import whole

from .autoaugment import HIGHEST, operations_of
from .schema import check_images

OPERATIONS = (
    "identity",
    "auto_contrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""The paper's 14, with AutoAugment's ranges."""

MOST_MAGNITUDE = 10


def randaugment(images: Images, count: int, magnitude: int, rng: np.random.Generator) -> Images:
    """`count` operations on each image `[B, H, W, 3]`, uint8, at a tenth of `magnitude` of their range, 0 to 10.

    Directions are drawn evenly, where there are two. Spikingformer is trained with one operation at magnitude 9.
    Raises DataError (other images, or Pillow is missing), ConfigError (a count, or a magnitude).
    """
    whole("randaugment.count", count, 1)
    if whole("randaugment.magnitude", magnitude, 0) > MOST_MAGNITUDE:
        raise ConfigError(expected("randaugment.magnitude", f"0 to {MOST_MAGNITUDE}", magnitude))
    if check_images(images).ndim != 4 or images.shape[-1] != 3:
        raise DataError(expected("randaugment.images", "[B, H, W, 3], in colour", list(images.shape)))
    pillow, operations = operations_of("randaugment")
    chosen = rng.integers(len(OPERATIONS), size=(len(images), count)).tolist()
    signs = rng.choice((-1, 1), (len(images), count)).tolist()
    out = images.copy()
    for place, (own, directions) in enumerate(zip(chosen, signs, strict=True)):
        image = pillow.fromarray(images[place])
        for number, sign in zip(own, directions, strict=True):
            if OPERATIONS[number] != "identity":
                image = operations[OPERATIONS[number]](image, HIGHEST * magnitude / MOST_MAGNITUDE, sign)
        out[place] = np.asarray(image)
    return out
