"""Real weights take a dense product where spikes are many; codes stay with events; both give the same sums."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.engine.layers import conv
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.network import Conv, Quantizer
from qpsnn_core.network.values import ValueSpec

SHAPE = (6, 5, 7)


def run(rate, channels=20, quantizer=None, stride=1):
    node = Conv("conv", "x", channels, stride=stride, quantizer=quantizer, batch_norm=False)
    value = ValueSpec("spikes", SHAPE, max_count=1, scale=0.5)
    params, state = conv.init(node, (value,), np.random.default_rng(0))
    x = (np.random.default_rng(1).random((2, 3, *SHAPE)) < rate).astype(np.uint8)
    return conv.forward(node, LayerContext(params, state, (value,), 2, True, True), x).value


@pytest.mark.parametrize(("rate", "quantizer", "dense"), [(0.1, None, 0), (0.9, None, 1), (0.9, Quantizer(4), 0)])
def test_which_product_is_taken(monkeypatch, rate, quantizer, dense):
    taken = []
    product = conv._dense
    monkeypatch.setattr(conv, "_dense", lambda *given: taken.append(1) or product(*given))
    run(rate, quantizer=quantizer)
    assert len(taken) == dense


@pytest.mark.parametrize("channels", [3, 20, 100])
@pytest.mark.parametrize("stride", [1, 2])
def test_both_give_the_same_sums(monkeypatch, channels, stride):
    """Up to the rounding of 63 float32 terms in another order."""
    dense = run(0.9, channels, stride=stride)
    monkeypatch.setattr(conv, "_dense_wins", lambda *given: False)
    events = run(0.9, channels, stride=stride)
    assert dense.acc.shape == events.acc.shape
    np.testing.assert_allclose(dense.acc, events.acc, atol=63 * 2.0**-24 * np.abs(events.acc).max())
    np.testing.assert_array_equal(dense.scale, events.scale)


@pytest.mark.parametrize(
    ("inputs", "rate", "wins"), [(8, 0.4, False), (8, 0.6, True), (512, 0.1, False), (512, 0.3, True)]
)
def test_rates_at_which_it_changes(inputs, rate, wins):
    """What the cache does not hold costs as much as the product sooner."""
    spikes = np.zeros((1, 1, 10, 10, inputs), np.uint8)
    spikes.reshape(-1)[: int(rate * spikes.size)] = 1
    used = conv.used_weights(np.ones((3, 3, inputs, 64), np.float32), None)
    assert conv._dense_wins(Conv("conv", "x", 64), used, spikes) == wins
