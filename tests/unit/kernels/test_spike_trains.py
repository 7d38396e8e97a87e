"""Spike trains against the twin, and against the distributions that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from naive import fixed_point as naive
from qpsnn_core.kernels.spike_trains import encode, interval
from qpsnn_core.local_learning import SpikeTrains
from qpsnn_core.local_learning.trains import intervals


def encoded(image, table, key, steps):
    first, room = np.zeros(steps + 1, np.int32), len(image) * steps
    events, times = np.zeros(room, np.int32), np.zeros(room, np.int32)
    pixels, spikes, words = (np.zeros(len(image), kind) for kind in (np.int32, np.int32, np.uint64))
    encode(image, table, np.uint64(key), first, events, times, pixels, spikes, words)
    return [events[first[t] : first[t + 1]].tolist() for t in range(steps)]


@pytest.mark.parametrize("code", ["intervals", "bernoulli"])
def test_trains_are_the_twins(code):
    steps = 40
    table = intervals(SpikeTrains(code, 300.0, steps), 1.0)
    image = np.array([0, 255, 17, 0, 128, 255, 1], np.uint8)
    for key in (0, 12345):
        comp = encoded(image, table, key, steps)
        assert comp == naive.train(image.tolist(), table.chances, key, steps)
        assert sum(map(len, comp)) > 10


def test_an_interval_is_the_first_whose_chance_the_word_lies_below():
    row = np.array([10, 10, 20, 2**32], np.uint64)
    guide = np.array([0] + [3] * 255, np.int32)
    for word in (0, 9, 10, 19, 20, 2**32 - 1):
        assert interval(row, guide, np.uint64(word)) == naive.interval(row, word)
    assert interval(row[:3], guide, np.uint64(20)) == 4


@pytest.mark.parametrize(("code", "rate"), [("bernoulli", 0.128), ("intervals", 1 / 7.8125)])
def test_rates_are_those_asked_for(code, rate):
    """A pixel of 255 spikes with 128 Hz; intervals of mean 7.8125 are practically never 0."""
    table = intervals(SpikeTrains(code, 128.0, 250), 1.0)
    spikes = encoded(np.full(200, 255, np.uint8), table, 3, 250)
    assert abs(sum(map(len, spikes)) / 250 / 200 - rate) < 0.004


def test_chances_are_those_of_the_distributions():
    table = intervals(SpikeTrains("bernoulli", 100.0, 5), 1.0)
    assert table.chances[255].tolist() == [int((1 - 0.9**k) * 2**32 + 0.5) for k in range(1, 6)]
    mean = 1000 / 100
    poisson = np.cumsum([np.exp(-mean) * mean**k / np.prod(np.arange(1.0, k + 1)) for k in range(6)])
    np.testing.assert_allclose(
        intervals(SpikeTrains("intervals", 100.0, 5), 1.0).chances[255] / 2**32, poisson[1:], rtol=1e-6
    )
    assert not table.chances[0].any()
