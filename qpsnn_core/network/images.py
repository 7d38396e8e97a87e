"""The images and frames that an input takes: the one check, for training and for integers."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array, Shape

SIGNED_LOW, SIGNED_PEAK = -(2**15), 2**15 - 1
"""The ends of what signed images may hold."""

REMEDY = " (data.train.input_range.quantize, or input.range.quantize of an integer network, makes them of real numbers)"


class ImageInput(Protocol):
    """An input node: `low` and `peak` are the least and largest integer of its images, `peak` None for real numbers."""

    @property
    def name(self) -> str:
        """The node's name, which opens every message."""

    @property
    def shape(self) -> Shape:
        """(H, W, C)."""

    @property
    def peak(self) -> int | None:
        """The largest integer, or None."""

    @property
    def low(self) -> int:
        """The least integer: 0, or below."""


def check_low(name: str, low: int, peak: int | None) -> None:
    """ConfigError unless `low` is 0, or images from `low` to `peak` are integers of 16 bits with their sign."""
    if type(low) is not int or not SIGNED_LOW <= low <= 0:
        raise ConfigError(expected(f"{name}.low", f"an integer from {SIGNED_LOW} to 0", low))
    if low and (peak is None or peak > SIGNED_PEAK):
        want = f"an integer of at most {SIGNED_PEAK}, as images are signed ({name}.low is {low})"
        raise ConfigError(expected(f"{name}.peak", want, peak))


def check_images(node: ImageInput, images: Array, steps: int, *, kinds: str = "ui") -> Array:
    """`images` as they are, if `node` takes them: [B, H, W, C], or frames [T, B, H, W, C] with T = `steps`.

    kinds: the kinds of dtype that count as integers low..peak. Raises ShapeError (shape, steps), DataError (no array,
    no images, dtype, range) and NumericsError (NaN, infinity), each with the node's name.
    """
    place = f"{node.name}: images"
    if not isinstance(images, np.ndarray):
        raise DataError(expected(place, "a NumPy array", Unquoted(type(images).__name__)))
    if images.ndim not in (4, 5) or images.shape[-3:] != node.shape:
        want = f"[B, {', '.join(map(str, node.shape))}] or [T, B, ...]"
        raise ShapeError(expected(place, want, list(images.shape)))
    if images.ndim == 5 and len(images) != steps:
        raise ShapeError(expected(place, f"{steps} steps", len(images)))
    if images.size == 0:
        raise DataError(expected(place, "at least one image", Unquoted("none")))
    with np.errstate(over="ignore"):
        finite = images.dtype.kind != "f" or np.isfinite(images.astype(np.float32, copy=False)).all()
    if not finite:
        raise NumericsError(expected(place, "finite numbers", Unquoted("NaN or infinity")))
    if node.peak is None:
        if images.dtype.kind not in "fuib":
            raise DataError(expected(place, "real numbers", images.dtype))
        return images
    if images.dtype.kind not in kinds:
        got = f"{images.dtype}{REMEDY if images.dtype.kind == 'f' else ''}"
        raise DataError(expected(place, f"integers {node.low}..{node.peak}", Unquoted(got)))
    if images.dtype != np.uint8 or node.peak < 255:
        low, high = int(images.min()), int(images.max())
        if low < node.low or high > node.peak:
            raise DataError(expected(place, f"integers {node.low}..{node.peak}", Unquoted(f"{low}..{high}")))
    return images
