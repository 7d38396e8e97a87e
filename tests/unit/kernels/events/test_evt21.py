"""EVT 2.1's vectors against their loops-only twin, on random words."""

from __future__ import annotations

import numpy as np
import pytest

from naive import event_files as naive
from qpsnn_core.kernels.events.evt21 import evt21_events

KINDS = [0x0, 0x1, 0x8, 0xA, 0xE, 0xF]


def events(words, room):
    """(how many, those that there was room for)."""
    columns = [np.full(room, 7, dtype) for dtype in (np.int32, np.uint16, np.int64, np.uint8)]
    halves = [np.array([word >> shift & 0xFFFFFFFF for word in words], np.uint32) for shift in (32, 0)]
    return evt21_events(*halves, *columns), list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_random_words(seed):
    rng = np.random.default_rng(seed)
    words = [(int(rng.choice(KINDS)) << 60) | int(rng.integers(1 << 60)) for _ in range(100)]
    ref = naive.evt21(words)
    assert len(ref) > 100
    assert events(words, len(ref)) == (len(ref), ref)
    assert events(words, 10) == (len(ref), ref[:10])
    assert events(words, 0) == (len(ref), [])


def high(time):
    return (0x8 << 60) | (time << 32)


ONE = (0x1 << 60) | 1


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ([], []),
        ([ONE], []),
        ([high(3)], []),
        ([high(0), ONE | 0xFFFFFFFF], [0] * 32),
        ([high((1 << 28) - 1), ONE, high(0), ONE], [((1 << 28) - 1) << 6, 1 << 34]),
        ([high(1 << 27), ONE, high(0), ONE], [1 << 33, 0]),
        ([high((1 << 27) + 1), ONE, high(0), ONE], [(1 << 33) + 64, 1 << 34]),
    ],
)
def test_no_time_no_words_and_a_clock_that_begins_anew(words, times):
    """A step back of exactly half of the clock's range is none of its beginnings."""
    ref = naive.evt21(words)
    assert [t for _, _, t, _ in ref] == times
    assert events(words, len(ref)) == (len(ref), ref)
