"""The layer on which kernels are measured, and what a measurement of one needs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.roofline.costs import ConvSize, Cost
from qpsnn_core.common.types import Array


class LayerSize(NamedTuple):
    """T, B, H = W, C and the firing rate."""

    steps: int = 4
    batch: int = 8
    side: int = 32
    channels: int = 64
    rate: float = 0.15


class Work(NamedTuple):
    """What a kernel must do, and the call that does it. inner: the call is of a whole gradient, the kernel a part."""

    cost: Cost
    call: Callable[[], Any]
    inner: bool = False


def conv_size(layer: LayerSize) -> ConvSize:
    """The layer's convolution, of 4-bit codes."""
    steps, batch, side, channels, rate = layer
    return ConvSize(steps, batch, side, side, channels, channels, rate=rate)


def counts(layer: LayerSize) -> tuple[int, int, int]:
    """Images, pixels of one, and neurons of all."""
    images, pixels = layer.steps * layer.batch, layer.side**2
    return images, pixels, images * pixels * layer.channels


def spikes_of(layer: LayerSize, rng: np.random.Generator) -> Array:
    """Its input, flat: each neuron fires by itself."""
    return (rng.random(counts(layer)[2]) < layer.rate).astype(np.uint8)


def codes_of(layer: LayerSize, rng: np.random.Generator) -> Array:
    """4-bit weights, all as likely."""
    codes: Array = (2 * rng.integers(0, 16, (3, 3, layer.channels, layer.channels)) - 15).astype(np.int8)
    return codes
