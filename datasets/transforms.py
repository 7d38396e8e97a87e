"""Random changes of training images: pure functions on a uint8 batch, with the generator given.

Every function takes images `[B, H, W, C]` or frames `[B, T, H, W, C]`, and returns a new array of the same shape and
type. One draw per sample: all frames of a sample change alike.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from qpsnn_core.common.types import Images
from qpsnn_core.common.validation import whole

from .schema import check_images


def random_crop(images: Images, padding: int, rng: np.random.Generator) -> Images:
    """Pad height and width with `padding` zeros on every side, and cut a window of the old size anywhere in it.

    Raises DataError (images), ConfigError (a negative padding).
    """
    whole("crop", padding, 0)
    frames = _frames(images)
    batch, _, height, width, _ = frames.shape
    down, right = rng.integers(0, 2 * padding + 1, size=(2, batch))
    margin = (padding, padding)
    padded = np.pad(frames, ((0, 0), (0, 0), margin, margin, (0, 0)))
    size, axes = (height, width), (2, 3)
    windows = sliding_window_view(padded, size, axis=axes)  # type: ignore[call-overload]  # its types know no tuples
    by_offset = windows.transpose(0, 2, 3, 1, 5, 6, 4)  # [B, down, right, T, H, W, C]
    return np.ascontiguousarray(by_offset[np.arange(batch), down, right]).reshape(images.shape)


def random_flip(images: Images, rng: np.random.Generator) -> Images:
    """Mirror left and right, each sample with probability one half. Raises DataError (images)."""
    flipped = rng.random(len(check_images(images))) < 0.5
    out = images.copy()
    pixels = out.view(f"V{images.shape[-1]}")  # [..., W, 1]: a whole pixel is moved at once
    pixels[flipped] = pixels[flipped][..., ::-1, :]
    return out


def cutout(images: Images, size: int, rng: np.random.Generator) -> Images:
    """Set a square of `size` pixels to zero; its centre is any pixel, so that it may reach over the border.

    Raises DataError (images), ConfigError (a negative size). DeVries and Taylor 2017, arXiv:1708.04552.
    """
    whole("cutout", size, 0)
    frames = _frames(images)
    batch, _, height, width, _ = frames.shape
    top = rng.integers(0, height, size=batch) - size // 2
    left = rng.integers(0, width, size=batch) - size // 2
    out = frames.copy()
    for image, y, x in zip(out, top.tolist(), left.tolist(), strict=True):
        image[:, max(y, 0) : max(y + size, 0), max(x, 0) : max(x + size, 0)] = 0
    return out.reshape(images.shape)


def _frames(images: Images) -> Images:
    """`[B, H, W, C]` seen as `[B, 1, H, W, C]`; five dimensions stay."""
    images = check_images(images)
    return images if images.ndim == 5 else images[:, np.newaxis]
