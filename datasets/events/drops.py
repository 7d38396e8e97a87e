"""Events left out at random, the same ones for a seed: EventDrop (Gu et al. 2021, arXiv:2106.05836)."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.validation import number
from qpsnn_datasets.seeding import EVENTS, bit_stream

from .filters import kept
from .recording import Recording


class Draw:
    """Numbers of a seed, the same ones on every machine and any NumPy. ConfigError: a negative seed."""

    def __init__(self, seed: int) -> None:
        self.bits = bit_stream(seed, EVENTS)

    def below(self, count: int) -> int:
        """One of 0..count-1, each as likely."""
        return int(self.bits.random_raw()) * count >> 64

    def some(self, count: int, chosen: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """`chosen` different ones of 0..count-1, in no order."""
        if not chosen:
            return np.zeros(0, np.int64)
        return np.argpartition(self.bits.random_raw(count), chosen - 1)[:chosen].astype(np.int64)


def drop_events(recording: Recording, probability: float, seed: int) -> Recording:
    """Without so large a share of the events, each as likely to go: `int(probability*N + 1/2)`, as in tonic.

    probability: 0 to 1. Raises ConfigError.
    """
    return _drop_events(recording, number("drop_events.probability", probability, 0, 1), Draw(seed))


def drop_time(recording: Recording, share: float, seed: int) -> Recording:
    """Without the events of an interval that takes `share` of the duration, anywhere within it (tonic).

    share: 0 to 1; both ends of the interval belong to it. Raises ConfigError.
    """
    return _drop_time(recording, number("drop_time.share", share, 0, 1), Draw(seed))


def drop_area(recording: Recording, share: float, seed: int) -> Recording:
    """Without the events of a box, anywhere on the sensor, of `share` of each of its sides, rounded down (tonic).

    share: 0 to 1. Raises ConfigError.
    """
    return _drop_area(recording, number("drop_area.share", share, 0, 1), Draw(seed))


def event_drop(recording: Recording, seed: int) -> Recording:
    """EventDrop's policy: nothing, an interval, a box or single events, each as likely, of a share that is drawn.

    Shares: of time and of events 0.1, 0.2 ... 0.9, of the sides 0.05, 0.10 ... 0.30.
    """
    draw = Draw(seed)
    kind = draw.below(4)
    if kind == 0:
        return recording
    if kind == 1:
        return _drop_time(recording, (1 + draw.below(9)) / 10, draw)
    if kind == 2:
        return _drop_area(recording, (1 + draw.below(6)) / 20, draw)
    return _drop_events(recording, (1 + draw.below(9)) / 10, draw)


def _drop_events(recording: Recording, share: float, draw: Draw) -> Recording:
    keep = np.ones(len(recording), np.bool_)
    keep[draw.some(len(recording), int(share * len(recording) + 0.5))] = False
    return kept(recording, keep)


def _drop_time(recording: Recording, share: float, draw: Draw) -> Recording:
    if not len(recording) or not share:
        return recording
    length = int(share * recording.duration)
    begin = int(recording.t[0]) + draw.below(recording.duration - length + 1)
    return kept(recording, (recording.t < begin) | (recording.t > begin + length))


def _drop_area(recording: Recording, share: float, draw: Draw) -> Recording:
    keep = np.zeros(len(recording), np.bool_)
    for positions, side in ((recording.y, recording.sensor[0]), (recording.x, recording.sensor[1])):
        size = int(side * share)
        begin = draw.below(side - size + 1)
        keep |= (positions < begin) | (positions >= begin + size)
    return kept(recording, keep)
