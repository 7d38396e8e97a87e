"""What the peaks allow: the least time of a kernel, of a convolution at any firing rate, and of what a step adds up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from benchmarks.roofline import costs
from benchmarks.roofline.costs import ConvSize, Cost
from benchmarks.roofline.peaks import bandwidth

LEVELS = (("L1", 2**15), ("L2", 2**20), ("L3", 3 * 2**23), ("memory", math.inf))
"""Caches of the processor that the tables name, and the bytes that fit."""

KINDS = {
    "float32": "float additions",
    "int32": "int32 additions",
    "int16": "int16 additions",
    "uint8": "byte additions",
    "multiply_add": "multiply-adds",
    "byte_products": "multiply-adds of bytes",
    "look_ups": "look-ups of bytes",
}
"""Peaks of operations, in words."""

Peaks = dict[str, Any]


def roof(cost: Cost, peaks: Peaks) -> tuple[float, str]:
    """The shortest time, in seconds, that the peaks allow, and the peak that sets it."""
    size = cost.reads + cost.writes
    named = {
        f"{_level(size)}, loads": cost.reads / bandwidth(peaks["load"], size),
        f"{_level(size)}, stores": cost.writes / bandwidth(peaks["store"], size),
        f"{_level(cost.table)}, table": cost.near / bandwidth(peaks["load"], cost.table),
        KINDS[cost.kind]: cost.operations / (peaks["operations"][cost.kind] * 1e9),
    }
    which = max(named, key=lambda name: named[name])
    return named[which], which


def bound(calls: Iterable[Cost | tuple[Cost, ...]], peaks: Peaks) -> float:
    """Seconds of kernels that run one after another, each at its nearest roof; of a tuple, the fastest."""
    either = (call if type(call) is tuple else (call,) for call in calls)
    return sum(min(roof(cost, peaks)[0] for cost in costs_) for costs_ in either)


def forward_line(size: ConvSize, floats: bool, peaks: Peaks) -> tuple[float, float]:
    """Of a convolution's forward pass: the seconds without spikes, and those that all neurons' spikes would add.

    Fixed are packing (codes or float32), looking through the spikes, and storing the sums; with the firing rate grow
    the lists and the rows of weights. The model takes a straight line: fixed + rate * slope.
    """
    kernel = costs.conv_floats if floats else costs.conv_bytes
    silent, loud = size._replace(rate=0.0), size._replace(rate=1.0)
    packing = costs.pack(size)
    if floats:
        packing = packing._replace(reads=4 * packing.reads, writes=4 * packing.writes)
    fixed = bound((packing, costs.list_columns(silent), kernel(silent)), peaks)
    lists = Cost(0, 0, costs.list_columns(loud).near, costs.list_columns(size).table, 0, "uint8")
    rows = kernel(loud)._replace(reads=0, writes=0)
    return fixed, bound((lists, rows), peaks)


def _level(size: float) -> str:
    return next(name for name, fits in LEVELS if size <= fits)
