"""Images as random spike trains, by the intervals between the spikes of each pixel."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.counter_random import random_word
from qpsnn_core.kernels.threads import kernel


@kernel
def interval(chances, word):
    """The number of steps to a train's next spike; one more than there are steps if that is beyond them.

    chances: uint64 `[steps]`, rising: 2**32 times the chance that an interval is at most 1, 2, ... steps. word: uint64
    below 2**32, random.
    """
    low, high = 0, chances.shape[0]
    while low < high:
        middle = (low + high) // 2
        if word < chances[middle]:
            high = middle
        else:
            low = middle + 1
    return low + 1


@kernel
def encode(image, chances, key, first, events, times, pixels):
    """The spikes of an image, step by step; within a step, pixels rise.

    image: uint8 `[inputs]`. chances: uint64 `[256, steps]`, for each brightness as for `interval`. key: of the draws,
    whose counters are (number of the spike in its train, pixel). first: int32 `[steps + 1]`, written: the spikes of
    step t are events[first[t]:first[t + 1]]. events: int32 `[inputs * steps]`, written: pixels. times, pixels: int32
    scratch of the same length.
    """
    steps = first.shape[0] - 1
    first[:] = 0
    count = 0
    for pixel in range(image.shape[0]):
        level = image[pixel]
        if level == 0:
            continue
        row = chances[level]
        spike = 0
        time = interval(row, random_word(0, pixel, key))
        while time <= steps:
            times[count] = time - 1
            pixels[count] = pixel
            first[time] += 1
            count += 1
            spike += 1
            time += interval(row, random_word(spike, pixel, key))
    for t in range(steps):
        first[t + 1] += first[t]
    for i in range(count - 1, -1, -1):
        first[times[i] + 1] -= 1
        events[first[times[i] + 1]] = pixels[i]
    for t in range(steps):
        first[t] = first[t + 1]
    first[steps] = count
