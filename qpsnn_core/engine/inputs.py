"""Images and frames as the engine takes them."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array
from qpsnn_core.network.images import check_images
from qpsnn_core.network.nodes import Input


def engine_images(node: Input, images: Array, steps: int) -> Array:
    """`images` as [T or 1, B, H, W, C] of the Input's type. Raises as `check_images`."""
    images = check_images(node, images, steps)
    x = images[None] if images.ndim == 4 else images
    return np.ascontiguousarray(x, np.float32 if node.peak is None else image_type(node.low, node.peak))


def steps_first(images: Array) -> Array:
    """Images [B, H, W, C] as they are; frames [B, T, H, W, C] as [T, B, H, W, C]."""
    return images if images.ndim == 4 else np.ascontiguousarray(images.swapaxes(0, 1))
