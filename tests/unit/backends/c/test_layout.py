"""C export: how codes are packed, memory is shared, and membranes are bounded for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc
from generators import random_integer_network, random_wide_network

import qpsnn_backends
from qpsnn_backends.c.codes import SPIKE_BLOCKS, WIDTHS, blocks, chunk, encode, lane
from qpsnn_backends.c.counts import Counts, shared
from qpsnn_backends.c.neurons import lasting
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.vectors import hashed, mix, noise
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout


def decoded(codes, channels):
    """The codes of a table, one after another."""
    out = np.zeros((len(codes.table), channels), np.int64)
    for row in range(len(codes.table)):
        for channel in range(channels):
            stored = int(codes.table[row, channel]) if not codes.packed else unpacked(codes, row, channel)
            out[row, channel] = codes.low + codes.step * stored
    return out


def unpacked(codes, row, channel):
    """A stored code: blocks of 4 words, then what is left, in each of which word i has channels i, i + words, ..."""
    planes, first = 32 // codes.bits, 0
    while True:
        left = codes.words - first
        size = min(left, 4) if codes.spikes else 1
        if channel < size * planes:
            word = int(codes.table[row, first + channel % size])
            return word >> (channel // size * codes.bits) & (2**codes.bits - 1)
        first, channel = first + size, channel - size * planes


@pytest.mark.parametrize("peak", [0, 1, 16, 255, 65535])
@pytest.mark.parametrize("channels", [1, 4, 5, 33, 100])
@pytest.mark.parametrize(("limit", "step"), [(0, 2), (1, 2), (3, 2), (7, 2), (15, 2), (127, 2), (255, 2), (255, 1)])
def test_packed_codes_are_the_codes(limit, step, channels, peak):
    """A peak of 0 stands for spikes."""
    rng = np.random.default_rng(limit + channels)
    array = rng.integers(0, 2 * limit // step + 1, (3, 2, channels)) * step - limit
    array.flat[0], array.flat[-1] = -limit, limit
    codes = encode(array.astype(np.int16), max(1, peak), spikes=peak == 0)
    np.testing.assert_array_equal(decoded(codes, channels), array.reshape(6, channels))
    assert codes.bits == next(bits for bits in WIDTHS if 2 * limit // step < 2**bits)
    assert codes.packed == (peak == 0 or codes.bits < 8)
    assert codes.table.itemsize * 8 == (32 if codes.packed else codes.bits)
    assert codes.padded - channels < (32 // codes.bits if codes.packed else 1)
    largest = max(1, peak) * ((array.reshape(6, channels) - codes.low) // codes.step).sum(0).max()
    assert codes.lane == 32 or (largest < 2**16 and codes.bits < 16)


@pytest.mark.parametrize(("spikes", "peak", "rows"), [(True, 1, 4369), (False, 3, 1456), (False, 4369, 1)])
def test_a_lane_of_16_bits_holds_65535_and_no_more(spikes, peak, rows):
    for count, wide in ((rows, 16), (rows + 1, 32)):
        assert encode(np.array([[0, 0], *[[15, 1]] * count], np.int16), peak, spikes).lane == wide


@pytest.mark.parametrize("bits", WIDTHS)
def test_lanes_do_not_overflow_into_each_other(bits):
    assert chunk(bits) * (2**bits - 1) < 2 ** lane(bits)
    assert chunk(bits) >= 16
    assert chunk(bits) % 16 == 0


@pytest.mark.parametrize("words", range(40))
def test_blocks_cover_a_row_once(words):
    found = list(blocks(words, SPIKE_BLOCKS))
    assert [word for first, size in found for word in range(first, first + size)] == list(range(words))
    assert all(size in SPIKE_BLOCKS for _, size in found)


@pytest.mark.parametrize("seed", range(40))
def test_maps_that_are_still_read_share_no_memory(seed):
    net, _ = (random_integer_network if seed % 2 else random_wide_network)(seed)
    planned = plan(net)
    place = {one.name: index for index, slot in enumerate(planned.slots) for one in slot.maps}
    alive = {}
    for index, job in enumerate(planned.jobs[:-1]):
        ahead = planned.jobs[index + 1 :]
        for name, slot in alive.items():
            needed = any(one.name == name for later in (job, *ahead) for one in later.reads)
            assert not (needed and slot == place[job.gives.name]), (name, job.gives.name)
        alive[job.gives.name] = place[job.gives.name]
    assert sum(slot.bytes for slot in planned.slots) <= sum(
        one.bytes + 3 for slot in planned.slots for one in slot.maps
    )


def test_a_chain_takes_two_slots():
    made = [Counts(f"a{i}", (4, 4, 32), 1, "bits") for i in range(6)]
    assert len(shared(made, [1, 2, 3, 4, 5, 6])) == 2
    assert len(shared(made, [6, 6, 6, 6, 6, 6])) == 6


def neuron(multiplier, shift, low, threshold=50, bias=0, steps=3, reset="zero"):
    """A network of one neuron whose current is `low` or 0."""
    nodes = (
        IntInput("in", (1, 1, 1), 1),
        IntConv("conv", "in", 1, 1, 1, 0),
        IntLIF("lif", ("conv",), multiplier, shift, reset),
        IntLinear("linear", "lif", 2),
        IntReadout("out", "linear"),
    )
    arrays = {
        "conv": {"codes": np.full((1, 1, 1, 1), 1, np.int8), "gain": np.full(1, low, np.int32)},
        "lif": {"threshold": np.full(1, threshold, np.int32), "bias": np.full(1, bias, np.int32)},
        "linear": {"codes": np.ones((1, 2), np.int8), "gain": np.ones(2, np.int32)},
        "out": {"bias": np.zeros(2, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, steps)


@pytest.mark.parametrize("bias", [-1, 0, 3])
@pytest.mark.parametrize("low", [-1, -7, -1000, 5])
@pytest.mark.parametrize(("multiplier", "shift"), [(1, 1), (1, 3), (3, 2), (3481, 12), (4095, 12), (0, 0), (0, 3)])
def test_a_leaking_membrane_stays_above_its_bound_for_ever(multiplier, shift, low, bias):
    net = neuron(multiplier, shift, low, bias=bias)
    reach, lasts = lasting(net, net["lif"])
    assert lasts
    drive, potential = min(low, 0) + bias, 0
    for _ in range(60000):
        potential = ((potential * multiplier) >> shift) + drive
        potential = 0 if potential >= 50 else potential
        assert reach.low[0] <= potential <= reach.high[0]
    loose = 1 if multiplier == 0 else 1 + 2**shift / (2**shift - multiplier)
    assert reach.low[0] >= min(potential, 0) - 2 * loose


@pytest.mark.parametrize(("low", "bias", "lasts"), [(-1, 0, False), (5, -1, False), (5, 0, True), (-3, 3, True)])
def test_a_membrane_without_a_leak_falls_for_ever_or_never(low, bias, lasts):
    net = neuron(1, 0, low, bias=bias)
    assert lasting(net, net["lif"])[1] == lasts
    assert plan(net).neurons[0].ends == (() if lasts else (3 * (min(low, 0) + bias),))


def test_a_leaking_membrane_that_would_leave_int32_is_held():
    net = neuron(1, 1, -(2**30), bias=-(2**29), threshold=5, steps=1)
    assert not lasting(net, net["lif"])[1]
    assert plan(net).neurons[0].ends == (-(2**30 + 2**29),)


@pytest.mark.parametrize("drive", [1, 49, 50, 51, 90, 3000])
@pytest.mark.parametrize(("multiplier", "shift"), [(1, 1), (1, 3), (3, 2), (4095, 12), (1, 0), (0, 0)])
def test_a_membrane_reset_by_subtraction_stays_below_its_bound_for_ever(multiplier, shift, drive):
    net = neuron(multiplier, shift, drive, reset="subtract")
    reach, lasts = lasting(net, net["lif"])
    assert lasts is not (multiplier == 2**shift and drive > 50)
    top = potential = 0
    for _ in range(60000 if lasts else 3):
        potential = ((potential * multiplier) >> shift) + drive
        potential -= 50 * (potential >= 50)
        top = max(top, potential)
        assert potential <= reach.high[0]
    loose = 1 + 2**shift / (2**shift - multiplier) if multiplier < 2**shift else 3 * drive
    assert reach.high[0] <= max(top, 49) + loose


@pytest.mark.parametrize(("drive", "bits"), [(51, 8), (89, 8), (90, 16), (16000, 32)])
def test_a_membrane_that_grows_for_ever_is_held_where_t_steps_take_it(drive, bits):
    (planned,) = plan(neuron(1, 0, drive, reset="subtract")).neurons
    assert planned.membrane == bits
    assert planned.ends == (0, max(49, drive - 50) + 2 * (drive - 50))


@needs_cc
@pytest.mark.parametrize("drive", [89, 90, 16000, 2**29])
def test_c_holds_a_membrane_that_grows_for_ever(drive):
    net = neuron(1, 0, drive, reset="subtract")
    frames = np.ones((1, 1, 1, 1, 1), np.uint8)
    run = qpsnn_backends.get("c", flags=SANITIZED).stream(net, frames, 50, "all")
    ceiling = plan(net).neurons[0].ends[1]
    grown = np.minimum(np.arange(1, 51) * (drive - 50), ceiling)
    np.testing.assert_array_equal(run.membranes["lif"].ravel(), grown)
    assert run.spikes["lif"].all()


@pytest.mark.parametrize(("low", "bits"), [(-60, 8), (-70, 16), (-16000, 16), (-17000, 32)])
def test_membranes_take_the_narrowest_type(low, bits):
    assert plan(neuron(1, 1, low)).neurons[0].membrane == bits


def test_a_hash_changes_with_every_spike_and_membrane():
    rng = np.random.default_rng(0)
    spikes = rng.integers(0, 2, (3, 2, 2, 3, 4)).astype(np.uint8)
    membranes = rng.integers(-(2**31), 2**31, spikes.shape).astype(np.int32)
    before = hashed(spikes, membranes)
    one = (1, 0, 1, 2, 3)
    total = sum(
        int(m) * (2 * int(u) + int(s))
        for m, u, s in zip(mix(24), membranes[1, 0].ravel(), spikes[1, 0].ravel(), strict=True)
    )
    assert before[1, 0] == total % 2**32
    for array in (spikes, membranes):
        changed = array.copy()
        changed[one] ^= 1
        after = hashed(changed if array is spikes else spikes, changed if array is membranes else membranes)
        assert after[1, 0] != before[1, 0]
        assert (np.delete(after.ravel(), 2) == np.delete(before.ravel(), 2)).all()
    assert (mix(10**4) % 2 == 1).all()
    assert len(set(mix(10**4).tolist())) > 9990


def test_noise_is_of_every_brightness():
    net, _ = random_wide_network(1)
    images = noise(net, 50)
    assert images.shape == (50, *net.input.shape)
    assert images[0].max() == 0
    assert images[1].min() == net.input.peak
    assert images.max() <= net.input.peak
    assert len(noise(net, 1)) == 1
    np.testing.assert_array_equal(noise(replace(net), 50), images)
