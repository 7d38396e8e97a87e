"""AutoAugment's CIFAR-10 policy (Cubuk et al. 2018, arXiv:1805.09501, Tables 6 and 7), with Pillow's operations.

Each image goes through one of 25 pairs, drawn evenly; each operation of the pair is done with its own probability, at
one of ten magnitudes, which for those that have a direction is drawn positive or negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.install import install_command
from qpsnn_core.common.types import Images

from .schema import check_images

Step = tuple[str, float, int]

POLICY: tuple[tuple[Step, Step], ...] = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("auto_contrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("color", 0.9, 9), ("equalize", 0.6, 6)),
    (("auto_contrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("auto_contrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("auto_contrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 1)),
)
"""Table 7: (operation, probability, magnitude 0 to 9), twice. A magnitude says nothing where none is used."""

HIGHEST = 9
"""The largest magnitude."""

GREY = 128
"""What is moved in from beyond the border."""

TRANSLATE = 150 / 331
"""The largest shift, as a part of the side: the paper's 150 pixels are of images of 331."""


def autoaugment(images: Images, rng: np.random.Generator) -> Images:
    """The policy on images `[B, H, W, 3]`, uint8. Raises DataError: other images, or Pillow is missing."""
    if check_images(images).ndim != 4 or images.shape[-1] != 3:
        raise DataError(expected("autoaugment.images", "[B, H, W, 3], in colour", list(images.shape)))
    pillow, operations = operations_of("autoaugment")
    chosen = rng.integers(len(POLICY), size=len(images)).tolist()
    chances = rng.random((len(images), 2)).tolist()
    signs = rng.choice((-1, 1), (len(images), 2)).tolist()
    out = images.copy()
    for place, policy in enumerate(chosen):
        image = None
        for (name, chance, magnitude), drawn, sign in zip(POLICY[policy], chances[place], signs[place], strict=True):
            if drawn < chance:
                image = pillow.fromarray(images[place]) if image is None else image
                image = operations[name](image, magnitude, sign)
        if image is not None:
            out[place] = np.asarray(image)
    return out


def operations_of(place: str) -> tuple[Any, Mapping[str, Callable[[Any, float, int], Any]]]:
    """Table 6: Pillow's Image, and each operation as a function of (image, magnitude 0 to HIGHEST, sign).

    DataError, naming `place`, without Pillow.
    """
    try:
        from PIL import Image, ImageEnhance, ImageOps
    except ImportError as error:
        want = f"Pillow, which changes images ({install_command('data')})"
        raise DataError(expected(place, want, Unquoted(f"no such package ({error})"))) from error

    def affine(image: Any, matrix: tuple[float, ...]) -> Any:
        return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(GREY,) * 3)

    def enhanced(kind: Any) -> Callable[[Any, float, int], Any]:
        return lambda image, magnitude, sign: kind(image).enhance(1 + sign * 0.1 * magnitude)

    def shift(image: Any, magnitude: float, side: int) -> float:
        return float(round(TRANSLATE * side * magnitude / HIGHEST))

    return Image, {
        "shear_x": lambda im, m, sign: affine(im, (1, sign * 0.3 * m / HIGHEST, 0, 0, 1, 0)),
        "shear_y": lambda im, m, sign: affine(im, (1, 0, 0, sign * 0.3 * m / HIGHEST, 1, 0)),
        "translate_x": lambda im, m, sign: affine(im, (1, 0, sign * shift(im, m, im.width), 0, 1, 0)),
        "translate_y": lambda im, m, sign: affine(im, (1, 0, 0, 0, 1, sign * shift(im, m, im.height))),
        "rotate": lambda im, m, sign: im.rotate(sign * 30 * m / HIGHEST, fillcolor=(GREY,) * 3),
        "auto_contrast": lambda im, m, sign: ImageOps.autocontrast(im),
        "invert": lambda im, m, sign: ImageOps.invert(im),
        "equalize": lambda im, m, sign: ImageOps.equalize(im),
        "solarize": lambda im, m, sign: ImageOps.solarize(im, 256 - round(256 * m / HIGHEST)),
        "posterize": lambda im, m, sign: ImageOps.posterize(im, 8 - round(4 * m / HIGHEST)),
        "contrast": enhanced(ImageEnhance.Contrast),
        "color": enhanced(ImageEnhance.Color),
        "brightness": enhanced(ImageEnhance.Brightness),
        "sharpness": enhanced(ImageEnhance.Sharpness),
    }
