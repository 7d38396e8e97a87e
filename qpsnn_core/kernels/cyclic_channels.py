"""Channels read 16 or 64 at a time from any of them on: the first ones follow the last."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.kernels.simd.vector import load16, store, to
from qpsnn_core.kernels.threads import kernel


def tile_channels(values: Any, lanes: int = 16) -> Any:
    """The channels' values, repeated so that `lanes` can be read from any channel on."""
    return np.concatenate((values,) * (2 + (lanes - 1) // len(values)))[: len(values) + lanes]


@kernel
def next_phase(phase, channels, lanes=16):
    """The channel of the neuron `lanes` further on: where the next vector begins.

    phase: the channel where this one begins, 0..channels-1. lanes: neurons in a vector.
    """
    phase += lanes
    while phase >= channels:
        phase -= channels
    return phase


@kernel
def gather_sum(sums, phase, values):
    """`sums[phase:phase + 16] += values`, in float64; sums: float64 `[C + 16]`, values: 16 real numbers."""
    store(sums, phase, load16(sums, phase) + to(values, sums))


@kernel
def sum_tiled(sums, out):
    """Sums of tiled channels (`tile_channels`) added to those of the channels; sums: `[C + 16]`, out: `[C]`."""
    channels = len(out)
    for begin in range(0, len(sums), channels):
        for c in range(min(channels, len(sums) - begin)):
            out[c] += sums[begin + c]
