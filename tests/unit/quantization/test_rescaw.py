"""Quantization against a scalar twin: every number of bits, gamma, granularity and straight-through rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from naive import quantize as naive
from qpsnn_core.common.errors import ConfigError, NumericsError
from qpsnn_core.experiments.audit import codes_of
from qpsnn_core.network import Quantizer
from qpsnn_core.quantization import rescaw as comp
from qpsnn_core.quantization.formats import GAMMAS, GRANULARITIES, STRAIGHT_THROUGH
from qpsnn_core.recipes.network import NetworkConfig

BITS = range(2, 9)
SCALES = (0.02, 1.0, 40.0)


def weights(seed=0, shape=(3, 3, 4, 5), scale=0.02):
    """Channels of different spread, one of them all zero."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.2, 3.0, shape[-1])
    spread[-1] = 0.0
    return (rng.normal(scale=scale, size=shape) * spread).astype(np.float32)


@pytest.mark.parametrize(("gamma", "granularity"), list(itertools.product(GAMMAS, GRANULARITIES)))
@pytest.mark.parametrize("share", [0.99, 0.9, 1.0])
def test_gamma(gamma, granularity, share):
    weight = weights()
    scale = comp.gamma(weight, Quantizer(4, gamma, granularity, percentile=share))
    assert scale.dtype == np.float32
    np.testing.assert_allclose(scale, naive.gamma(weight, gamma, granularity, share), rtol=2e-6)


@pytest.mark.parametrize(("gamma", "granularity"), list(itertools.product(GAMMAS, GRANULARITIES)))
@pytest.mark.parametrize("bits", BITS)
def test_codes_and_weights(bits, gamma, granularity):
    quantizer = Quantizer(bits, gamma, granularity)
    for scale in SCALES:
        weight = weights(bits, scale=scale)
        coded = comp.quantize(weight, quantizer)
        np.testing.assert_array_equal(coded.gamma, comp.gamma(weight, quantizer))
        np.testing.assert_array_equal(coded.codes, naive.codes(weight, coded.gamma, bits))
        assert coded.codes.dtype == (np.int8 if bits < 8 else np.int16)
        assert coded.step.dtype == np.float32
        atol = 1e-6 * coded.gamma.max()
        np.testing.assert_allclose(comp.dequantize(coded), naive.dequantized(weight, coded.gamma, bits), atol=atol)
        assert comp.dequantize(coded).dtype == np.float32


@pytest.mark.parametrize("bits", BITS)
def test_integers_are_the_papers(bits):
    quantizer = Quantizer(bits, "mean")
    coded = comp.quantize(weights(), quantizer)
    whole = comp.integers(coded.codes, quantizer)
    assert whole.min() >= 0
    assert whole.max() <= 2**bits - 1
    np.testing.assert_array_equal(2 * whole - quantizer.levels, coded.codes)


@pytest.mark.parametrize(("ste", "gamma"), list(itertools.product(STRAIGHT_THROUGH, GAMMAS)))
def test_straight_through(ste, gamma):
    weight, gradient = weights(1), weights(2, scale=1.0)
    quantizer = Quantizer(4, gamma, ste=ste)
    scale = comp.gamma(weight, quantizer)
    ref = naive.straight_through(gradient, weight, scale, ste)
    result = comp.straight_through(gradient, weight, scale, quantizer)
    over = gradient.copy()
    assert comp.straight_through(over, weight, scale, quantizer, out=over) is over
    np.testing.assert_array_equal(over, result)
    np.testing.assert_allclose(result, ref, rtol=1e-6)
    assert result.dtype == np.float32


def test_straight_through_at_the_very_edge():
    """`|W/gamma| <= 1` holds for the largest weight itself."""
    weight = weights()
    quantizer = Quantizer(4, "max")
    ones = np.ones_like(weight)
    np.testing.assert_array_equal(comp.straight_through(ones, weight, comp.gamma(weight, quantizer), quantizer), ones)


@pytest.mark.parametrize("bits", BITS)
def test_utilization(bits):
    weight = weights()
    for quantizer in (Quantizer(bits, "mean"), Quantizer(bits, "one")):
        scale = comp.gamma(weight, quantizer)
        assert comp.utilization(weight, quantizer) == naive.utilization(weight, scale, bits)


def test_rescaling_uses_what_vanilla_leaves_unused():
    """The paper's argument for ReScaW: small weights fall on few integers until they are divided by gamma."""
    weight = weights(shape=(3, 3, 32, 33), scale=0.02)[..., :-1]
    assert comp.utilization(weight, Quantizer(8, "one")) < 0.2
    assert comp.utilization(weight, Quantizer(8, "mean")) > 0.7
    assert comp.utilization(weight, Quantizer(4, "mean")) == 1.0


def test_the_four_levels_of_two_bits():
    weight = np.array([[-2.0], [-0.7], [-0.6], [-0.1], [0.1], [0.6], [0.7], [2.0]], np.float32)
    coded = comp.quantize(weight, Quantizer(2, "one"))
    assert coded.codes.ravel().tolist() == [-3, -3, -1, -1, 1, 1, 3, 3]
    np.testing.assert_allclose(comp.dequantize(coded).ravel()[:4], [-1, -1, -1 / 3, -1 / 3])


@pytest.mark.parametrize("bits", BITS)
def test_ties_go_to_the_even_integer(bits):
    """Zero lies halfway between the two middle integers; the upper, `2**(b-1)`, is the even one: the code +1."""
    weight = np.array([[-1.0], [0.0], [-0.0], [1.0]], np.float32)
    coded = comp.quantize(weight, Quantizer(bits, "one"))
    assert coded.codes.ravel().tolist() == [1 - 2**bits, 1, 1, 2**bits - 1]


def test_a_channel_of_zeros_has_gamma_one():
    weight = np.zeros((3, 2), np.float32)
    weight[:, 0] = 0.5
    for gamma in GAMMAS:
        assert comp.gamma(weight, Quantizer(4, gamma))[1] == 1.0
        assert np.isfinite(comp.dequantize(comp.quantize(weight, Quantizer(4, gamma)))).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_weights_that_are_no_numbers(value, gamma):
    weight = weights()
    weight[0, 1, 2, 3] = value
    with pytest.raises(NumericsError, match="weight: expected finite numbers, got NaN or infinity"):
        comp.quantize(weight, Quantizer(4, gamma))


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize(("kind", "bits"), [("sawb", 4), ("sawb", 8), ("ternary", 2)])
def test_the_quantizers_of_spquant(kind, bits, granularity):
    """sawb: `k*2*mean/n`, n = 2**(bits-1) - 1; ternary: the sign, where the magnitude is above 0.05 of the largest."""
    weight, quantizer = weights(), Quantizer(bits, kind, granularity, zero=True)
    coded = comp.quantize(weight, quantizer)
    scales = naive.gamma(weight, kind, granularity)
    np.testing.assert_allclose(coded.gamma, scales, rtol=2e-6)
    found, n = comp.dequantize(coded), 2 ** (bits - 1) - 1
    groups = np.abs(weight).max((0, 1, 2) if granularity == "channel" else None)
    for index in np.ndindex(weight.shape):
        value, scale = weight[index], coded.gamma[index[-1]]
        level = np.clip(naive.half_to_even(float(value / scale * np.float32(n))), -n, n)
        if kind == "ternary":
            level = np.sign(value) * (
                abs(value) > np.float32(0.05) * np.broadcast_to(groups, weight.shape[-1:])[index[-1]]
            )
        assert abs(found[index] - level * scale / n) <= 1e-6 * scale
    np.testing.assert_array_equal(codes_of(weight, quantizer), coded.codes)


def test_what_spquants_quantizers_need_is_said():
    with pytest.raises(ConfigError, match=r"quantizer.zero: expected true, where gamma is 'sawb', got False"):
        Quantizer(4, "sawb")
    with pytest.raises(ConfigError, match=r"quantizer.bits: expected 2, where gamma is 'ternary', got 4"):
        Quantizer(4, "ternary", zero=True)
    assert NetworkConfig(bits=2, gamma="ternary", granularity="layer").quantizer.zero
    with pytest.raises(ConfigError, match=r"bits: expected 2, where gamma is 'ternary', got 4"):
        NetworkConfig(bits=4, gamma="ternary")
