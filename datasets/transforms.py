"""Random changes of training images: pure functions on a uint8 batch, with the generator given.

Every function takes images `[B, H, W, C]` or frames `[B, T, H, W, C]`, and returns a new array of the same shape and
type. One draw per sample: all frames of a sample change alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from qpsnn_core.errors import ConfigError, expected

from .autoaugment import autoaugment
from .checks import whole
from .schema import Images, check_images


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


@dataclass(frozen=True)
class Augment:
    """Which changes are made, in this order: crop after `crop` pixels of padding, flip, AutoAugment's CIFAR policy, a
    hole of `cutout` pixels.

    Raises ConfigError for a negative or fractional size, or a flip or policy that is not true or false.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    autoaugment: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        whole("augment.crop", self.crop, 0)
        whole("augment.cutout", self.cutout, 0)
        for name in ("flip", "autoaugment"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(expected(f"augment.{name}", "true or false", getattr(self, name)))

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.crop or self.flip or self.cutout or self.autoaugment)

    def __call__(self, images: Images, rng: np.random.Generator) -> Images:
        """The changed images, same shape; the same generator state gives the same images."""
        if self.crop:
            images = random_crop(images, self.crop, rng)
        if self.flip:
            images = random_flip(images, rng)
        if self.autoaugment:
            images = autoaugment(images, rng)
        if self.cutout:
            images = cutout(images, self.cutout, rng)
        return images


def _frames(images: Images) -> Images:
    """`[B, H, W, C]` seen as `[B, 1, H, W, C]`; five dimensions stay."""
    images = check_images(images)
    return images if images.ndim == 5 else images[:, np.newaxis]
