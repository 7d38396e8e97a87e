"""Chains of layers small enough for Lava's own LIF, each of their arrays to be set by name."""

from __future__ import annotations

import numpy as np

from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout


def chain(seed=0, steps=3, peak=1, leak=(1, 1), one=False, **arrays) -> IntegerNetwork:
    """conv, lif, conv (stride 2), lif, linear, lif, linear, readout; `one`: a single threshold for each layer."""
    rng = np.random.default_rng(seed)

    def codes(most, *shape):
        return (2 * rng.integers(0, most + 1, shape) - most).astype(np.int8)

    def neuron(size, low, high):
        threshold = np.full(size, high) if one else rng.integers(low, high, size)
        return {"threshold": threshold.astype(np.int32), "bias": rng.integers(-3, 9, size).astype(np.int32)}

    nodes = (
        IntInput("input", (5, 6, 2), peak),
        IntConv("conv1", "input", 4, 3, 1, 1),
        IntLIF("lif1", ("conv1",), *leak),
        IntConv("conv2", "lif1", 5, 3, 2, 0),
        IntLIF("lif2", ("conv2",), *leak),
        IntLinear("fc", "lif2", 7),
        IntLIF("lif3", ("fc",), *leak),
        IntLinear("last", "lif3", 3),
        IntReadout("readout", "last"),
    )
    found = {
        "conv1": {"codes": codes(15, 3, 3, 2, 4), "gain": np.ones(4, np.int32)},
        "lif1": neuron(4, 5 * peak, 25 * peak),
        "conv2": {"codes": codes(7, 3, 3, 4, 5), "gain": np.full(5, 2, np.int32)},
        "lif2": neuron(5, 5, 20),
        "fc": {"codes": codes(15, 20, 7), "gain": np.ones(7, np.int32)},
        "lif3": neuron(7, 5, 20),
        "last": {"codes": codes(127, 7, 3), "gain": np.full(3, 4, np.int32)},
        "readout": {"bias": np.array([4, -8, 12], np.int32)},
    }
    for place, array in arrays.items():
        node, name = place.split("__")
        found[node] = {**found[node], name: np.asarray(array)}
    return IntegerNetwork(nodes, found, steps)
