"""EVT 3.0's state against its loops-only twin, on random words."""

from __future__ import annotations

import numpy as np
import pytest

from naive import event_files as naive
from qpsnn_core.kernels.events.evt3 import evt3_events

KINDS = [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8, 0xA, 0x7, 0xE]


def events(words, room):
    """(how many, those that there was room for)."""
    columns = [np.full(room, 7, dtype) for dtype in (np.uint16, np.uint16, np.int64, np.uint8)]
    count = evt3_events(np.array(words, np.uint16), *columns)
    return count, list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_random_words(seed):
    rng = np.random.default_rng(seed)
    words = ((rng.choice(KINDS, 300) << 12) | rng.integers(0, 1 << 12, 300)).tolist()
    ref = naive.evt3(words)
    assert len(ref) > 100
    assert events(words, len(ref)) == (len(ref), ref)
    assert events(words, 10) == (len(ref), ref[:10])
    assert events(words, 0) == (len(ref), [])


@pytest.mark.parametrize(
    "words", [[], [0x2001], [0x8000], [0x4FFF, 0x6001], [0x8FFF, 0x2001, 0x8000, 0x2001, 0x8FFF, 0x2001]]
)
def test_no_time_no_words_and_a_clock_that_begins_anew(words):
    ref = naive.evt3(words)
    assert events(words, len(ref)) == (len(ref), ref)


def test_a_step_back_of_half_the_clock_is_not_its_beginning():
    words = [0x8800, 0x2001, 0x8000, 0x2001, 0x8801, 0x2001, 0x8000, 0x2001]
    assert [t for _, _, t, _ in events(words, 4)[1]] == [0x800 << 12, 0, 0x801 << 12, 1 << 24]
