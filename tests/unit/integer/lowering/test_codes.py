"""Codes and scales of a folded current are its weights; channels that say nothing; sums that int32 cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import LoweringError
from qpsnn_core.integer.lowering.fold import affine
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network import Input, Linear, Network, Quantizer, Readout
from qpsnn_core.network.model import Model


def one_linear(weight, peak=1, **options):
    """image -> linear -> readout, with these weights [d, K]."""
    d, classes = weight.shape
    nodes = (Input("image", (1, 1, d), peak, 1.0), Linear("linear", "image", classes, **options))
    network = Network((*nodes, Readout("readout", "linear")), 1)
    return Model(network, {"linear": {"weight": weight, "bias": np.zeros(classes, np.float32)}}, {})


@pytest.mark.parametrize("sparse", [False, True])
def test_real_weights_are_their_codes_times_the_scale(sparse):
    """Eight bits, by the largest of a channel: integers up to 127 where there is a zero, odd ones up to 255 else."""
    weight = np.float32([[1.0, -2.0], [-0.5, 0.25], [0.0, 0.0], [0.125, 2.0]])
    model = one_linear(weight, quantizer=None, sparse=sparse)
    folded = affine(model, model.network["linear"])
    found = folded.codes.reshape(4, 2).astype(float) * folded.scale
    np.testing.assert_allclose(found, weight, atol=1 / 127)
    halved = folded.codes.dtype == np.int8
    assert np.abs(folded.codes).max() == (127 if halved else 255)
    assert halved or not sparse
    assert not sparse or (folded.codes.reshape(4, 2)[2] == 0).all()


@pytest.mark.parametrize(("inputs", "fits"), [(64, True), (128, True), (130, False), (160, False)])
def test_what_a_sum_may_reach_counts_from_its_lowest_to_its_highest(inputs, fits):
    """Half of the weights are negative: highest and lowest cancel, and lie too far apart all the same."""
    weight = np.repeat(np.float32([[1.0], [-1.0]]), inputs // 2, axis=0)
    model = one_linear(weight, 65535, quantizer=Quantizer(8, gamma="max"))
    assert (inputs * 255 * 65535 < 2**31) is fits
    if fits:
        folded = affine(model, model.network["linear"])
        assert (folded.reach.low[0], folded.reach.high[0]) == (-inputs // 2 * 255 * 65535, inputs // 2 * 255 * 65535)
        return
    with pytest.raises(LoweringError, match=r"linear\.weight: expected accumulators of at most 2147483647"):
        affine(model, model.network["linear"])


def test_channels_without_a_scale_divide_by_nothing():
    model = small.model()
    model.params["conv2"]["bn_weight"][2] = 0
    model.params["conv3"]["bn_weight"][:] = 0
    with np.errstate(all="raise"):
        lower(model)
