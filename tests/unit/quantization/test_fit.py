"""Quantizers for finished weights: the least error of all that can be stored, and exact where weights are codes."""

from __future__ import annotations

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.quantization.fit import described, fit
from qpsnn_core.quantization.formats import GAMMAS, KEPT, Quantizer
from qpsnn_core.quantization.rescaw import dequantize, quantize

BITS = [2, 3, 4, 6, 8]


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def laplace(shape, seed=0):
    return np.random.default_rng(seed).laplace(size=shape).astype(np.float32)


def relative(weight, quantizer, kept=None):
    used = dequantize(quantize(weight, quantizer, kept)).astype(np.float64)
    return np.sqrt(((used - weight) ** 2).sum() / (weight.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("draw", [normal, laplace, small.uniform])
@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (40, 6), (2, 3)])
def test_no_function_of_the_weights_has_a_smaller_error(bits, draw, shape):
    weight = draw(shape)
    found = fit(weight, bits)
    assert found.error == pytest.approx(relative(weight, found.quantizer, found.gamma), rel=1e-6)
    for name in GAMMAS:
        for granularity in ("channel", "layer"):
            for zero in (False, True):
                other = Quantizer(bits, name, granularity, zero=zero)
                assert found.error <= relative(weight, other) * 1.000001
    assert (found.gamma is None) == (found.quantizer.gamma != KEPT)


def test_the_mean_clips_two_fifths_of_finished_weights_and_a_fit_few():
    weight = normal((3, 3, 16, 32))
    mean = described(weight, Quantizer(4, "mean"))
    assert 0.35 < mean.clipped < 0.5
    assert fit(weight, 4).clipped < 0.03
    assert fit(weight, 4).error < 0.5 * mean.error


@pytest.mark.parametrize("bits", BITS)
def test_an_identity_is_exact(bits):
    weight = np.eye(10, dtype=np.float32)
    found = fit(weight, bits)
    np.testing.assert_array_equal(dequantize(quantize(weight, found.quantizer, found.gamma)), weight)
    assert (found.quantizer.zero, found.clipped, found.error) == (True, 0.0, 0.0)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_weights_that_are_codes_already_stay_what_they_are(bits, granularity):
    first = Quantizer(bits, "max", granularity)
    weight = dequantize(quantize(normal((30, 4)), first))
    found = fit(weight, bits)
    np.testing.assert_allclose(dequantize(quantize(weight, found.quantizer, found.gamma)), weight, rtol=1e-6)
    assert found.error < 1e-6


def test_pruned_weights_stay_zero_and_silent_channels_too():
    weight = normal((20, 4))
    weight[::2] = 0
    weight[:, 1] = 0
    found = fit(weight, 3, sparse=True)
    used = dequantize(quantize(weight, found.quantizer, found.gamma))
    assert (used[weight == 0] == 0).all()
    assert found.quantizer.zero
    assert fit(np.zeros((3, 2), np.float32), 4).error == 0


def test_the_straight_through_rule_is_kept_and_bits_are_checked():
    assert fit(normal((20, 4)), 3, like=Quantizer(4, "mean", ste="pass")).quantizer.ste == "pass"
    with pytest.raises(ConfigError, match=r"quantizer.bits"):
        fit(normal((2, 2)), 1)
