"""Every instruction on vectors, compiled, against the Python that says what it means.

Interpreted, an instruction is its meaning: then only the tests that name their numbers say anything.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.kernels.neurons import own_surrogate
from qpsnn_core.kernels.simd import llvm_memory
from qpsnn_core.kernels.simd import vector as v
from qpsnn_core.kernels.threads import kernel

INTEGERS = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.int64]
REALS = [np.float32, np.float64]
TYPES = [*INTEGERS, *REALS]
compiled = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="compares compiled instructions with their meaning"
)


def jit(function):
    return numba.njit(error_model="numpy")(function)


def meaning(instruction):
    return getattr(instruction, "meaning", instruction)


def draw(dtype, count=200, seed=0):
    """Numbers of a type: its ends, 0, 1 and -1, and what lies between; among real ones infinities and no-numbers."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        numbers = rng.normal(0, 100, count).astype(dtype)
        numbers[:8] = [0, -0.0, 0.5, -1.5, 2.5, np.inf, -np.inf, np.nan]
        return rng.permutation(numbers)
    ends = np.iinfo(dtype)
    numbers = rng.integers(ends.min, ends.max, count, dtype, endpoint=True)
    numbers[:5] = [ends.min, ends.max, 0, 1, ends.max // 2 + 1]
    return rng.permutation(numbers)


FILLS = {16: jit(lambda value, like, out: v.store(out, 0, v.fill16(value, like)))}
FILLS[8] = jit(lambda value, like, out: v.store(out, 0, v.fill8(value, like)))
FILLS[64] = jit(lambda value, like, out: v.store(out, 0, v.fill64(value, like)))


@compiled
@pytest.mark.parametrize("width", [8, 16, 64])
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    "value", [0, 1, -1, 127, 200, 255, 300, -300, 2**15, -(2**15) - 1, 2**16 + 3, 2**31, 2**40 + 5]
)
def test_a_filled_vector_is_cut_to_its_bits(value, dtype, width):
    out = np.empty(width, dtype)
    FILLS[width](value, out, out)
    np.testing.assert_array_equal(out, meaning({8: v.fill8, 16: v.fill16, 64: v.fill64}[width])(value, out))


def test_a_filled_vector_in_numbers():
    found = []
    for value, dtype in ((300, np.uint8), (-1, np.uint16), (2**15, np.int16), (2**32 + 7, np.int32), (-3, np.int64)):
        out = np.empty(16, dtype)
        FILLS[16](value, out, out)
        assert len(set(out.tolist())) == 1
        found.append(out[0].item())
    assert found == [44, 65535, -(2**15), 7, -3]


@compiled
@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("value", [0, 3, -7, 2**24 + 1, 0.1, np.float32(0.1), np.uint8(200), np.int16(-5), True])
def test_a_vector_filled_with_a_real_number(value, dtype):
    out = np.empty(16, dtype)
    FILLS[16](value, out, out)
    np.testing.assert_array_equal(out, v.fill16.meaning(value, out))


CONVERT = jit(lambda array, like, out: v.store(out, 0, v.to(v.load64(array, 0), like)))
MASKED = jit(lambda a, b, out: v.store(out, 0, v.to(v.greater_equal(v.load64(a, 0), v.load64(b, 0)), out)))


@compiled
@pytest.mark.parametrize("new", TYPES)
@pytest.mark.parametrize("old", TYPES)
def test_conversions(old, new):
    """Real numbers become integers where they fit them, cut towards zero; narrower integers are cut to their bits."""
    array, out = draw(old, 64), np.empty(64, new)
    if np.dtype(old).kind == "f" and np.dtype(new).kind != "f":
        array = np.random.default_rng(0).uniform(np.dtype(new).kind == "i" and -100, 100, 64).astype(old)
    CONVERT(array, out, out)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, v.to.meaning(array, out))


def test_conversions_in_numbers():
    out = np.empty(64, np.int8)
    CONVERT(np.resize(np.array([-129, 255, 256, 32767], np.int16), 64), out, out)
    assert out[:4].tolist() == [127, -1, 0, -1]
    out = np.empty(64, np.float32)
    CONVERT(np.resize(np.array([2**32 - 1, 2**24 + 1, 200], np.uint32), 64), out, out)
    assert out[:3].tolist() == [2.0**32, 2.0**24, 200]


@pytest.mark.parametrize("dtype", TYPES)
def test_comparisons_and_what_is_made_of_them(dtype):
    """Unsigned numbers beyond the signed ones' end are larger, not negative; nothing is as large as no number."""
    a, b = draw(dtype, 64, 1), draw(dtype, 64, 2)
    b[::3] = a[::3]
    for like in (np.uint8, np.int32, np.float32):
        out = np.full(64, 9, like)
        MASKED(a, b, out)
        np.testing.assert_array_equal(out, [int(x >= y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])
        assert 0 < out.sum() < 64


@jit
def larger(a, b, out):
    first, second = v.load64(a, 0), v.load64(b, 0)
    v.store(out, 0, v.select(v.greater_equal(first, second), first, second))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_larger_is_selected(dtype):
    a, b, out = draw(dtype, 64, 1), draw(dtype, 64, 2), np.empty(64, dtype)
    larger(a, b, out)
    np.testing.assert_array_equal(out, [max(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])


HALVE = jit(lambda array, bits, out: v.store(out, 0, v.halve(v.load16(array, 0), bits)))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_halves_are_rounded_down(dtype):
    array = draw(dtype, 16)
    array[:4] = [-1, -7, np.iinfo(dtype).min, np.iinfo(dtype).max]
    for bits in range(np.iinfo(dtype).bits):
        out = np.empty(16, dtype)
        HALVE(array, bits, out)
        assert out.tolist() == [number // 2**bits for number in array.tolist()]


@jit
def sums(a, b, out):
    first, second = v.load16(a, 0), v.load16(b, 0)
    v.store(out, 0, first + second)
    v.store(out, 16, first - second)
    v.store(out, 32, first * second)


@jit
def quotients(a, b, out):
    v.store(out, 0, v.load16(a, 0) / v.load16(b, 0))
    v.store(out, 16, v.negative(v.load16(a, 0)))
    v.store(out, 32, v.rint(v.load16(a, 0)))


@pytest.mark.parametrize("dtype", TYPES)
def test_sums_and_products(dtype):
    """Integers wrap around as NumPy's do, real numbers are rounded once each."""
    for seed in range(4):
        a, b, out = draw(dtype, 16, seed), draw(dtype, 16, seed + 4), np.empty(48, dtype)
        with np.errstate(all="ignore"):
            sums(a, b, out)
            np.testing.assert_array_equal(out, np.concatenate((a + b, a - b, a * b)))


@pytest.mark.parametrize("dtype", REALS)
def test_quotients_and_roundings(dtype):
    """Halves go to even ones; zeros keep their signs."""
    for seed in range(4):
        a, b, out = draw(dtype, 16, seed), draw(dtype, 16, seed + 4), np.empty(48, dtype)
        with np.errstate(all="ignore"):
            quotients(a, b, out)
            ref = np.concatenate((a / b, -a, np.rint(a)))
        np.testing.assert_array_equal(out, ref)
        np.testing.assert_array_equal(np.signbit(out[16:]), np.signbit(ref[16:]))


FUSED = jit(lambda a, b, c, out: v.store(out, 0, v.multiply_add(v.load16(a, 0), v.load16(b, 0), v.load16(c, 0))))


def test_products_that_are_added_are_rounded_once():
    """As fractions say: among them sums near a half of float32's last place, by so little that float64 loses it."""
    rng, halves = np.random.default_rng(0), 0
    for _ in range(100):
        a, b, c = (rng.normal(0, 10, 16).astype(np.float32) for _ in range(3))
        a[:8], b[:8] = 1 + 2.0**-12, 1 + rng.integers(-8, 8, 8) * 2.0**-12
        c[:8] = 2.0 ** rng.integers(10, 60, 8) * rng.choice([-1, 1], 8)
        out = np.empty(16, np.float32)
        FUSED(a, b, c, out)
        for x, y, z, comp in zip(a.tolist(), b.tolist(), c.tolist(), out, strict=True):
            exact = Fraction(x) * Fraction(y) + Fraction(z)
            near = [np.nextafter(comp, np.float32(side)) for side in (-np.inf, np.inf)]
            error = abs(Fraction(comp.item()) - exact)
            assert all(error <= abs(Fraction(other.item()) - exact) for other in near)
            halves += Fraction((np.float64(x) * y + z).item()) != exact
    assert halves > 100


@given(st.integers(0, 2**32))
def test_products_of_float64_that_are_added_are_rounded_once(seed):
    """As fractions say, also where nearly everything cancels, and where the product lies next to a half of the sum."""
    rng = np.random.default_rng(seed)
    a, b, c = (rng.standard_normal(16) * 10.0 ** rng.integers(-30, 30, 16) for _ in range(3))
    c[:4] = -a[:4] * b[:4]
    a[4:8], b[4:8] = 1 + rng.integers(-8, 8, 4) * 2.0**-52, 1 + rng.integers(-8, 8, 4) * 2.0**-30
    c[4:8] = 2.0 ** rng.integers(20, 110, 4) * rng.choice([-1, 1], 4)
    out = np.empty(16)
    FUSED(a, b, c, out)
    want = [
        float(Fraction(x) * Fraction(y) + Fraction(z))
        for x, y, z in zip(*map(np.ndarray.tolist, (a, b, c)), strict=True)
    ]
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(meaning(v.multiply_add)(a, b, c), want)


def test_products_of_float64_that_no_number_holds():
    a = np.array([np.inf, np.nan, 1e300, 1e300, 0.0, 1e300, -1e300, 2.0] * 2)
    b = np.array([1.0, 1.0, 1e300, 1e300, np.inf, 1e-300, 1e300, 3.0] * 2)
    c = np.array([-np.inf, 1.0, 1.0, -np.inf, 1.0, 1.0, np.inf, np.inf] * 2)
    out = np.empty(16)
    FUSED(a, b, c, out)
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(out[:7], [np.nan, np.nan, np.inf, -np.inf, np.nan, 2.0, np.inf])
        np.testing.assert_array_equal(meaning(v.multiply_add)(a, b, c), out)


EIGHT = jit(lambda array, out: v.store(out, 3, v.load8(array, 2)))


def test_eight_numbers_are_moved():
    for dtype in TYPES:
        array, out = draw(dtype, 12), np.zeros(12, dtype)
        EIGHT(array, out)
        np.testing.assert_array_equal(out[3:11], array[2:10])
        np.testing.assert_array_equal(meaning(v.load8)(array, 2), array[2:10])
        assert not out[[0, 1, 2, 11]].any()


@jit
def in_float64(array, value, out):
    wide = v.widen(v.load16(array, 0))
    v.store(out, 0, v.narrow(wide * wide + v.repeat(value, wide)))


def test_float32_is_computed_in_float64_and_rounded_once():
    array, out = draw(np.float32, 16), np.zeros(16, np.float32)
    in_float64(array, 1 / 3, out)
    wide = array.astype(np.float64)
    np.testing.assert_array_equal(out, (wide * wide + 1 / 3).astype(np.float32))
    np.testing.assert_array_equal(meaning(v.widen)(array), wide)
    np.testing.assert_array_equal(meaning(v.narrow)(wide), array)
    np.testing.assert_array_equal(meaning(v.repeat)(1 / 3, wide), np.full(16, 1 / 3))


def test_a_sum_that_float64_would_take_for_a_half():
    """2**24 + 1 + 2**-40: float64 drops the last term, and float32 would then round the half to the even 2**24."""
    a, b = np.full(16, 1 + 2.0**-20, np.float32), np.full(16, 1 - 2.0**-20, np.float32)
    out = np.empty(16, np.float32)
    for sign in (1, -1):
        FUSED(sign * a, b, np.full(16, sign * 2.0**24, np.float32), out)
        assert set(out.tolist()) == {sign * 2.0**24}
        FUSED(sign * a, a, np.full(16, sign * 2.0**24, np.float32), out)
        assert set(out.tolist()) == {sign * (2.0**24 + 2)}


def test_products_of_what_is_no_number():
    a = np.resize(np.array([np.inf, -np.inf, np.nan, 0, 1, 3e38], np.float32), 16)
    b, c = (
        np.resize(np.array([1, 0, 5, np.inf, 2, 10], np.float32), 16),
        np.resize(np.array([-np.inf, 1], np.float32), 16),
    )
    out = np.empty(16, np.float32)
    with np.errstate(all="ignore"):
        FUSED(a, b, c, out)
        np.testing.assert_array_equal(out, (a.astype(float) * b + c).astype(np.float32))


def test_a_product_is_not_rounded_before_it_is_added():
    """(1 + 2**-12)**2 - 1 - 2**-11 is 2**-24, which the product's own rounding would lose."""
    a, c, out = np.full(16, 1 + 2.0**-12, np.float32), np.full(16, -1 - 2.0**-11, np.float32), np.empty(16, np.float32)
    FUSED(a, a, c, out)
    assert set(out.tolist()) == {2.0**-24}


@kernel
def sums_of_products(a, b, c, out):
    """Of vectors, and of numbers in a loop that LLVM makes vectors of."""
    v.store(out, 0, v.load16(a, 0) * v.load16(b, 0) + v.load16(c, 0))
    for i in range(16, len(out)):
        out[i] = a[i] * b[i] + c[i]


@kernel
def running_sum(array):
    total = array[0]
    for i in range(1, len(array)):
        total += array[i]
    return total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_fused_that_does_not_say_so(dtype):
    """(1 + e)**2 - 1 - 2e is 0 where the product is rounded, e being the square root of the type's precision."""
    e = 2.0**-12 if dtype == np.float32 else 2.0**-27
    a, c, out = np.full(64, 1 + e, dtype), np.full(64, -1 - 2 * e, dtype), np.empty(64, dtype)
    sums_of_products(a, a, c, out)
    assert not out.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loop_adds_in_its_order(dtype):
    array = np.random.default_rng(0).normal(0, 1, 1000).astype(dtype)
    ref = array[0]
    for one in array[1:]:
        ref = ref + one
    assert running_sum(array) == ref


def appending():
    """append, compiled anew: as the processor's features are said to be at the first call."""

    def move(array, least, out, index):
        vector = v.load16(array, 0)
        return v.append(out, index, v.greater_equal(vector, v.fill16(least, array)), vector)

    return jit(move)


@pytest.mark.parametrize("features", [(True, True), (False, True), (False, False)], ids=["AVX-512", "AVX2", "none"])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_some_numbers_are_appended_in_their_order(dtype, kind, features, monkeypatch):
    for name, there in zip(("AVX512", "AVX2"), features, strict=True):
        monkeypatch.setattr(llvm_memory, name, there and getattr(llvm_memory, name))
    move = appending()
    for seed in range(20):
        array = np.random.default_rng(seed).integers(-9, 9, 16).astype(dtype)
        for least in (-9, -3, 0, 5, 8, 10):
            out = np.full(40, 77, kind)
            ref = array[array >= least].astype(kind).tolist()
            assert move(array, least, out, 3) == 3 + len(ref)
            assert out[: 3 + len(ref)].tolist() == [77] * 3 + ref
            assert (out[3 + 16 :] == 77).all()


@compiled
def test_numbers_are_appended_by_every_order_of_eight():
    """All 256 of the table, in each half."""
    move = appending()
    for bits in range(256):
        flags = np.array([bits >> i & 1 for i in range(8)] + [bits >> (7 - i) & 1 for i in range(8)])
        array, out = np.where(flags, np.arange(1, 17), -np.arange(1, 17)).astype(np.int32), np.zeros(32, np.int32)
        count = move(array, 0, out, 0)
        assert out[:count].tolist() == [x for x in array.tolist() if x >= 0]


HALVES = jit(
    lambda array, low, high: (
        v.store(low, 0, v.low_nibble(v.load64(array, 0))),
        v.store(high, 0, v.high_nibble(v.load64(array, 0))),
    )
)


def test_the_two_halves_of_bytes():
    for begin in range(0, 256, 64):
        array, low, high = np.arange(begin, begin + 64, dtype=np.uint8), np.empty(64, np.uint8), np.empty(64, np.uint8)
        HALVES(array, low, high)
        assert [(int(a), int(b)) for a, b in zip(high, low, strict=True)] == [divmod(int(n), 16) for n in array]


WEAVE = {
    16: jit(lambda array, out: v.store(out, 0, v.weave(v.load16(array, 0), v.load16(array, 16)))),
    64: jit(lambda array, out: v.store(out, 0, v.weave(v.load64(array, 0), v.load64(array, 64)))),
}


@pytest.mark.parametrize("width", WEAVE)
@pytest.mark.parametrize("dtype", TYPES)
def test_two_vectors_are_woven(dtype, width):
    array, out = draw(dtype), np.empty(2 * width, dtype)
    WEAVE[width](array, out)
    np.testing.assert_array_equal(out[::2], array[:width])
    np.testing.assert_array_equal(out[1::2], array[width : 2 * width])


def test_every_instruction_is_tested():
    """By name, in one of the files of kernels' tests; an instruction is what has a meaning."""
    names = [name for name, value in vars(v).items() if hasattr(value, "meaning")]
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name in names if not re.search(rf"\b(v|vector)\.{name}\b", text)] == []
    assert numba.config.DISABLE_JIT or len(names) > 15


def halved(x, width):
    return x / (abs(x) + width)


@compiled
def test_c_code_is_called_for_each_number():
    address = own_surrogate.compiled(halved)
    numbers = np.linspace(-3, 5, 16).astype(np.float32)
    found = np.empty_like(numbers)
    jit(lambda address, values, out: v.store(out, 0, v.each(address, v.load16(values, 0), np.float32(0.75))))(
        address, numbers, found
    )
    width = np.float32(0.75)
    np.testing.assert_array_equal(found, numbers / (np.abs(numbers) + width))
    np.testing.assert_array_equal(found, meaning(v.each)(lambda x, width: x / (abs(x) + width), numbers, width))
