"""Images as random spike trains, by the intervals between the spikes of each pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import random_word
from qpsnn_core.kernels.threads import kernel

GUIDED = 8
"""The upper bits of a word by which `guide` is indexed."""


class Intervals(NamedTuple):
    """The distribution of intervals for each brightness.

    chances: uint64 `[256, steps]`, rising: 2**32 times the chance that an interval is at most 1, 2, ... steps. guide:
    int32 `[256, 256]`, by the upper eight bits of a word: how many of the chances are not above those bits.
    """

    chances: Any
    guide: Any


@kernel
def interval(chances, guide, word):
    """The number of steps to a train's next spike; one more than there are steps if that is beyond them.

    chances, guide: rows of Intervals. word: uint64 below 2**32, random.
    """
    steps = chances.shape[0]
    k = guide[word >> np.uint64(32 - GUIDED)]
    while k < steps and word >= chances[k]:
        k += 1
    return k + 1


@kernel
def encode(image, intervals, key, first, events, times, pixels, spikes, words):
    """The spikes of an image, step by step; within a step, pixels rise.

    image: uint8 `[inputs]`. intervals: Intervals. key: of the draws, whose counters are (number of the spike in its
    train, pixel). first: int32 `[steps + 1]`, written: the spikes of step t are events[first[t]:first[t + 1]]. events:
    int32 `[inputs * steps]`, written: pixels. times: int32 scratch of the same length. pixels, spikes: int32, words:
    uint64, scratch `[inputs]`.
    """
    steps = first.shape[0] - 1
    first[:] = 0
    lit = 0
    for pixel in range(image.shape[0]):
        if image[pixel] > 0:
            pixels[lit] = pixel
            lit += 1
    spikes[:lit] = 0
    longest = 0
    going = lit
    while going > 0:
        for i in range(lit):
            words[i] = random_word(longest, pixels[i], key)
        going = 0
        for i in range(lit):
            if spikes[i] == longest:
                level = image[pixels[i]]
                last = times[i * steps + longest - 1] if longest > 0 else 0
                time = last + interval(intervals.chances[level], intervals.guide[level], words[i])
                if time <= steps:
                    times[i * steps + longest] = time
                    first[time] += 1
                    spikes[i] += 1
                    going += 1
        longest += 1
    for t in range(steps):
        first[t + 1] += first[t]
    for i in range(lit - 1, -1, -1):
        for k in range(spikes[i]):
            time = times[i * steps + k]
            first[time] -= 1
            events[first[time]] = pixels[i]
    count = 0
    for i in range(lit):
        count += spikes[i]
    for t in range(steps):
        first[t] = first[t + 1]
    first[steps] = count
