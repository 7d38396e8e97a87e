"""What a LIF stores of its membrane: one of a few levels, and the slope that stands in for the rounding's (SpQuant).

`v` is a membrane in steps, `threshold / parts`; levels are whole steps. `network/membranes.py` has the same in NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.elementary import exponential
from qpsnn_core.kernels.simd.vector import fill16, greater_equal, negative, rint, select
from qpsnn_core.kernels.threads import kernel


class Levels(NamedTuple):
    """The quantizer of a membrane. low, high: its ends in steps; parts: steps of a threshold.

    Only the backward pass reads the rest. stacked: whether each level has a slope of its own, of that k: float32; if
    not, the slope is 1. masked: whether it is 0 outside low..high.
    """

    low: int
    high: int
    parts: int
    stacked: bool
    k: np.float32
    masked: bool


@kernel
def stored(u, limit, levels, like):
    """U of a membrane after its reset: the nearest level, ties to the lower one; u itself where `levels` is None.

    u, limit: 16 membranes and thresholds, float32. levels: Levels, or None. like: an array of float32.
    """
    if levels is None:
        return u
    step = limit / fill16(levels.parts, like)
    v = u / step
    low, high = fill16(levels.low, like), fill16(levels.high, like)
    v = select(greater_equal(low, v), low, v)
    v = select(greater_equal(v, high), high, v)
    level = rint(v)
    up = greater_equal(level - v, fill16(np.float32(0.5), like))
    return select(up, level - fill16(1, like), level) * step


@kernel
def through_levels(carry, u, limit, levels, like):
    """dL/du of 16 membranes after their reset, from dL/dU = `carry` of what is stored of them; as for `stored`."""
    if levels is None:
        return carry
    return carry * stored_slope(u, limit, levels, like)


@kernel
def stored_slope(u, limit, levels, like):
    """dU/du of `stored` as the backward pass has it, 16 float32; arguments as for `stored`, levels not None."""
    v = u / (limit / fill16(levels.parts, like))
    zero, one = fill16(0, like), fill16(1, like)
    slope = one
    if levels.stacked:
        slope = zero
        k = fill16(levels.k, like)
        for level in range(levels.low, levels.high + 1):
            if level != 0:
                edge = np.float32(level) + np.float32(0.5 if level < 0 else -0.5)
                distance = k * (v - fill16(edge, like))
                side = select(greater_equal(distance, zero), negative(distance), distance)
                s = one / (one + exponential(side))
                slope = slope + k * s * (one - s)
    if levels.masked:
        slope = select(greater_equal(v, fill16(levels.low, like)), slope, zero)
        slope = select(greater_equal(fill16(levels.high, like), v), slope, zero)
    return slope
