"""Lists of spikes for the forward pass: column after column under each row of windows."""

from __future__ import annotations

from qpsnn_core.kernels.simd.vector import append, fill16, greater_equal, load16, set_item, store, take16
from qpsnn_core.kernels.threads import kernel

LANES = 64
"""Weight rows are added 64 channels at a time."""

GROUP = 4
"""Columns are listed in whole groups of so many rows, of which the last may be of zeros."""


@kernel
def list_columns(
    counts, begin, max_count, top, height, width, channels, size, across, padding, ladder, listed, n, ends, counted
):
    """The spikes under one row of windows, column after column: column x in `listed[ends[x]:ends[x + 1]]`; the end.

    counts: flat; the image begins at `begin`. The windows, `size` high and `across` wide, have their upper edge at
    `top`; x counts from the padded left edge; the list begins at `n`. A spike of (top + ky, x, c) is listed as LANES
    times the number of its weight row, (ky*across + x)*C + c, in the window that begins at x = 0; a count of k (not
    above `max_count`) k times. Each column is filled up to whole GROUPs with the row of zeros, that of ky = size and
    c = 0. `counted[x]` spikes stand before column x. ladder: 0, LANES, ... 15*LANES. Up to 16 numbers more are written.
    """
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
