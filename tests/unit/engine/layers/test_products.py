"""Every product of counts and codes gives a layer in training the same accumulators."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from qpsnn_core.common.errors import NumericsError
from qpsnn_core.engine.layers import conv, linear
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.kernels.conv.integers import PRODUCT
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.network import Conv, Linear, Quantizer
from qpsnn_core.network.values import ValueSpec

PRODUCTS = ("gather", "dense", "auto", *(["tiles"] if numba.config.DISABLE_JIT else []))
SHAPE = (5, 6, 7)
NODES = {"conv": (conv, Conv("one", "x", 20, quantizer=Quantizer(4, "mean"), batch_norm=False))}
NODES["conv, 8 bits"] = conv, Conv("one", "x", 9, stride=2, quantizer=Quantizer(8, "mean"), batch_norm=False)
NODES["linear"] = linear, Linear("one", "x", 10, quantizer=Quantizer(8, "mean"))
NODES["linear, 4 bits"] = linear, Linear("one", "x", 33, quantizer=Quantizer(4, "mean"))


def run(name, kind, max_count, dtype=None):
    layer, node = NODES[name]
    value = ValueSpec(kind, SHAPE, max_count=max_count, scale=0.5)
    params, state = layer.init(node, (value,), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x = rng.integers(0, max_count, (2, 3, *SHAPE), endpoint=True) * (rng.random((2, 3, *SHAPE)) < 0.6)
    given = x.astype(dtype or count_type(max_count))
    done = layer.forward(node, LayerContext(params, state, (value,), 2, True, True), given)
    codes = done.cache.weights.codes
    ref = x.reshape(6, -1) @ codes.astype(np.int64) if layer is linear else None
    return done.value.acc, ref


@pytest.mark.interpreted
@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize(("kind", "max_count"), [("spikes", 1), ("spikes", 3), ("spikes", 300), ("analog", 255)])
def test_all_give_the_same_sums(monkeypatch, name, kind, max_count):
    found = []
    for product in PRODUCTS:
        monkeypatch.setenv(PRODUCT, product)
        acc, ref = run(name, kind, max_count)
        found.append(acc)
        if ref is not None:
            assert acc.dtype == np.int32
            np.testing.assert_array_equal(acc.reshape(ref.shape), ref)
    for other in found[1:]:
        assert other.dtype == found[0].dtype
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32])
def test_images_of_other_types_are_the_same_counts(name, dtype):
    np.testing.assert_array_equal(run(name, "analog", 255, dtype)[0], run(name, "analog", 255)[0])


def test_sums_beyond_int32_are_refused():
    with pytest.raises(NumericsError, match="below 2\\*\\*31"):
        run("linear", "spikes", 2**24)
