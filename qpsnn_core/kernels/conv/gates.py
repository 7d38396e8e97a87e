"""Convolutions of counts with integer codes behind gates, by the faster of two kernels; masks as these take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.gated import OpenMasks, close_images, gated_forward
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import GATHER, Product, integer_conv, route_of
from qpsnn_core.kernels.threads import parallel_for

Mask = tuple[Array, bool] | None
"""uint8 [T or 1, B, 1 or H, 1 or W, C or 1], and whether it is one of channels; None: everything is open."""


def gated_conv(
    product: Product, counts: Array, total: Array, masks: OpenMasks, kept: dict[str, Any] | None = None
) -> None:
    """The sums of codes times open counts of each window that is open, 0 of the others.

    product, counts (unsigned), total, kept: as for `integer_conv`. Where a product
    that costs the same at any rate is faster than the additions that are open, it computes all, and what is closed is
    set to 0.
    """
    geometry, ready = product.geometry, {} if kept is None else kept
    images = len(counts) // (geometry.height * geometry.width * geometry.channels)
    if route_of(product, counts, images, total.dtype, kept, _share(masks)) != GATHER:
        integer_conv(product, let_through(counts, masks, geometry), total, kept)
        parallel_for(close_images, images, 1, total, geometry, masks)
        return
    if GATHER not in ready:
        ready[GATHER] = product.rows()
    parallel_for(gated_forward, images, 1, counts, product.max_count, ready[GATHER], total, geometry, masks)


def _share(masks: OpenMasks) -> float:
    """Of all additions, about."""
    share = 1.0
    for mask in masks:
        share *= np.count_nonzero(mask.view(np.bool_)) / len(mask) if len(mask) else 1.0
    return share


def let_through(counts: Array, masks: OpenMasks, geometry: ConvGeometry) -> Array:
    """The counts that are open, flat."""
    height, width, channels = geometry[:3]
    shaped = counts.reshape(-1, height * width, channels)
    for mask, shape in ((masks.pixels, (-1, height * width, 1)), (masks.channels, (-1, 1, channels))):
        if len(mask):
            shaped = shaped * mask.reshape(shape).astype(counts.dtype)
    let: Array = shaped.reshape(-1)
    return let


def open_masks(steps: int, given: Mask, read: Mask) -> OpenMasks:
    """The masks of so many steps; given: of the sums, read: of the counts."""
    return OpenMasks(*_both(given, steps), *_both(read, steps))


def _both(mask: Mask, steps: int) -> tuple[Array, Array]:
    """A mask of places and one of channels, flat; empty, where it closes nothing."""
    nothing = np.empty(0, np.uint8)
    if mask is None:
        return nothing, nothing
    array, of_channels = mask
    own = np.ascontiguousarray(array if len(array) == steps else np.repeat(array, steps, axis=0)).reshape(-1)
    return (nothing, own) if of_channels else (own, nothing)
