"""What holds for the codes of any weights."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from qpsnn_core.network import Quantizer
from qpsnn_core.quantization.formats import GAMMAS, GRANULARITIES, STRAIGHT_THROUGH
from qpsnn_core.quantization.rescaw import dequantize, gamma, integers, quantize, straight_through, utilization

EPS = np.finfo(np.float32).eps

finite = st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False).map(
    lambda value: 0.0 if abs(value) < 2.0**-60 else value
)
weights = arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=finite)
quantizers = st.builds(
    Quantizer,
    bits=st.integers(2, 8),
    gamma=st.sampled_from(GAMMAS),
    granularity=st.sampled_from(GRANULARITIES),
    ste=st.sampled_from(STRAIGHT_THROUGH),
    percentile=st.floats(0.51, 1.0),
)


@given(weights, quantizers)
def test_codes_are_odd_and_bounded(weight, quantizer):
    codes = quantize(weight, quantizer).codes.astype(int)
    assert (codes % 2 == 1).all()
    assert (np.abs(codes) <= quantizer.levels).all()
    assert codes.shape == weight.shape


@given(weights, quantizers)
def test_gamma_is_positive_and_finite(weight, quantizer):
    scale = gamma(weight, quantizer)
    assert (scale > 0).all()
    assert np.isfinite(scale).all()
    assert scale.shape == weight.shape[-1:]
    if quantizer.granularity == "layer":
        assert len(set(scale.tolist())) == 1


@given(weights, quantizers)
def test_the_error_of_an_unclipped_weight_is_at_most_one_step(weight, quantizer):
    """Neighbouring levels lie two steps apart."""
    coded = quantize(weight, quantizer)
    error = np.abs(dequantize(coded).astype(float) - weight)
    inside = np.abs(weight) <= coded.gamma
    bound = coded.step.astype(float) + 4 * EPS * coded.gamma
    assert (error <= bound)[inside].all()


@given(weights, quantizers)
def test_a_clipped_weight_has_the_outermost_code(weight, quantizer):
    coded = quantize(weight, quantizer)
    outside = np.abs(weight) > coded.gamma
    np.testing.assert_array_equal(coded.codes[outside], quantizer.levels * np.sign(weight[outside]))


@given(weights, st.integers(2, 8))
def test_gamma_one_is_vanilla_quantization(weight, bits):
    """Eq. 6: `2/s * round(s/2 * (clamp(W, -1, 1) + 1)) - 1`."""
    s = 2**bits - 1
    vanilla = 2 / s * np.rint((np.clip(weight, -1, 1) + np.float32(1)) * np.float32(s / 2)) - 1
    np.testing.assert_allclose(dequantize(quantize(weight, Quantizer(bits, "one"))), vanilla, atol=1e-6)


@given(weights, quantizers)
def test_larger_weights_have_codes_at_least_as_large(weight, quantizer):
    codes = quantize(weight, quantizer).codes
    for channel in range(weight.shape[-1]):
        order = np.argsort(weight[:, channel])
        assert (np.diff(codes[order, channel].astype(int)) >= 0).all()


@given(weights, quantizers)
def test_negated_weights_have_negated_codes_but_for_ties(weight, quantizer):
    """At a tie both signs round to the same even integer."""
    there = quantize(weight, quantizer)
    back = quantize(-weight, quantizer)
    np.testing.assert_allclose(back.gamma, there.gamma, rtol=1e-5)
    place = (np.clip(weight / there.gamma, -1, 1) + 1.0) * (quantizer.levels / 2)
    clear = np.abs(place % 1 - 0.5) > 1e-3
    np.testing.assert_array_equal(back.codes[clear], -there.codes[clear])


@given(weights, quantizers, st.integers(-8, 8))
@example(np.float32([[0], [0], [0], [0], [0.5]]), Quantizer(2, "percentile", percentile=0.75), 1)
def test_rescaling_leaves_the_codes_alone(weight, quantizer, exponent):
    """ReScaW does not see a factor common to all weights; vanilla quantization does. Powers of two are exact."""
    assume(quantizer.gamma != "one")
    factor = np.float32(2.0**exponent)
    before, after = quantize(weight, quantizer), quantize(weight * factor, quantizer)
    np.testing.assert_array_equal(after.codes, before.codes)


@given(weights, quantizers)
def test_quantized_weights_keep_their_codes(weight, quantizer):
    """With the same gamma, quantizing twice is quantizing once."""
    coded = quantize(weight, quantizer)
    again = quantize(dequantize(coded) / coded.gamma, Quantizer(quantizer.bits, "one"))
    np.testing.assert_array_equal(again.codes, coded.codes)


@given(weights, quantizers)
def test_integers_and_utilization(weight, quantizer):
    whole = integers(quantize(weight, quantizer).codes, quantizer)
    assert ((whole >= 0) & (whole <= quantizer.levels)).all()
    share = utilization(weight, quantizer)
    assert share == len(set(whole.ravel().tolist())) / 2**quantizer.bits
    assert 0 < share <= min(1, weight.size / 2**quantizer.bits)


@given(weights, quantizers)
def test_straight_through_masks_or_rescales(weight, quantizer):
    scale = gamma(weight, quantizer)
    through = straight_through(np.ones_like(weight), weight, scale, quantizer)
    if quantizer.ste == "clip":
        np.testing.assert_array_equal(through, np.abs(weight) <= scale)
    else:
        np.testing.assert_allclose(through * scale, 1, rtol=1e-6)
