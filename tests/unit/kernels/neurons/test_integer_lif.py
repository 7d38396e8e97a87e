"""The integer neuron and the sum of its currents, against loops in Python's own integers.

Neurons are walked 64 or 16 at a time: some channel counts below divide 64, some are its multiples, others miss it.
Chunks are run last to first, so that one that wrote past its end would spoil the next.
"""

from __future__ import annotations

import numpy as np
import pytest

from naive import integer as naive
from qpsnn_core.integer.nodes import IntLevels, IntLIF
from qpsnn_core.kernels.neurons import integer_lif, lif
from qpsnn_core.network.nodes import RESETS

STEPS = 6
SHAPES = [
    (1, 1),
    (7, 3),
    (40, 1),
    (2, 15),
    (3, 16),
    (2, 17),
    (2, 31),
    (2, 33),
    (1, 64),
    (2, 100),
    (8, 16),
    (5, 32),
    (3, 63),
    (2, 65),
    (2, 128),
    (1, 191),
]


class Case:
    """One or two currents, of one step or of all; accumulators [steps, N, C], the rest [C]."""

    def __init__(self, lengths, dtypes, positions=7, channels=3, largest=1000):
        self.rng = np.random.default_rng([*lengths, positions, channels, largest])
        self.positions, self.channels = positions, channels
        self.accs = [self.acc(n, dtype, largest) for n, dtype in zip(lengths, dtypes, strict=False)]
        self.gains = [self.spread(1, -3, 256), self.spread(2, 5, -1)][: len(self.accs)]
        self.bias = self.spread(0, 200, -largest)
        self.threshold = self.spread(1, largest, 256 * largest)

    def acc(self, steps, dtype, largest):
        low = 0 if np.dtype(dtype).kind == "u" else -largest
        return self.rng.integers(low, largest + 1, (steps, self.positions, self.channels)).astype(dtype)

    def spread(self, *values):
        return np.resize(np.array(values, np.int32), self.channels)

    def twin(self, multiplier, shift, reset="zero", levels=None):
        """Spikes and membranes after reset, [T, N, C]."""
        node = IntLIF("lif", ("x",), multiplier, shift, reset, levels)
        arrays = {"bias": self.bias.astype(object), "threshold": self.threshold.astype(object)}
        potential = np.zeros((self.positions, 1, self.channels), object)
        spikes, membranes = [], []
        for t in range(STEPS):
            frames = [
                acc[t if len(acc) > 1 else 0, :, None].astype(object) * gain.astype(object)
                for acc, gain in zip(self.accs, self.gains, strict=True)
            ]
            spikes.append(naive.lif(node, arrays, *frames, potential)[:, 0])
            membranes.append(potential[:, 0].copy())
        return np.array(spikes).astype(np.int64), np.array(membranes).astype(np.int64)

    def part(self, start, stop):
        """Steps start..stop-1, over and over up to STEPS: only the first `stop - start` count."""
        found = Case.__new__(Case)
        found.__dict__.update(self.__dict__)
        found.accs = [np.resize(acc[start:stop], (STEPS, *acc.shape[1:])) if len(acc) > 1 else acc for acc in self.accs]
        return found

    def run(self, multiplier, shift, reset="zero", levels=None, *, keep=True, spans=None, initial=None):
        spikes = np.full((STEPS * self.positions, self.channels), 9, np.uint8)
        membranes = np.full((STEPS * self.positions if keep else 0, self.channels), 9, np.int32)
        currents = [
            integer_lif.current(acc.reshape(-1, self.channels), gain, self.positions if len(acc) > 1 else 0)
            for acc, gain in zip(self.accs, self.gains, strict=True)
        ]
        first, second = currents if len(currents) == 2 else (currents[0], None)
        tiled = [integer_lif.tile_channels(one, integer_lif.LANES) for one in (self.bias, self.threshold)]
        ladder = levels and integer_lif.ladder(self.threshold, levels.low, levels.high, levels.parts)
        leak = multiplier, shift
        settings = integer_lif.IntLIFSettings(*tiled, STEPS, self.positions, *leak, lif.RESETS[reset], ladder)
        given = () if initial is None else (initial.astype(np.int32).reshape(-1),)
        for start, stop in spans or ((1, self.positions), (0, 1)):
            integer_lif.int_lif(start, stop, first, second, spikes, membranes, settings, *given)
        shape = (-1, self.positions, self.channels)
        return spikes.reshape(shape), membranes.reshape(shape)


def compare(case, *neuron):
    """neuron: multiplier, shift, reset, levels."""
    spikes, membranes = case.run(*neuron)
    ref_spikes, ref_membranes = case.twin(*neuron)
    np.testing.assert_array_equal(spikes, ref_spikes)
    np.testing.assert_array_equal(membranes, ref_membranes)
    return spikes, membranes


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("leak", [(1, 1), (1, 2), (1, 0), (0, 0), (0, 3), (1, 12), (3, 2), (4095, 12)], ids=str)
@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_int_lif(leak, steps, dtype, reset):
    spikes, _ = compare(Case((steps,), (dtype,)), *leak, reset)
    assert 0 < spikes.mean() < 1


@pytest.mark.parametrize(("positions", "channels"), SHAPES)
@pytest.mark.parametrize("lengths", [(STEPS,), (1,), (STEPS, STEPS), (STEPS, 1), (1, STEPS), (1, 1)], ids=str)
@pytest.mark.parametrize("leak", [(1, 1), (5, 3)], ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_any_number_of_neurons_and_two_currents(leak, lengths, positions, channels, reset):
    compare(Case(lengths, (np.int16, np.int32), positions, channels), *leak, reset)


@pytest.mark.parametrize("levels", [IntLevels(-3, 1), IntLevels(-1, 2, 4)], ids=["five", "thirteen"])
@pytest.mark.parametrize("channels", [3, 65])
@pytest.mark.parametrize("reset", RESETS)
def test_membranes_go_to_levels(reset, channels, levels):
    """Thresholds and steps both odd and even; what lies half way goes down."""
    case = Case((STEPS,), (np.int16,), 40, channels, 30)
    case.gains[0][:], case.bias[:] = 1, 3
    case.threshold = case.spread(12, 20, 28) if levels.parts > 1 else case.spread(15, 22, 9)
    spikes, membranes = compare(case, 1, 1, reset, levels)
    step = case.threshold // levels.parts
    assert 0 < spikes.mean() < 1
    assert len(np.unique(membranes // step)) > 3


@pytest.mark.parametrize("channels", [1, 3, 16, 33])
def test_positions_outside_the_range_are_left_alone(channels):
    case = Case((STEPS,), (np.int16,), 5, channels)
    spikes, membranes = case.run(1, 1, spans=[(1, 3)])
    for array in (spikes, membranes):
        assert (array[:, [0, 3, 4]] == 9).all()
    np.testing.assert_array_equal(membranes[:, 1:3], case.twin(1, 1)[1][:, 1:3])


@pytest.mark.parametrize(("positions", "channels"), SHAPES)
@pytest.mark.parametrize("lengths", [(STEPS,), (STEPS, 1)], ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_membranes_that_are_given_are_where_it_begins(lengths, positions, channels, reset):
    """The whole run, and the same run broken off after two steps and taken up again."""
    case = Case(lengths, (np.int16, np.int32), positions, channels)
    ref = case.twin(3, 2, reset)
    begun = case.part(0, 2).run(3, 2, reset)
    ended = case.part(2, STEPS).run(3, 2, reset, initial=begun[1][1])
    for one, two, whole in zip(begun, ended, ref, strict=True):
        np.testing.assert_array_equal(np.concatenate((one[:2], two[: STEPS - 2])), whole)


def test_membranes_that_nobody_wants_are_not_kept():
    case = Case((STEPS,), (np.int32,))
    spikes, none = case.run(1, 1, keep=False)
    assert none.size == 0
    np.testing.assert_array_equal(spikes, case.twin(1, 1)[0])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("leak", [(1, 1), (4095, 12)], ids=str)
def test_int_lif_at_the_ends_of_int32(leak, reset):
    """The largest figures that a network may have: |leak(U)| + |bias| + |X| up to 2**31 - 1."""
    case = Case((STEPS,), (np.int32,))
    case.accs[0][:] = [2**29, -(2**29), -(2**20)]
    case.accs[0][1:] //= 2**4
    case.gains[0][:] = 1
    case.bias = np.array([2**29 - 1, -(2**29), 2**20 - 1], np.int32) // 2**4
    case.threshold = np.array([2**31 - 1, 1, 2**31 - 1], np.int32)
    _, membranes = compare(case, *leak, reset)
    assert 2**29 < abs(membranes.astype(np.int64)).max() < 2**31


@pytest.mark.parametrize(("multiplier", "shift"), [(3, 2), (1, 1), (1, 2)])
def test_leaks_round_down(multiplier, shift):
    """One step charges the membrane, in the next nothing comes in; the largest threshold keeps it from firing."""
    values = np.array([7, -7, -1, 0, 2**31 - 2, -(2**31)], np.int32)
    case = Case((STEPS,), (np.int32,), 1, 6)
    case.accs[0][:] = 0
    case.accs[0][0], case.gains[0][:], case.bias[:] = values, 1, 0
    case.threshold[:] = 2**31 - 1
    _, membranes = case.run(multiplier, shift)
    assert membranes[1, 0].tolist() == [int(u) * multiplier >> shift for u in values]


def test_a_neuron_fires_at_its_threshold_and_forgets():
    case = Case((STEPS,), (np.int16,), 1, 3)
    case.accs[0][:] = 0
    case.accs[0][0], case.accs[0][1] = [4, 3, -9], 1
    case.gains[0][:], case.bias[:], case.threshold[:] = 3, 2, 14
    spikes, membranes = case.run(1, 0)
    assert spikes[:2, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert membranes[:2, 0].tolist() == [[0, 11, -25], [5, 0, -20]]


def test_a_neuron_that_subtracts_keeps_what_is_above_its_threshold():
    case = Case((STEPS,), (np.int16,), 1, 3)
    case.accs[0][:] = 0
    case.accs[0][0], case.accs[0][1] = [4, 13, -9], 1
    case.gains[0][:], case.bias[:], case.threshold[:] = 3, 2, 14
    spikes, membranes = case.run(1, 0, "subtract")
    assert spikes[:3, 0].tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert membranes[:3, 0].tolist() == [[0, 27, -25], [5, 18, -20], [7, 6, -18]]


@pytest.mark.parametrize("steps", [1, STEPS])
def test_add_scaled(steps):
    case = Case((steps,), (np.int32,))
    acc, gain = case.accs[0], case.gains[0]
    total = np.random.default_rng(3).integers(-99, 99, (STEPS * 7, 3)).astype(np.int32)
    ref = naive.add_current(total.reshape(STEPS, -1, 3), acc, gain)
    for start, stop in ((3, 7), (0, 3)):
        integer_lif.add_scaled(start, stop, total, acc.reshape(-1, 3), gain, STEPS, 7, 7 if steps > 1 else 0)
    np.testing.assert_array_equal(total, ref.reshape(-1, 3))


@pytest.mark.parametrize("size", [1, 3, 63, 64, 65, 100, 2 * integer_lif.COLUMNS + 70])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_add_counts(size, dtype):
    """The largest counts of the type, then small ones; chunks run last to first, times a number that needs 64 bits."""
    largest = int(np.iinfo(dtype).max)
    counts = np.random.default_rng(size).integers(0, largest, (5, size), endpoint=True).astype(dtype)
    counts[:, 0] = largest
    sums = np.full(size + 1, 7, np.int64)
    for start, stop in ((1, size), (0, 1)):
        integer_lif.add_counts(start, stop, counts, 1, 2**20, sums)
    assert [(total - 7) // 2**20 for total in sums.tolist()] == [*naive.sums_of_counts(counts), 0]
    assert ((sums - 7) % 2**20 == 0).all()


@pytest.mark.parametrize("most", [1, 5, 51])
@pytest.mark.parametrize("more", [-1, 0, 1, 70])
def test_sums_of_many_frames_never_wrap(most, more):
    """As many frames of the largest counts as a byte holds the sum of, and about so many."""
    frames_per_sum = 255 // most
    counts, sums = np.full((frames_per_sum + more, 66), most, np.uint8), np.zeros(66, np.int64)
    integer_lif.add_counts(0, 66, counts, frames_per_sum, 1, sums)
    assert sums.tolist() == [len(counts) * most] * 66
