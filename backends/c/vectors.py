"""Test vectors: inputs, and what the exact simulator makes of them, by hashes that the C check computes too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.backend import frames_of
from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import integer_images, simulate

BATCH = 8
"""Inputs whose spikes and membranes are held at a time."""


def noise(network: IntegerNetwork, count: int, seed: int = 0) -> Array:
    """Inputs [B, H, W, C] to test with: all zeros, all at the peak, then noise of every brightness and density.

    Of signed images every second value is negative, the third input all at their least.
    """
    rng, shape = np.random.default_rng(seed), (count, *network.input.shape)
    peak = np.maximum(1, np.rint(network.input.peak * rng.random((count, 1, 1, 1)))).astype(np.int64)
    images = rng.integers(0, peak + 1, shape) * (rng.random(shape) < rng.random((count, 1, 1, 1)))
    images[:1] = 0
    images[1:2] = network.input.peak
    if network.input.low:
        images = np.where(rng.random(shape) < 0.5, np.maximum(-images, network.input.low), images)
        images[2:3] = network.input.low
    return images.astype(image_type(network.input.low, network.input.peak))


def mix(count: int) -> npt.NDArray[np.uint64]:
    """An odd number of 32 bits of its own for each neuron; `mix` in check.c."""
    mask = np.uint64(2**32 - 1)
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761) & mask
    x = (x ^ x >> np.uint64(15)) * np.uint64(2246822519) & mask
    mixed: npt.NDArray[np.uint64] = x ^ x >> np.uint64(13) | np.uint64(1)
    return mixed


def hashed(spikes: Array, membranes: Array) -> npt.NDArray[np.uint32]:
    """`sum_i mix(i) * (2*U_i + S_i)` modulo 2**32, for each [T, B]; spikes and membranes: [T, B, H, W, C]."""
    values = (2 * membranes.astype(np.int64) + spikes).reshape(*spikes.shape[:2], -1).astype(np.uint64)
    total: npt.NDArray[np.uint32] = (values @ mix(values.shape[-1])).astype(np.uint32)
    return total


def vectors(network: IntegerNetwork, images: Array) -> bytes:
    """The file that check.c reads, little-endian: count, frames of each input (1 or T), then for each input

    its values (8 or 16 bits), for each step and LIF a hash (32 bits), the readouts (64 bits each) and the class (32).
    images: [B, H, W, C] or frames [T, B, H, W, C]. Raises as `simulate`.
    """
    images = integer_images(network, images)
    frames = frames_of(network.input, images)
    parts = [np.array(frames.shape[:2], "<u4").tobytes()]
    for start in range(0, len(frames), BATCH):
        run = simulate(network, images[..., start : start + BATCH, :, :, :], record="all", count=False)
        hashes = [hashed(run.spikes[name], run.membranes[name]) for name in run.spikes]
        answers = np.concatenate([one.reshape(len(one), -1) for one in run.readouts.values()], axis=1)
        for i, readout in enumerate(answers):
            parts.append(frames[start + i].astype(frames.dtype.newbyteorder("<")).tobytes())
            parts.append(np.array([[one[t, i] for one in hashes] for t in range(network.steps)], "<u4").tobytes())
            parts.append(readout.astype("<i8").tobytes())
            parts.append(np.array([readout.argmax()], "<u4").tobytes())
    return b"".join(parts)
