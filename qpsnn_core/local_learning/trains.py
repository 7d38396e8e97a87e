"""The distributions of the intervals between spikes, as tables that are the same bits on every machine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qpsnn_core.kernels.counter_random import WORD
from qpsnn_core.kernels.spike_trains import GUIDED, Intervals
from qpsnn_core.local_learning.network import SpikeTrains

LEVELS = 256
"""Of brightness."""


def repeated_intervals(trains: SpikeTrains, dt: float) -> Intervals:
    """The distributions of a sample that is shown again and again, brighter each time: `[times, 256, ...]`."""
    found = [
        intervals(replace(trains, intensity=trains.intensity + k * trains.brighter), dt) for k in range(trains.times)
    ]
    return Intervals(np.stack([one.chances for one in found]), np.stack([one.guide for one in found]))


@lru_cache(maxsize=8)
def intervals(trains: SpikeTrains, dt: float) -> Intervals:
    """The distribution of the intervals between spikes, for each brightness."""
    chances: npt.NDArray[np.uint64] = np.zeros((LEVELS, trains.steps), np.uint64)
    guide: npt.NDArray[np.int32] = np.zeros((LEVELS, 2**GUIDED), np.int32)
    below = np.arange(2**GUIDED, dtype=np.uint64) << np.uint64(WORD - GUIDED)
    for level in range(1, LEVELS):
        rate = level / (LEVELS - 1) * trains.intensity
        chances[level] = [int(min(one, 1.0) * 2**WORD + 0.5) for one in _cumulative(trains, rate, dt)]
        guide[level] = np.searchsorted(chances[level], below, "right")
    return Intervals(chances, guide)


def _cumulative(trains: SpikeTrains, rate: float, dt: float) -> list[float]:
    found: list[float] = []
    if trains.code == "bernoulli":
        left = 1.0
        for _ in range(trains.steps):
            left *= 1 - rate * dt / 1000
            found.append(1 - left)
        return found
    mean = 1000 / (rate * dt)
    term = float((-Decimal(repr(mean))).exp())
    total = term
    for k in range(1, trains.steps + 1):
        term *= mean / k
        total += term
        found.append(total)
    return found
