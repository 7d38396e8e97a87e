"""Bytes of shared memory, shifts that stand for gains, and the inputs of the C check, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from generators import random_integer_network

from qpsnn_backends.c.counts import Counts, Slot
from qpsnn_backends.c.synapses import _exponent
from qpsnn_backends.c.vectors import mix, noise


@pytest.mark.parametrize(
    ("maps", "size"),
    [
        ([("u8", 7)], 7),
        ([("u16", 7)], 14),
        ([("u8", 7), ("u16", 3)], 8),
        ([("u8", 8), ("u32", 1)], 8),
        ([("u8", 9), ("u32", 1)], 12),
        ([("bits", 33), ("u8", 5)], 8),
        ([("bits", 1), ("u8", 5)], 8),
    ],
)
def test_a_slot_is_whole_elements_of_the_widest(maps, size):
    made = tuple(Counts(f"map{i}", (1, 1, channels), 1, kind) for i, (kind, channels) in enumerate(maps))
    assert Slot(made).bytes == size


@pytest.mark.parametrize("power", [0, 1, 5, 6, 7, 30])
def test_equal_powers_of_two_are_a_shift(power):
    assert _exponent(np.full(3, 2**power, np.int64), 1) == power
    assert _exponent(np.full(3, 2**power, np.int64), 2) == power + 1


@pytest.mark.parametrize(
    ("gain", "step"), [([1, 2], 1), ([3, 3], 1), ([2, 2], 3), ([-2, -2], 1), ([0], 1), ([2**32], 1)]
)
def test_other_gains_are_not(gain, step):
    assert _exponent(np.array(gain, np.int64), step) is None


def test_inputs_of_the_check_reach_from_nothing_to_the_peak():
    network, _ = random_integer_network(3)
    images = noise(network, 40)
    peak = network.input.peak
    assert not images[0].any()
    assert (images[1] == peak).all()
    assert images.max() == peak
    assert images[2:].any()
    density = (images[2:] > 0).reshape(38, -1).mean(1)
    assert density.min() < 0.2 < 0.5 < density.max()


def test_factors_of_the_hash():
    """32 bits, odd, none twice, in C's arithmetic by Python's integers."""
    ref = []
    for i in range(1, 2001):
        x = i * 2654435761 % 2**32
        x = (x ^ x >> 15) * 2246822519 % 2**32
        ref.append(x ^ x >> 13 | 1)
    assert mix(2000).tolist() == ref
    assert len(set(ref)) == 2000
    assert max(ref) > 2**31
