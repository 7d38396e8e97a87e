"""How far a neuron's membrane can go when it is never reset: streams run longer than the T steps of the proof."""

from __future__ import annotations

import numpy as np

from qpsnn_core.integer.bounds import INT32_MAX, Interval, Longs
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF


def lasting(network: IntegerNetwork, node: IntLIF) -> tuple[Interval, bool]:
    """(what U can reach after the reset, whether that holds for ever); else it holds for the network's T steps.

    Where U can only fall by d < 0 a step and leaks by m/2**s, it stays above (d - 1) / (1 - m/2**s): the 1 is what the
    floor takes. Above it is held by its threshold.
    """
    arrays, whole = network.arrays[node.name], 2**node.shift
    offset, threshold = arrays["bias"].astype(np.int64), arrays["threshold"].astype(np.int64)
    currents = [network.values[source].interval for source in node.sources]
    drive = offset + sum((x.low for x in currents), start=np.zeros_like(offset))
    magnitudes = np.abs(offset) + sum((x.largest for x in currents), start=np.zeros_like(offset))
    low = _lowest(drive, node)
    if low is not None:
        high = threshold - 1
        left = (np.maximum(-low, high) * node.multiplier + whole - 1) // whole
        if (magnitudes + left).max() <= INT32_MAX:
            return Interval(low, high), True
    reach = network.values[node.name].membrane
    assert reach is not None  # noqa: S101 - every IntLIF has one
    return reach.after, False


def _lowest(drive: Longs, node: IntLIF) -> Longs | None:
    """The lower end of U when each step adds at least `drive`; None where it falls without end."""
    falls = np.minimum(drive, 0)
    whole, part = 2**node.shift, 2**node.shift - node.multiplier
    if part:
        low: Longs = np.where(falls < 0, -(((1 - falls) * whole + part - 1) // part), 0)
        return low
    return None if falls.any() else falls
