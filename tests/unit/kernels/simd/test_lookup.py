"""Every instruction of look-ups, compiled, against the Python that says what it means; and what that says."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from qpsnn_core.kernels.simd import lookup as lu
from qpsnn_core.kernels.simd.llvm_lookup import AT_ONCE, BITS, LANES, OUTPUTS, VECTORS
from qpsnn_core.kernels.simd.vector import load64

compiled = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="compares compiled instructions with their meaning"
)
ENTRIES, APART = 2**BITS, 64 * 5
BLOCKS = VECTORS * LANES // 64


def say(name):
    """An instruction's meaning."""
    return getattr(getattr(lu, name), "meaning", getattr(lu, name))


def example(dtype):
    """Indices, where vectors begin, tables on a line of memory, what is added, and room for sums."""
    rng = np.random.default_rng(0)
    planes, starts = rng.integers(0, ENTRIES, 8 * LANES).astype(np.uint8), rng.integers(0, 6 * LANES, VECTORS + 1)
    room = np.empty(3 * OUTPUTS * ENTRIES + 64, np.uint8)
    begin = -room.ctypes.data % 64
    tables = room[begin : begin + 2 * OUTPUTS * ENTRIES]
    tables[:] = rng.integers(0, 128, len(tables))
    return planes, starts, tables, np.array([5, -9, 70_000, 0], np.int32), np.arange(BLOCKS * APART + 64).astype(dtype)


@compiled
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_sums_are_those_of_the_meanings(dtype):
    @numba.njit(error_model="numpy")
    def comp(planes, starts, tables, base, room):
        these = lu.starts_of(starts, 1)
        part = lu.add_look_up(lu.look_up(planes, these, 3, tables, 0), planes, these, 9, tables, OUTPUTS * ENTRIES)
        sums = lu.widen_part(lu.widen_part(lu.no_sums(base), part), part)
        lu.store_sums(room, 0, APART, sums, base, 1, 1, 4 * 64)
        lu.add_sums(room, 64, APART, sums, base, 0, 0, 2 * 64, 4)

    *given, room = example(dtype)
    ref = room.copy()
    comp(*given, room)
    means(*given, ref)
    np.testing.assert_array_equal(room, ref)


def means(planes, starts, tables, base, room):
    """By the instructions' meanings."""
    these = say("starts_of")(starts, 1)
    part = say("look_up")(planes, these, 3, tables, 0)
    part = tuple(a + b for a, b in zip(part, say("look_up")(planes, these, 9, tables, OUTPUTS * ENTRIES), strict=True))
    sums = say("widen_part")(say("widen_part")(say("no_sums")(base), part), part)
    say("store_sums")(room, 0, APART, sums, base, 1, 1, 4 * 64)
    say("add_sums")(room, 64, APART, sums, base, 0, 0, 2 * 64, 4)


def test_what_the_meanings_say():
    """One table entry after another, twice what one finds, and a number for the output."""
    planes, starts, tables, base, room = example(np.int32)
    these = say("starts_of")(starts, 1)
    part = say("look_up")(planes, these, 3, tables, 0)
    say("store_sums")(room, 0, APART, say("widen_part")(say("no_sums")(0), part), base, 1, 1, 4 * 64)
    for output in range(OUTPUTS):
        for v in range(VECTORS):
            for lane in range(LANES):
                entry = planes[starts[v + 1] + 3 + lane]
                want = 2 * int(tables[output * ENTRIES + entry]) + int(base[1 + output])
                begin = v * LANES // 64 * APART
                place = v * LANES % 64 + lane // 2 + lane % 2 * (LANES // 2)
                more = begin + 4 * 64 + place
                assert room[begin + output * 64 + place] == want + more


@compiled
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_columns_and_bits_are_those_of_the_meanings(dtype):
    @numba.njit(error_model="numpy")
    def columns(room, total, targets):
        lu.store_columns(room, 64, total, 3, targets, 2, 60 * 16)

    @numba.njit(error_model="numpy")
    def bits(spikes, words, planes, groups, count):
        words[70] = lu.nonzero(load64(spikes, 5))
        lu.store_indices(planes, 2, 70, groups, words, 7, count)

    rng = np.random.default_rng(0)
    room, targets = rng.integers(-99, 99, 17 * 64).astype(dtype), np.append(rng.permutation(70)[:64] * 16, [-1, -16])
    found, ref = np.zeros(70 * 16, dtype), np.zeros(70 * 16, dtype)
    columns(room, found, targets)
    say("store_columns")(room, 64, ref, 3, targets, 2, 60 * 16)
    np.testing.assert_array_equal(found, ref)
    assert ref.any()
    spikes, words = rng.integers(0, 3, 80).astype(np.uint8), rng.integers(-(2**63), 2**63 - 1, 71)
    for groups in (1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 2):
        for count in (1, 33, 64, 65):
            planes, meant = np.full(70 * AT_ONCE + 2, 255, np.uint8), np.full(70 * AT_ONCE + 2, 255, np.uint8)
            bits(spikes, words, planes, groups, count)
            assert words[70] == say("nonzero")(spikes[5:69])
            say("store_indices")(meant, 2, 70, groups, words, 7, count)
            np.testing.assert_array_equal(planes, meant)


def test_what_the_others_say():
    room, total = np.arange(1024), np.zeros(100, int)
    targets = np.full(64, -1)
    targets[7], targets[9] = 32, 64
    say("store_columns")(room, 0, total, 1, targets, 0, 64)
    np.testing.assert_array_equal(total[33:49], room[7::64])
    assert total.sum() == room[7::64].sum()
    assert say("nonzero")((np.arange(64) == 63).astype(np.uint8)) == -(2**63)
    planes = np.zeros(2 * 64, np.uint8)
    say("store_indices")(planes, 0, 64, 2, np.full(64, 5 + (9 << BITS)), 0, 3)
    np.testing.assert_array_equal(planes, [5] * 3 + [0] * 61 + [9] * 3 + [0] * 61)
