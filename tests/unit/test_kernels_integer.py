"""The integer neuron and the sum of its currents, against loops in Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest

from naive import integer as naive
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.kernels import integer

STEPS, POSITIONS, CHANNELS = 6, 7, 3


def draw(steps, dtype=np.int32, largest=1000):
    """acc [steps*N, C], gain, bias, threshold [C]."""
    rng = np.random.default_rng([steps, largest])
    acc = rng.integers(-largest, largest + 1, (steps * POSITIONS, CHANNELS)).astype(dtype)
    gain = np.array([1, -3, 256], np.int32)
    bias = np.array([0, 200, -largest], np.int32)
    threshold = np.array([1, largest, 256 * largest], np.int32)
    return acc, gain, bias, threshold


def twin(acc, gain, bias, threshold, multiplier, shift):
    """Spikes and membranes after reset, [T*N, C]."""
    node = IntLIF("lif", ("x",), multiplier, shift)
    arrays = {"bias": bias.astype(object), "threshold": threshold.astype(object)}
    frames = acc.reshape(-1, POSITIONS, 1, CHANNELS).astype(object) * gain.astype(object)
    potential = np.zeros((POSITIONS, 1, CHANNELS), object)
    spikes, membranes = [], []
    for t in range(STEPS):
        spikes.append(naive.lif(node, arrays, frames[t if len(frames) > 1 else 0], potential))
        membranes.append(potential.copy())
    return (np.array(x).reshape(-1, CHANNELS).astype(np.int64) for x in (spikes, membranes))


@pytest.mark.parametrize("leak", [(1, 1), (1, 2), (1, 0), (0, 0), (3, 2), (4095, 12)], ids=str)
@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_int_lif(leak, steps, dtype):
    acc, gain, bias, threshold = draw(steps, dtype)
    ref_spikes, ref_membranes = twin(acc, gain, bias, threshold, *leak)
    spikes = np.full((STEPS * POSITIONS, CHANNELS), 9, np.uint8)
    membranes = np.full((STEPS * POSITIONS, CHANNELS), 9, np.int32)
    step = POSITIONS if steps > 1 else 0
    for low, high in ((0, 3), (3, POSITIONS)):
        integer.int_lif(low, high, acc, gain, bias, threshold, spikes, membranes, STEPS, POSITIONS, step, *leak)
    np.testing.assert_array_equal(spikes, ref_spikes)
    np.testing.assert_array_equal(membranes, ref_membranes)
    assert 0 < spikes.mean() < 1


def test_membranes_that_nobody_wants_are_not_kept():
    acc, gain, bias, threshold = draw(STEPS)
    spikes = np.zeros((STEPS * POSITIONS, CHANNELS), np.uint8)
    none = np.empty((0, CHANNELS), np.int32)
    integer.int_lif(0, POSITIONS, acc, gain, bias, threshold, spikes, none, STEPS, POSITIONS, POSITIONS, 1, 1)
    np.testing.assert_array_equal(spikes, next(twin(acc, gain, bias, threshold, 1, 1)))


@pytest.mark.parametrize("leak", [(1, 1), (4095, 12)], ids=str)
def test_int_lif_at_the_ends_of_int32(leak):
    """The largest figures that a network may have: |leak(U)| + |bias| + |X| up to 2**31 - 1."""
    acc = np.array([[2**29, -(2**29), -(2**20)]] * (STEPS * POSITIONS), np.int32)
    gain, bias = np.array([1, 1, 1], np.int32), np.array([2**29 - 1, -(2**29), 2**20 - 1], np.int32)
    threshold = np.array([2**31 - 1, 1, 2**31 - 1], np.int32)
    acc[POSITIONS:] //= 2**4
    bias = bias // 2**4
    ref_spikes, ref_membranes = twin(acc, gain, bias, threshold, *leak)
    assert 2**29 < abs(ref_membranes).max() < 2**31
    spikes, membranes = np.empty((STEPS * POSITIONS, CHANNELS), np.uint8), np.empty(acc.shape, np.int32)
    integer.int_lif(0, POSITIONS, acc, gain, bias, threshold, spikes, membranes, STEPS, POSITIONS, POSITIONS, *leak)
    np.testing.assert_array_equal(spikes, ref_spikes)
    np.testing.assert_array_equal(membranes, ref_membranes)


@pytest.mark.parametrize("steps", [1, STEPS])
def test_add_scaled(steps):
    acc, gain, *_ = draw(steps)
    total = np.random.default_rng(3).integers(-99, 99, (STEPS * POSITIONS, CHANNELS)).astype(np.int32)
    ref = naive.add_current(total.reshape(STEPS, -1, CHANNELS), acc.reshape(steps, -1, CHANNELS), gain)
    for low, high in ((0, 3), (3, POSITIONS)):
        integer.add_scaled(low, high, total, acc, gain, STEPS, POSITIONS, POSITIONS if steps > 1 else 0)
    np.testing.assert_array_equal(total, ref.reshape(-1, CHANNELS))


def test_leaks_round_down():
    potential = np.array([7, -7, -1, 0, 2**31 - 1, -(2**31)], np.int32)
    halved, scaled = potential.copy(), potential.copy()
    integer.halve(halved, 1)
    integer.scale_down(scaled, 3, 2)
    assert halved.tolist() == [3, -4, -1, 0, 2**30 - 1, -(2**30)]
    assert scaled.tolist() == [int(u) * 3 // 4 for u in potential]


def test_a_neuron_fires_at_its_threshold_and_forgets():
    potential = np.array([4, 3, -9], np.int32)
    ones, spikes = np.ones(3, np.int32), np.empty(3, np.uint8)
    integer.fire(potential, 2 * ones, 3 * ones, ones, 11 * ones, spikes)
    assert spikes.tolist() == [1, 0, 0]
    assert potential.tolist() == [0, 10, -2]
