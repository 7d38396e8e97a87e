"""The layer on which kernels are measured, and what a measurement of one needs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.types import Array
from qpsnn_core.kernels.conv.spike_lists import LANES


class LayerSize(NamedTuple):
    """T, B, H = W, C and the firing rate."""

    steps: int = 4
    batch: int = 8
    side: int = 32
    channels: int = 64
    rate: float = 0.15


class Work(NamedTuple):
    """What a kernel must do, and the call that does it.

    reads, writes: bytes of arrays, each once. near: bytes loaded again and again from tables of `table` bytes.
    kind: of the operations, a name of the peaks. inner: the call is of a whole gradient, of which it is a part.
    """

    reads: float
    writes: float
    near: float
    table: float
    operations: float
    kind: str
    call: Callable[[], Any]
    inner: bool = False


def counts(layer: LayerSize) -> tuple[int, int, int, int, float]:
    """Images, pixels of one, neurons of all, blocks of 64 outputs, and weight rows that all windows add in a block."""
    images, pixels = layer.steps * layer.batch, layer.side**2
    neurons = images * pixels * layer.channels
    inside = (3 * layer.side - 2) ** 2 / layer.side**2
    return images, pixels, neurons, -(-layer.channels // LANES), neurons * layer.rate * inside


def spikes_of(layer: LayerSize, rng: np.random.Generator) -> Array:
    """Its input, flat: each neuron fires by itself."""
    return (rng.random(counts(layer)[2]) < layer.rate).astype(np.uint8)


def codes_of(layer: LayerSize, rng: np.random.Generator) -> Array:
    """4-bit weights, all as likely."""
    codes: Array = (2 * rng.integers(0, 16, (3, 3, layer.channels, layer.channels)) - 15).astype(np.int8)
    return codes
