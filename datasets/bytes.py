"""Real numbers in 0..1 as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.types import Images


def to_uint8(images: Any, place: str = "images") -> Images:
    """Floats in 0..1 of any shape as uint8 0..255, rounded to nearest; DataError for NaN, infinity or another range."""
    if not isinstance(images, np.ndarray) or images.dtype.kind != "f":
        got = str(images.dtype) if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(expected(place, "an array of floats in 0..1", Unquoted(got)))
    if not np.isfinite(images).all():
        wrong = int(np.count_nonzero(~np.isfinite(images)))
        raise DataError(expected(place, "floats in 0..1", Unquoted(f"{wrong} NaN or infinite values")))
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise DataError(expected(place, "floats in 0..1", Unquoted(f"{images.min()} to {images.max()}")))
    scaled: Images = np.rint(images.astype(np.float64, copy=False) * 255).astype(np.uint8)
    return scaled
