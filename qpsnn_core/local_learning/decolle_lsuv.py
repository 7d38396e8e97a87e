"""How a DECOLLE network's weights are scaled before it learns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from qpsnn_core.common.types import Array, Images
from qpsnn_core.kernels.neurons.decolle_layout import State
from qpsnn_core.local_learning.decolle import LocalTraining
from qpsnn_core.local_learning.decolle_model import DecolleModel
from qpsnn_core.local_learning.decolle_run import frames_of, present_windows


def lsuv(model: DecolleModel, windows: Images, training: LocalTraining) -> DecolleModel:
    """Layer-sequential unit variance: until each layer's membranes have mean 0 and variance 1 at the last step.

    Each time, weights are divided by the standard deviation where the variance is more than 0.1 from 1, and biases lose
    half of the mean where that is beyond 0.2, in all layers at once; at most `training.lsuv` times. Sums are exact
    before they are rounded. Raises DataError, ShapeError.
    """
    frames = frames_of(model.network, windows)
    plan = training.plan(frames.shape[1])
    for _ in range(training.lsuv):
        state, _ = present_windows(model, frames, plan)
        weights, biases = list(model.weights), list(model.biases)
        for k, values in enumerate(membranes(model, state)):
            numbers = values.astype(np.float64).reshape(-1)
            mean = math.fsum(numbers.tolist()) / len(numbers)
            variance = math.fsum(((numbers - mean) ** 2).tolist()) / max(len(numbers) - 1, 1)
            if abs(variance - 1) > 0.1 and variance > 0:
                weights[k] = (weights[k] / np.float32(math.sqrt(variance))).astype(np.float32)
            if abs(mean) > 0.2:
                biases[k] = biases[k] - np.float32(mean / 2)
        if all(a is b for a, b in zip((*weights, *biases), (*model.weights, *model.biases), strict=True)):
            break
        model = replace(model, weights=tuple(weights), biases=tuple(biases))
    return model


def membranes(model: DecolleModel, state: State) -> list[Array]:
    """Each layer's V: `[samples, height, width, channels]`, as stored."""
    found, first = [], 0
    for one in model.network.maps:
        height, width, channels = one.outputs
        count = height * width * one.lanes
        part = state.v[:, first : first + count].reshape(len(state.v), height, width, one.lanes)
        found.append(part[..., :channels])
        first += count
    return found
