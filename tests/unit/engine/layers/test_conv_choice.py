"""Real weights take a dense product where spikes are many; codes stay with events; both give the same bits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from qpsnn_core.engine.layers import conv
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.kernels.conv import integers
from qpsnn_core.network import Conv, Quantizer
from qpsnn_core.network.values import ValueSpec

SHAPE = (6, 5, 7)


def spikes_of(rate):
    return (np.random.default_rng(1).random((2, 3, *SHAPE)) < rate).astype(np.uint8)


def run(rate, channels=20, quantizer=None, stride=1, count=1, arithmetic="portable"):
    x = spikes_of(rate) * np.random.default_rng(2).integers(1, count + 1, (2, 3, *SHAPE)).astype(np.uint8)
    return run_counts(x, count, channels, quantizer, stride, arithmetic)


def run_counts(x, max_count, channels=20, quantizer=None, stride=1, arithmetic="portable"):
    node = Conv("conv", "x", channels, stride=stride, quantizer=quantizer, batch_norm=False)
    value = ValueSpec("spikes", SHAPE, max_count=max_count, scale=0.5)
    params, state = conv.init(node, (value,), np.random.default_rng(0))
    return conv.forward(node, LayerContext(params, state, (value,), 2, True, True, 0, arithmetic), x).value


@pytest.mark.parametrize(
    ("rate", "options", "dense"),
    [
        (0.1, {}, 0),
        (0.9, {}, 1),
        (0.9, {"quantizer": Quantizer(4, "mean")}, 0),
        (0.9, {"count": 3}, 0),
        (0.9, {"count": 3, "arithmetic": "native"}, 1),
        (0.1, {"count": 17}, 1),
    ],
)
def test_which_product_is_taken(monkeypatch, rate, options, dense):
    """A count of three is one product or three additions, which round otherwise: only where bits may differ."""
    taken = []
    product = conv.real_conv
    monkeypatch.setattr(conv, "real_conv", lambda *given: taken.append(1) or product(*given))
    run(rate, **options)
    assert len(taken) == dense


@pytest.mark.parametrize("channels", [3, 20, 100])
@pytest.mark.parametrize("stride", [1, 2])
def test_both_give_the_same_bits(monkeypatch, channels, stride):
    dense = run(0.9, channels, stride=stride)
    monkeypatch.setattr(conv, "_dense_wins", lambda *given: False)
    events = run(0.9, channels, stride=stride)
    np.testing.assert_array_equal(dense.acc, events.acc)
    np.testing.assert_array_equal(dense.scale, events.scale)


def test_native_counts_are_the_same_but_for_their_rounding(monkeypatch):
    """Up to the rounding of 63 float32 terms in another order."""
    dense, events = (run(0.9, 20, count=3, arithmetic=arithmetic).acc for arithmetic in ("native", "portable"))
    assert (dense != events).any()
    np.testing.assert_allclose(dense, events, atol=3 * 63 * 2.0**-24 * np.abs(events).max())


@pytest.mark.parametrize(
    ("inputs", "rate", "wins"), [(8, 0.4, False), (8, 0.6, True), (512, 0.1, False), (512, 0.3, True)]
)
def test_rates_at_which_it_changes(inputs, rate, wins):
    """What the cache does not hold costs as much as the product sooner."""
    spikes = np.zeros((1, 1, 10, 10, inputs), np.uint8)
    spikes.reshape(-1)[: int(rate * spikes.size)] = 1
    assert conv._dense_wins(Conv("conv", "x", 64), spikes) == wins


@pytest.fixture
def rows_listed(monkeypatch):
    """How many rows of weights the event-driven product adds, the sum of its counts, and its `max_count`."""
    listed = []
    product = conv.conv_forward

    def counting(start, stop, spikes, max_count, *rest):
        if start == 0:
            listed.append((int(spikes.sum()), max_count))
        product(start, stop, spikes, max_count, *rest)

    monkeypatch.setattr(conv, "conv_forward", counting)
    monkeypatch.setitem(integers.ROUTES, "gather", (counting, integers.Product.rows))
    monkeypatch.setenv(integers.PRODUCT, "gather")
    return listed


@pytest.mark.parametrize("quantizer", [None, Quantizer(4, gamma="mean"), Quantizer(8, gamma="mean", zero=True)])
@pytest.mark.parametrize(
    ("largest", "rate", "events"), [(16, 0.9, True), (200, 0.9, False), (200, 0.002, True), (300, 0.002, False)]
)
def test_a_row_is_not_added_once_for_each_of_many_counts(rows_listed, largest, rate, events, quantizer):
    """Few events of few counts stay events; the work and the memory of others does not grow with the counts."""
    x = spikes_of(rate) * np.uint16(largest)
    x[0, 0, 0, 0, 0] = largest
    assert bool(x.sum() <= x.size) == (rate < 0.1)
    run_counts(x, 2**17 if largest > 16 else 16, quantizer=quantizer, arithmetic="native")
    assert rows_listed == ([(x.sum(), largest)] if events and (quantizer or rate < 0.1) else [])


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize(("bits", "largest"), [(2, 17), (4, 200), (4, 90_000), (8, 1_000), (8, 20_000)])
@pytest.mark.parametrize("stride", [1, 2])
def test_counts_multiplied_are_counts_added(monkeypatch, bits, largest, zero, stride):
    """The same integers as from a row for each count, on both sides of 2**24."""
    x = spikes_of(0.3) * np.random.default_rng(2).integers(0, largest + 1, (2, 3, *SHAPE), np.uint32)
    x[1, 2, 3] = largest
    quantizer = Quantizer(bits, gamma="max", zero=zero)
    multiplied = run_counts(x, largest, 20, quantizer, stride)
    monkeypatch.setattr(conv, "_many", lambda *given: False)
    added = run_counts(x, largest, 20, quantizer, stride)
    np.testing.assert_array_equal(multiplied.acc, added.acc)
    np.testing.assert_array_equal(multiplied.scale, added.scale)


def test_millions_of_counts_take_no_time():
    """A network that reads counts of millions: before, each was a row to list and to add."""
    x = spikes_of(0.9) * np.uint32(10**6)
    run_counts(x // 1000, 10**3, quantizer=Quantizer(2, "mean"))
    begin = time.thread_time()
    run_counts(x, 10**6, quantizer=Quantizer(2, gamma="max"))
    assert time.thread_time() - begin < 0.5
