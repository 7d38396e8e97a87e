"""Exponential, logarithm, sine, cosine and powers against series in 40 digits; what they are where floats end."""

from __future__ import annotations

import math

import numpy as np
import pytest

from naive import elementary as naive
from qpsnn_core.kernels import elementary
from qpsnn_core.kernels.simd import vector
from qpsnn_core.kernels.threads import kernel


def draw(seed, *ranges, count=300):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(low, high, count) for low, high in ranges])


def most(found, exact, xs):
    return max(naive.ulps(one, exact(x)) for one, x in zip(found.tolist(), xs.tolist(), strict=True))


def test_exponential():
    xs = draw(0, (-1, 1), (-40, 0), (-700, 700))
    assert most(elementary.exp(xs), naive.exponential, xs) < 0.9


def test_exponential_where_floats_end():
    xs = np.array([-np.inf, -800, -745, -708.5, 0, 709.7, 711, np.inf, np.nan])
    found = elementary.exp(xs)
    np.testing.assert_array_equal(found[[0, 1, 4, 6, 7, 8]], [0, 0, 1, np.inf, np.inf, np.nan])
    assert found[2] == 5e-324
    assert most(found[[3, 5]], naive.exponential, xs[[3, 5]]) < 1
    assert elementary.exp(0.5) == elementary.exp(np.array([0.5]))[0]


def test_logarithm():
    xs = np.concatenate((draw(1, (0.5, 2), (1, 100), (0.999, 1.001)), np.exp2(draw(2, (-1074, 1023)))))
    assert most(elementary.log(xs), naive.logarithm, xs) < 0.9
    assert elementary.log(1.0) == 0
    assert not np.signbit(elementary.log(np.array([1.0])))[0]


def test_sine_and_cosine():
    xs = draw(3, (-math.pi / 4, math.pi / 4), (-1e-3, 1e-3))
    assert most(elementary.sine(xs), naive.sine, xs) < 0.9
    assert most(elementary.cosine(xs), naive.cosine, xs) < 0.9


def test_cosine_of_half_turns():
    pi = naive.half_turn()
    for share in (*draw(4, (0, 1)).tolist(), 0.25, 0.5 - 2.0**-54, 0.75):
        off = naive.cosine(pi * naive.Decimal(share)) - naive.Decimal(elementary.cosine_of_half_turns(share))
        assert abs(float(off)) < 2.0**-52
    assert [elementary.cosine_of_half_turns(share) for share in (0, 0.5, 1)] == [1, 0, -1]


@pytest.mark.parametrize("base", [0.9, 0.999, 0.1, 1.0, 0.0])
def test_powers(base):
    """Each product is rounded: as many times half a unit as the exponent, at the most."""
    for exponent in (0, 1, 2, 3, 10, 1000, 12345):
        found, exact = elementary.power(base, exponent), naive.power(base, exponent)
        assert found == exact or exact < 1e-300 or naive.ulps(found, exact) <= max(1, exponent)
    assert elementary.power(0.5, 40) == 2.0**-40


@kernel
def exponential_of(array, out):
    vector.store(out, 0, elementary.exponential(vector.load16(array, 0)))


def test_exponentials_of_vectors_are_rounded_once():
    """From float64: half a unit of float32's last place, and a hair."""
    for seed in range(20):
        array, out = draw(seed, (-100, 85), count=16).astype(np.float32), np.empty(16, np.float32)
        exponential_of(array, out)
        for x, y in zip(array.tolist(), out.tolist(), strict=True):
            unit = float(np.spacing(np.float32(y)))
            assert abs(float(naive.exponential(x) - naive.Decimal(y))) <= 0.5000001 * unit


def test_exponentials_of_vectors_where_floats_end():
    wanted = [(-np.inf, 0), (np.inf, np.inf), (np.nan, np.nan), (-104, 0), (-103, 2.0**-149), (89, np.inf), (0, 1)]
    array, out = np.zeros(16, np.float32), np.empty(16, np.float32)
    array[: len(wanted)] = [x for x, _ in wanted]
    exponential_of(array, out)
    np.testing.assert_array_equal(out[: len(wanted)], np.array([y for _, y in wanted], np.float32))


def test_powers_of_two():
    @kernel
    def powers(array, out):
        vector.store(out, 0, vector.power_of_two(vector.load16(array, 0)))

    array = np.array([-1022, -1000, -150, -127, -126, -3, -2, -1, 0, 1, 2, 3, 127, 128, 1000, 1022], np.float64)
    out = np.empty(16)
    powers(array, out)
    np.testing.assert_array_equal(out, 2.0**array)
