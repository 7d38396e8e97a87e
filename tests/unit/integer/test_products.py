"""Every product of spikes and codes gives the exact simulator the same integers, on random networks."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from generators import random_integer_network, random_wide_network

from qpsnn_core.integer.simulate import simulate
from qpsnn_core.kernels.conv.integers import PRODUCT
from qpsnn_core.network.nodes import RESETS

PRODUCTS = ("gather", "dense", "auto", *(["tiles"] if numba.config.DISABLE_JIT else []))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("make", [random_integer_network, random_wide_network])
def test_all_give_the_same_integers(monkeypatch, make, seed):
    network, images = make(seed, RESETS)
    runs = []
    for product in PRODUCTS:
        monkeypatch.setenv(PRODUCT, product)
        runs.append(simulate(network, images, record="all"))
    first, *others = runs
    for other in others:
        np.testing.assert_array_equal(other.readout, first.readout)
        assert other.spikes.keys() == first.spikes.keys()
        assert other.membranes.keys() == first.membranes.keys()
        for name in first.spikes:
            np.testing.assert_array_equal(other.spikes[name], first.spikes[name])
        for name in first.membranes:
            np.testing.assert_array_equal(other.membranes[name], first.membranes[name])
