"""Lists of spikes for the forward pass: column after column under each row of windows."""

from __future__ import annotations

from typing import NamedTuple

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.simd.vector import append, fill16, greater_equal, load16, set_item, store, take16
from qpsnn_core.kernels.threads import kernel

LANES = 64
"""Weight rows are added 64 channels at a time."""

GROUP = 4
"""Columns are listed in whole groups of so many rows, of which the last may be of zeros."""


class ColumnLists(NamedTuple):
    """What `list_columns` writes, and a constant that it reads; all int32.

    listed: weight rows, with room for 16 more than there can be. ends, counted: `[W + 2*padding + 1]`, where the list
    of a column begins, and how many spikes stand before it. ladder: 0, LANES, ... 15*LANES.
    """

    listed: Array
    ends: Array
    counted: Array
    ladder: Array


@kernel
def list_columns(counts, begin, max_count, top, geometry, across, lists, n):
    """The spikes under one row of windows, column after column: column x in `listed[ends[x]:ends[x + 1]]`; the end.

    counts: unsigned, flat; the image begins at `begin`. max_count: the largest count. geometry: ConvGeometry. The
    windows, `kernel` pixels high and `across` wide, have their upper edge at row `top`; x counts from the padded left
    edge. lists: ColumnLists; the list begins at `listed[n]`. A spike of (top + ky, x, c) is listed as LANES times the
    number of its weight row, (ky*across + x)*C + c, in the window that begins at x = 0; a count of k k times. Each
    column is filled up to whole GROUPs with the row of zeros, that of ky = kernel and c = 0. Up to 16 numbers more are
    written.
    """
    height, width, channels, _, size, _, padding, _, _ = geometry
    listed, ends, counted, ladder = lists
    one, further = fill16(1, counts), fill16(16 * LANES, ladder)
    whole = channels - channels % 16
    seen = 0
    for x in range(width + 2 * padding):
        set_item(ends, x, n)
        set_item(counted, x, seen)
        if not padding <= x < width + padding:
            continue
        before = n
        for ky in range(max(0, -top), min(size, height - top)):
            at = begin + ((top + ky) * width + x - padding) * channels
            row = (ky * across + x) * channels * LANES
            if max_count > 1:
                for c in range(channels):
                    for _ in range(counts[at + c]):
                        set_item(listed, n, row + c * LANES)
                        n += 1
                continue
            rows = load16(ladder, 0) + fill16(row, ladder)
            for c in range(0, whole, 16):
                there = greater_equal(load16(counts, at + c), one)
                n = append(listed, n, there, rows)
                rows = rows + further
            if whole < channels:
                there = greater_equal(take16(counts, at + whole, channels - whole), one)
                n = append(listed, n, there, rows)
        seen += n - before
        store(listed, n, fill16((size * across + x) * channels * LANES, listed))
        n = before + (n - before + GROUP - 1) // GROUP * GROUP
    set_item(ends, width + 2 * padding, n)
    set_item(counted, width + 2 * padding, seen)
    return n
