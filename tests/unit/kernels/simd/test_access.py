"""The instructions that read and write arrays: what lies where, how many numbers, and which arrays they refuse."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from qpsnn_core.kernels.simd import llvm_memory
from qpsnn_core.kernels.simd import vector as v

TYPES = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]
WIDTHS = [16, 64]


def jit(function):
    return numba.njit(error_model="numpy")(function)


def draw(dtype, count=200):
    """Numbers of a type, its ends among them."""
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, count).astype(dtype)
    ends = np.iinfo(dtype)
    numbers = rng.integers(ends.min, ends.max, count, dtype, endpoint=True)
    numbers[:2] = ends.min, ends.max
    return rng.permutation(numbers)


LOADS = {
    16: jit(lambda array, index, out: v.store(out, 3, v.load16(array, index))),
    32: jit(lambda array, index, out: v.store(out, 3, v.load32(array, index))),
    64: jit(lambda array, index, out: v.store(out, 3, v.load64(array, index))),
}


def takes(width):
    """take, compiled anew: as the processor's features are said to be at the first call."""
    if width == 16:
        return jit(lambda array, index, count, out: v.store(out, 0, v.take16(array, index, count)))
    return jit(lambda array, index, count, out: v.store(out, 0, v.take64(array, index, count)))


def puts(width):
    """store_masked, likewise."""
    if width == 16:
        return jit(lambda array, out, index, count: v.store_masked(out, index, v.load16(array, 0), count))
    return jit(lambda array, out, index, count: v.store_masked(out, index, v.load64(array, 0), count))


@pytest.mark.parametrize("width", LOADS)
@pytest.mark.parametrize("dtype", TYPES)
def test_loads_and_stores_wherever_they_begin(dtype, width):
    array = draw(dtype)
    for index in (0, 1, 7, 200 - width):
        out = np.full(width + 6, 9, dtype)
        LOADS[width](array, index, out)
        np.testing.assert_array_equal(out[3 : 3 + width], array[index : index + width])
        assert (np.delete(out, range(3, 3 + width)) == 9).all()


@pytest.mark.parametrize("masks", [False, True], ids=["by memcpy", "by masks"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", TYPES)
def test_takes_and_puts_of_any_count(monkeypatch, dtype, width, masks):
    """As many as there are, zeros for the rest; what lies behind is neither read nor written."""
    monkeypatch.setattr(llvm_memory, "MASKS", masks)
    take, masked_store = takes(width), puts(width)
    whole = draw(dtype)
    for count in [*range(18), 63, 64, 65, 100, 130]:
        array, taken = whole[: min(5 + count, 200)], np.full(width, 9, dtype)
        take(array, 5, count, taken)
        part = array[5 : 5 + min(count, width)]
        np.testing.assert_array_equal(taken, np.concatenate((part, np.zeros(width - len(part), dtype))))
        out = np.full(width + 8, 9, dtype)
        masked_store(whole, out, 5, count)
        np.testing.assert_array_equal(out[5 : 5 + len(part)], whole[: len(part)])
        assert (np.delete(out, range(5, 5 + len(part))) == 9).all()


@pytest.mark.parametrize("masks", [False, True], ids=["by memcpy", "by masks"])
def test_a_count_of_many_thousands_is_many(monkeypatch, masks):
    """Whatever its last byte, or its last four."""
    monkeypatch.setattr(llvm_memory, "MASKS", masks)
    take, array, out = takes(16), draw(np.int16), np.empty(16, np.int16)
    for count in (127, 128, 200) if numba.config.DISABLE_JIT else (127, 128, 255, 256, 65536, 2**31, 2**32, 2**40 + 3):
        take(array, 0, count, out)
        np.testing.assert_array_equal(out, array[:16])


ITEM = jit(lambda array, index: v.item(array, index))
SET_ITEM = jit(lambda array, index, value: v.set_item(array, index, value))


@pytest.mark.parametrize("dtype", TYPES)
def test_single_numbers(dtype):
    array = draw(dtype)
    for index in (0, 1, 199):
        assert ITEM(array, index) == array[index]
    out = np.full(5, 9, dtype)
    SET_ITEM(out, 2, 100)
    assert out.tolist() == [9, 9, 100, 9, 9]


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="of compiled instructions")
@pytest.mark.parametrize(
    "made",
    [
        lambda: puts(16)(np.zeros(16, np.int16), np.zeros(16, np.int32), 0, 16),
        lambda: LOADS[16](np.zeros(16, np.uint8), 0, np.zeros(32, np.int8)),
        lambda: LOADS[16](np.zeros(64, np.uint8)[::2], 0, np.zeros(32, np.uint8)),
        lambda: LOADS[64](np.zeros(64, np.uint8), 0, np.zeros(256, np.uint8)[::2]),
        lambda: takes(16)(np.zeros((4, 16), np.uint8)[:, 0], 0, 4, np.zeros(16, np.uint8)),
        lambda: ITEM(np.zeros(64, np.uint8)[::2], 0),
        lambda: SET_ITEM(np.zeros(64, np.uint8)[::2], 0, 1),
        lambda: ADD(np.zeros(16, np.int16), np.zeros(16, np.int32), np.zeros(16, np.int32)),
    ],
    ids=[
        "put wider",
        "store signed",
        "load with gaps",
        "store with gaps",
        "a column",
        "an item with gaps",
        "set with gaps",
        "a sum of two types",
    ],
)
def test_arrays_with_gaps_or_of_another_type_are_refused(made):
    with pytest.raises(TypingError):
        made()


ADD = jit(lambda a, b, out: v.store(out, 0, v.load16(a, 0) + v.load16(b, 0)))


FRESH = jit(lambda array, index: v.fresh(array, index))


def test_a_number_that_is_read_anew():
    array = np.arange(5, dtype=np.int64)
    assert FRESH(array, 3) == 3
    array[3] = 9
    assert FRESH(array, 3) == 9
