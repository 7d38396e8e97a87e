"""Random resized crop: a part of the image, of random area and shape, stretched to the whole again.

As in Inception (Szegedy et al. 2015, arXiv:1409.4842, Sec. 6) and torchvision; QP-SNN takes 0.7 for CIFAR10-DVS.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.elementary import exp, log
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import number

from .schema import check_images

TRIES = 10
RATIOS = (3 / 4, 4 / 3)
"""Width by height of the part, from the narrowest to the widest."""

Box = tuple[int, int, int, int]


def resized_crop(images: Images, share: float, rng: np.random.Generator) -> Images:
    """Cut a part of `share` to all of the area, 3:4 to 4:3, out of each sample, and stretch it to the old size.

    Images `[B, H, W, C]` are stretched bilinearly and rounded; frames of events `[B, T, H, W, C]`, whose counts stay
    counts, to the nearest, all frames of a sample alike. Area and logarithm of the shape are drawn evenly, then the
    place; a part that does not fit is drawn anew, ten times at most, and then is the largest one in the middle.
    Raises DataError (images), ConfigError (a share that is not above 0 and at most 1).
    """
    if number("resized_crop", share, 0, 1) == 0:
        raise ConfigError(expected("resized_crop", "a number above 0", share))
    out = np.empty_like(images := check_images(images))
    height, width = images.shape[-3:-1]
    stretch = _nearest if images.ndim == 5 else _bilinear
    for index, draws in enumerate(rng.random((len(images), TRIES, 4))):
        top, left, rows, columns = _box(height, width, share, draws)
        stretch(images[index][..., top : top + rows, left : left + columns, :], out[index])
    return out


def _box(height: int, width: int, share: float, draws: NDArray[np.float64]) -> Box:
    """Top, left, height and width of the part that the first draws give which fit; draws: [TRIES, 4] in [0, 1)."""
    low, high = log(RATIOS).tolist()
    for area, shape, down, across in draws.tolist():
        pixels = height * width * (share + (1 - share) * area)
        ratio = float(exp(low + (high - low) * shape))
        rows, columns = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < rows <= height and 0 < columns <= width:
            return int(down * (height - rows + 1)), int(across * (width - columns + 1)), rows, columns
    narrow, wide = RATIOS
    rows, columns = min(height, max(1, round(width / narrow))), min(width, max(1, round(height * wide)))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _nearest(part: Images, out: Images) -> None:
    """Each pixel of `out` `[T, H, W, C]` is that of `part` in which its centre lies."""
    rows, columns = (
        (2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(out.shape[1:3], part.shape[1:3], strict=True)
    )
    out[:] = part[:, rows[:, np.newaxis], columns]


def _bilinear(part: Images, out: Images) -> None:
    """Each pixel of `out` `[H, W, C]` weighs the four of `part` around its centre; none lies beyond the border."""
    (upper, lower, down), (left, right, across) = (
        _around(n, m) for n, m in zip(out.shape[:2], part.shape[:2], strict=True)
    )
    across, down = across[:, np.newaxis], down[:, np.newaxis, np.newaxis]
    rows = part[:, left] * (1 - across) + part[:, right] * across
    out[:] = np.floor(rows[upper] * (1 - down) + rows[lower] * down + 0.5)


def _around(count: int, given: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Of each of `count` pixels along a side of `given`: the neighbours before and after, and how near the latter."""
    place: NDArray[np.float64] = np.clip((np.arange(count) + 0.5) * given / count - 0.5, 0, given - 1)
    before: NDArray[np.int64] = place.astype(np.int64)
    after: NDArray[np.int64] = np.minimum(before + 1, given - 1)
    return before, after, place - before
