"""Quantizing and updating in one pass, against loops; 16 weights at a time, whatever their number and the channels'."""

from __future__ import annotations

import math

import numpy as np
import pytest

from naive import optimizer as naive_optimizer
from naive import quantize as naive
from qpsnn_core.kernels import quantize
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.sgd import SGDFactors, sgd_step, sum_squares

F = np.float32
SHAPES = [(1, 1), (5, 1), (16, 1), (17, 1), (7, 3), (1, 15), (3, 16), (5, 17), (2, 31), (3, 33), (2, 64), (3, 100)]


def spans(weight):
    """Two parts of its rows, the later one first."""
    return [(len(weight) // 3, len(weight)), (0, len(weight) // 3)]


def draw(rows, channels):
    """Weights of which some are zero, some at the edges of codes, some beyond gamma; and gammas."""
    rng = np.random.default_rng([rows, channels])
    weight = rng.normal(0, 1, (rows, channels)).astype(F)
    weight.flat[::5] = 0
    scale = rng.uniform(0.5, 1.5, channels).astype(F)
    weight[0] = scale * rng.choice([-1, 1, 0.5, -2, 1.0000001], channels).astype(F)
    return weight, scale


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_codes_and_their_sums(shape, bits):
    weight, scale = draw(*shape)
    levels = 2**bits - 1
    codes = np.full(weight.size + 16, 99, np.int16 if bits == 8 else np.int8)
    sums = np.ones(shape[1], np.int64)
    for start, stop in spans(weight):
        quantize.encode(start, stop, weight.reshape(-1), tile_channels(scale), levels, codes[: weight.size], sums)
    ref = np.array(naive.codes(weight, scale, bits)).reshape(shape)
    np.testing.assert_array_equal(codes[: weight.size].reshape(shape), ref)
    np.testing.assert_array_equal(sums - 1, np.abs(ref.astype(np.int64)).sum(0))
    assert (codes[weight.size :] == 99).all()


@pytest.mark.parametrize("bits", range(1, 9))
def test_a_weight_between_two_codes_goes_to_the_even_integer(bits):
    """Gamma is the number of levels, and weights lie in the middle: every quotient and product is exact."""
    levels = 2**bits - 1
    places = np.arange(levels) + 0.5
    scale = np.full(1, levels, F)
    weight = (places * 2 - levels).astype(F)
    codes = np.empty(levels, np.int16)
    quantize.encode(0, len(weight), weight, tile_channels(scale), levels, codes, np.zeros(1, np.int64))
    exact = [(F(w) / F(levels) + F(1)) * F(levels / 2) for w in weight]
    assert codes.tolist() == [2 * round(float(place)) - levels for place in exact]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_of_sizes(shape):
    """Float64, n terms: n roundings of the sum."""
    weight, _ = draw(*shape)
    sums = np.zeros(shape[1])
    for start, stop in spans(weight):
        quantize.sum_abs(start, stop, weight.reshape(-1), sums)
    for total, column in zip(sums, weight.T, strict=True):
        ref = math.fsum(abs(value) for value in column.tolist())
        assert abs(total - ref) <= len(column) * 2.0**-53 * ref


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sum_shows_what_is_no_number(value):
    weight = np.ones((5, 3), F)
    weight[3, 1] = value
    sums = np.zeros(3)
    for start, stop in spans(weight):
        quantize.sum_abs(start, stop, weight.reshape(-1), sums)
    assert np.isfinite(sums).tolist() == [True, False, True]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_pass_within_gamma(shape):
    """At gamma itself, too."""
    weight, scale = draw(*shape)
    gradient = np.random.default_rng(1).normal(0, 1, shape).astype(F)
    out = np.full(weight.size + 16, 99, F)
    for start, stop in spans(weight):
        quantize.pass_within(
            start, stop, gradient.reshape(-1), weight.reshape(-1), tile_channels(scale), out[: weight.size]
        )
    ref = naive.straight_through(gradient, weight, scale, "clip")
    np.testing.assert_array_equal(out[: weight.size].reshape(shape), ref)
    assert (out[weight.size :] == 99).all()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.01)])
def test_steps_of_sgd(momentum, decay, nesterov):
    """Three steps of float32, each a few roundings, against the loops in Python's numbers."""
    rng = np.random.default_rng(0)
    gradients, rates = rng.normal(0, 1, (3, 20)).astype(F), [0.1, 0.05, 0.2]
    param, speed = rng.normal(0, 1, 20).astype(F), np.zeros(20, F)
    ref = [
        naive_optimizer.sgd(p.item(), own.tolist(), rates, momentum, decay, nesterov)
        for p, own in zip(param, gradients.T, strict=True)
    ]
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True)):
        before, out, faster = param.copy(), np.empty_like(param), np.empty_like(speed)
        factors = SGDFactors(F(rate), F(momentum), F(decay), nesterov)
        for start, stop in ((7, 20), (0, 7)):
            sgd_step(start, stop, param, gradient, speed, factors, out, faster)
        np.testing.assert_array_equal(param, before)
        param, speed = out, faster
        np.testing.assert_allclose(param, [one[step] for one in ref], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_squares_are_summed_in_float64(size):
    array = np.random.default_rng(size).normal(0, 1, size).astype(np.float32)
    sums = np.zeros(16)
    for start, stop in ((0, size // 2), (size // 2, size)):
        sum_squares(start, stop, array, sums)
    assert math.fsum(sums) == pytest.approx(naive_optimizer.sum_squares(array), rel=1e-15)
