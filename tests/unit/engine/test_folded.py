"""A trained synapse as real weights: codes times the step, then batch norm, in plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import small

from qpsnn_core.engine.folded import folded
from qpsnn_core.network import Conv, Linear
from qpsnn_core.quantization.rescaw import gamma


def by_hand(weight, scale, bits):
    """Eqs. 4 and 10: the nearest of the odd integers from -s to s, times gamma / s."""
    s = 2**bits - 1
    share = np.clip(weight.astype(float) / scale, -1, 1)
    return scale / s * (2 * np.rint(s / 2 * (share + 1)) - s)


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "linear"])
def test_codes_times_step_and_batch_norm(name):
    model = small.model()
    node = model.network[name]
    own = model.params[name]
    if node.bias:
        own["bias"] = small.uniform(own["bias"].shape, 7)
    if node.batch_norm:
        own["bn_weight"] = small.uniform(own["bn_weight"].shape, 8)
        model.state[name]["mean"] = small.uniform(own["bn_weight"].shape, 9)
        model.state[name]["var"] = 1 + small.uniform(own["bn_weight"].shape, 10) / 2
    weight, bias = folded(model, node)
    scale = gamma(own["weight"], node.quantizer).astype(float)
    ref, ref_bias = by_hand(own["weight"], scale, node.quantizer.bits), own.get("bias", 0.0)
    if node.batch_norm:
        ratio = own["bn_weight"] / np.sqrt(model.state[name]["var"] + 1e-5)
        ref, ref_bias = ref * ratio, own["bn_bias"] + (ref_bias - model.state[name]["mean"]) * ratio
    np.testing.assert_allclose(weight, ref, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(bias, ref_bias + np.zeros(node.channels), rtol=1e-5, atol=1e-7)


def test_the_kinds_that_were_folded_are_those_of_the_network():
    network = small.network()
    assert [node.name for node in network.of(Conv, Linear)] == ["conv1", "conv2", "conv3", "linear"]
