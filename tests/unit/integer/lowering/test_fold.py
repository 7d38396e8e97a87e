"""Currents as codes, scale and shift: the float32 numbers of training, and what each accumulator can be."""

from __future__ import annotations

import numpy as np
import pytest
from generators.all_kinds import block, images_of, model_of, tiny, tiny_model

from qpsnn_core.common.errors import NumericsError
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.lowering.fold import affine
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network import Conv, Linear, Quantizer, Shortcut


@pytest.mark.parametrize("quantizer", [Quantizer(4, "mean"), Quantizer(3, "mean", zero=True), None])
def test_scales_and_shifts_are_those_of_training(quantizer):
    model = model_of(block().change("conv3", quantizer=quantizer))
    values = forward(model, images_of(model.network), save_for_backward=True).values
    for node in model.network.of(Conv, Linear, Shortcut):
        current = affine(model, node)
        zero = 2 if getattr(node, "quantizer", None) and node.quantizer.zero else 1
        np.testing.assert_array_equal(current.shift, values[node.name].shift)
        if not current.rounded:
            np.testing.assert_array_equal(current.scale, np.abs(values[node.name].scale) * zero)
        np.testing.assert_allclose(current.plain_scale, current.scale, rtol=1e-6)
        np.testing.assert_allclose(current.plain_shift, current.shift, rtol=1e-6, atol=1e-7)


def test_nothing_comes_through_the_padded_channels_of_a_shortcut():
    """Else their membranes seem to reach the peak: units become coarser, dead channels alive."""
    model = model_of(block())
    reach = affine(model, model.network["short"]).reach
    assert reach.high.tolist() == [1, 0, 1, 1, 1, 1]
    assert reach.low.tolist() == [0] * 6
    padded = lower(model).network.values["short"].interval
    assert (padded.high > 0).tolist() == [True, False, True, True, True, True]


def test_a_channel_that_only_padding_feeds_is_dead():
    network = block()
    model = model_of(network)
    model.params["conv2"]["bn_weight"][1] = 0
    model.params["conv2"]["bn_bias"][1] = 0.4
    assert 1 in lower(model).report["lif2"].dead
    model.params["conv2"]["bn_bias"][1] = 0.6
    assert 1 not in lower(model).report["lif2"].dead


def test_what_float32_cannot_hold_is_refused():
    network = tiny()
    with pytest.raises(NumericsError, match=r"conv: expected a shift of its current that is a finite float32"):
        lower(tiny_model(network, bn_weight=[1, 1], bn_bias=[3e38, 0], mean=[-3e38, 0], var=[1, 1]))
