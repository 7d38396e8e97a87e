"""Images and frames as the engine takes them."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import DataError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.network.nodes import Input


def check_images(node: Input, images: Array, steps: int) -> Array:
    """`images` as [T or 1, B, H, W, C] of the Input's type, or a typed error that says what is wrong."""
    if not isinstance(images, np.ndarray):
        raise DataError(expected(f"{node.name}: images", "a NumPy array", Unquoted(type(images).__name__)))
    if images.ndim not in (4, 5) or images.shape[-3:] != node.shape:
        want = f"[B, {', '.join(map(str, node.shape))}] or [T, B, ...]"
        raise ShapeError(expected(f"{node.name}: images", want, list(images.shape)))
    if images.ndim == 5 and len(images) != steps:
        raise ShapeError(expected(f"{node.name}: images", f"{steps} steps", len(images)))
    if images.size == 0:
        raise DataError(expected(f"{node.name}: images", "at least one image", Unquoted("none")))
    with np.errstate(over="ignore"):
        finite = images.dtype.kind != "f" or np.isfinite(images.astype(np.float32, copy=False)).all()
    if not finite:
        raise NumericsError(expected(f"{node.name}: images", "finite numbers", Unquoted("NaN or infinity")))
    x = images[None] if images.ndim == 4 else images
    if node.peak is None:
        if images.dtype.kind not in "fuib":
            raise DataError(expected(f"{node.name}: images", "real numbers", images.dtype))
        return np.ascontiguousarray(x, np.float32)
    if images.dtype.kind not in "ui":
        raise DataError(expected(f"{node.name}: images", f"integers 0..{node.peak}", images.dtype))
    if images.dtype != np.uint8 or node.peak < 255:
        low, high = int(images.min()), int(images.max())
        if low < 0 or high > node.peak:
            raise DataError(expected(f"{node.name}: images", f"integers 0..{node.peak}", Unquoted(f"{low}..{high}")))
    return np.ascontiguousarray(x, count_type(node.peak))


def steps_first(images: Array) -> Array:
    """Images [B, H, W, C] as they are; frames [B, T, H, W, C] as [T, B, H, W, C]."""
    return images if images.ndim == 4 else np.ascontiguousarray(images.swapaxes(0, 1))
