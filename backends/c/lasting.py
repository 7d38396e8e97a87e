"""How far the membranes of a neuron in C get, and whether that holds however long it runs."""

from __future__ import annotations

import numpy as np

from qpsnn_core.integer.bounds import INT32_MAX, Interval, for_ever
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF


def lasting(network: IntegerNetwork, node: IntLIF) -> tuple[Interval, bool]:
    """(what U can reach after the reset, whether that holds for ever); else it holds for the network's T steps."""
    arrays, whole = network.arrays[node.name], 2**node.shift
    offset, threshold = arrays["bias"].astype(np.int64), arrays["threshold"].astype(np.int64)
    currents = [network.values[source].interval for source in node.sources]
    drive = Interval(offset + sum(x.low for x in currents), offset + sum(x.high for x in currents))
    magnitudes = np.abs(offset) + sum(x.largest for x in currents)
    ends = for_ever(drive, threshold, node.multiplier, node.shift, node.reset)
    if ends is not None:
        left = (ends.largest * node.multiplier + whole - 1) // whole
        if (magnitudes + left).max() <= INT32_MAX:
            return ends, True
    reach = network.values[node.name].membrane
    assert reach is not None  # noqa: S101 - every IntLIF has one
    return reach.after, False
