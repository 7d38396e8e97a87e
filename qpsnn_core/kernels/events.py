"""Lists of spikes: pixel after pixel for the forward pass, channel after channel for the weight gradient."""

from __future__ import annotations

from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import (
    fill16,
    first,
    item,
    load16,
    lowest,
    nonzero,
    set_item,
    store,
    take64,
    without_lowest,
)

LANES = 64
"""Spikes are looked for 64 at a time, and weight rows added 64 channels at a time."""


@kernel
def list_pixels(counts, begin, peak, pixels, channels, positions, starts):
    """`positions[starts[p]:starts[p + 1]]` = LANES times the channels that spike in pixel p, a count of k k times.

    counts: flat; the image begins at `begin`.
    """
    n = 0
    for pixel in range(pixels):
        set_item(starts, pixel, n)
        for low in range(0, channels, LANES):
            base = begin + pixel * channels + low
            bits = first(nonzero(take64(counts, base, len(counts) - base)), channels - low)
            while bits != 0:
                c = lowest(bits)
                set_item(positions, n, (low + c) * LANES)
                n += 1
                for _ in range(1, counts[base + c] if peak > 1 else 1):
                    positions[n] = (low + c) * LANES
                    n += 1
                bits = without_lowest(bits)
    starts[pixels] = n


@kernel
def list_columns(positions, starts, top, height, width, channels, size, across, padding, listed, ends):
    """The spikes under one row of windows, column after column: column x in `listed[ends[x]:ends[x + 1]]`.

    The windows, `size` high and `across` wide, have their upper edge at `top`; x counts from the padded left edge. A
    spike of (top + ky, x, c) is listed as LANES times the number of its weight row, (ky*across + x)*C + c, in the
    window that begins at x = 0. listed: 16 numbers more than there can be spikes.
    """
    n = 0
    for x in range(width + 2 * padding):
        set_item(ends, x, n)
        if padding <= x < width + padding:
            for ky in range(max(0, -top), min(size, height - top)):
                pixel = (top + ky) * width + x - padding
                begin, end = item(starts, pixel), item(starts, pixel + 1)
                shift = fill16((ky * across + x) * channels * LANES, listed)
                for i in range(begin, end, 16):
                    store(listed, n + i - begin, load16(positions, i) + shift)
                n += end - begin
    ends[width + 2 * padding] = n
