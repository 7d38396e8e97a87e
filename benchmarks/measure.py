"""Timing on a noisy machine: contestants take turns, many short repeats, minima and medians, ratios with spread."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np

BREATH = 0.02
"""Seconds between contestants: helper threads that wait by spinning fall asleep."""


class Effort(NamedTuple):
    """How long to measure: about `seconds` per contestant, at least `least` and at most `most` repeats."""

    seconds: float = 10.0
    least: int = 3
    most: int = 100


def alternate(
    calls: Mapping[Any, Callable[[], Any]],
    effort: Effort,
    warm: bool = True,
    clock: Callable[[], float] = perf_counter,
) -> dict[Any, list[float]]:
    """Seconds of each call, repeat by repeat: the n-th entries of two contestants were measured side by side.

    warm: one call of each comes first and does not count: it compiles, and touches memory. clock: `process_time` counts
    the processor's time alone, for calls that stay in this process and on a machine that others keep busy.
    """
    times: dict[Any, list[float]] = {key: [] for key in calls}
    for call in calls.values() if warm else ():
        call()
    gc.collect()
    gc.freeze()  # what is there now is not looked through before every call: the peers alone are 170,000 objects
    try:
        began = perf_counter()
        rounds = 0
        while rounds < effort.most and (rounds < effort.least or perf_counter() - began < effort.seconds * len(calls)):
            for key, call in calls.items():
                times[key].append(once(call, clock))
            rounds += 1
    finally:
        gc.unfreeze()
    return times


def once(call: Callable[[], Any], clock: Callable[[], float] = perf_counter) -> float:
    """Seconds of one call, with no garbage collection in it."""
    gc.collect()
    gc.disable()
    try:
        sleep(BREATH)
        began = clock()
        call()
        return clock() - began
    finally:
        gc.enable()


class Ratio(NamedTuple):
    """Of minima; and of paired repeats, the 10th and the 90th percentile."""

    minima: float
    low: float
    high: float


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """How many times longer theirs took."""
    count = min(len(theirs), len(ours))
    paired = np.array(theirs[:count]) / np.array(ours[:count])
    low, high = np.percentile(paired, (10, 90))
    return Ratio(min(theirs) / min(ours), float(low), float(high))


def geometric_mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else None
