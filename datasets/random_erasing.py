"""Random erasing (Zhong et al. 2020, arXiv:1708.04896): of some samples a rectangle of random size and place is 0."""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.common.elementary import exp, log
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import number

from .schema import check_images

TRIES = 10
AREAS = (0.02, 1 / 3)
"""The least and the largest share of the area."""

RATIOS = (0.3, 1 / 0.3)
"""Height by width, from the flattest to the tallest."""


def random_erasing(images: Images, chance: float, rng: np.random.Generator) -> Images:
    """Set a rectangle to zero, in each sample with this chance; in all frames of it alike.

    Images `[B, H, W, C]` or frames `[B, T, H, W, C]`. Area and logarithm of the shape are drawn evenly, then the place;
    a rectangle that does not fit is drawn anew, ten times at most. Raises DataError (images), ConfigError (a chance
    that is not 0 to 1).
    """
    number("random_erasing", chance, 0, 1)
    out = check_images(images).copy()
    height, width = images.shape[-3:-1]
    low, high = log(RATIOS).tolist()
    draws = rng.random((len(images), 1 + 4 * TRIES))
    for sample, own in zip(out, draws, strict=True):
        if own[0] >= chance:
            continue
        for area, shape, down, across in own[1:].reshape(TRIES, 4).tolist():
            pixels = height * width * (AREAS[0] + (AREAS[1] - AREAS[0]) * area)
            ratio = float(exp(low + (high - low) * shape))
            rows, columns = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
            if rows < height and columns < width:
                top, left = int(down * (height - rows + 1)), int(across * (width - columns + 1))
                sample[..., top : top + rows, left : left + columns, :] = 0
                break
    return out
