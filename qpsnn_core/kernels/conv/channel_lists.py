"""Lists of spikes, channel after channel, for the weight gradient.

Sixteen pixels of 64 channels are turned round at a time, so that 16 pixels of a channel lie side by side; those that
spike are then moved to the front and written to the channel's list, without a branch for any of them.
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.simd.vector import (
    append,
    fill16,
    fill64,
    greater_equal,
    halve,
    item,
    load16,
    load64,
    set_item,
    store,
    take64,
    to,
    weave,
)
from qpsnn_core.kernels.threads import kernel

TOGETHER = 64
"""Channels that are turned round at a time."""


@kernel
def unit_of(unit, shape):
    """`(first step, steps, image, first row, place)` of a unit of a Layout; place: of its first pixel in its table."""
    steps, batch, span, sets, _, _, _, band, bands, _, wide, apart, together, _ = shape
    image = unit // bands
    begin = image // batch * span
    place = unit % together * apart * wide * sets
    return begin, min(span, steps - begin), image % batch, unit % bands * band, place


@kernel
def pixels_of(width, stride, shape, pixels, spots):
    """Of every class (y % stride, x % stride): its pixels in a unit, `y*width + x`, and their places in its table.

    pixels: `[class, rows and columns, made up to 16s]`, spots the same, flat; -1 where there is no pixel.
    """
    sets, band, wide = shape[3], shape[7], shape[10]
    columns = (width - 1) // stride + 1
    padded = pixels.shape[1]
    pixels[:] = -1
    spots[:] = 0
    for k in range(stride * stride):
        for i in range(band * columns):
            row, column = i // columns, i % columns
            y, x = row * stride + k // stride, column * stride + k % stride
            if x < width:
                pixels[k, i] = y * width + x
                spots[k * padded + i] = (row * wide + column) * sets


@kernel
def turn_round(rows, room):
    """Make of 16 rows of 64 numbers 64 rows of 16; four times, a first half and a second half are woven."""
    for _ in range(2):
        for i in range(0, 512, 64):
            store(room, 2 * i, weave(load64(rows, i), load64(rows, 512 + i)))
        for i in range(0, 512, 64):
            store(rows, 2 * i, weave(load64(room, i), load64(room, 512 + i)))


@kernel
def gather(spikes, pixel, at, channels, steps, further, rows):
    """`rows[i] = sum_t 2**t * spikes[at + t*further + pixel[i]*C]` of 16 pixels and up to 64 channels; of -1 zeros."""
    for i in range(16):
        sets = fill64(0, rows)
        if pixel[i] >= 0:
            for t in range(steps - 1, -1, -1):
                base = at + t * further + pixel[i] * channels
                sets = sets + sets + take64(spikes, base, min(len(spikes) - base, 64))
        store(rows, i * TOGETHER, sets)


@kernel
def list_channels(start, stop, base, source, channels, units, shape, counts, places):
    """List the spikes of tables start..stop-1: of key = class*C + c, the first `counts[table, key]` of its places.

    What is listed is a place in the table: of the pixel, and of the set of steps at which it spikes. At a single step
    a number of spikes is listed by its binary digits, each with a place of its own. source: the spikes, pixels and
    spots as `pixels_of` says, and how many pixels a row (of strides) and an image have. counts, places:
    `[table, key]` and `[table, key, room]` from the table `base` on.
    """
    spikes, pixels, spots, line, area = source
    batch, together, (classes, padded) = shape[1], shape[12], pixels.shape
    digits, keys = (shape[3] if shape[2] == 1 else 1), classes * channels
    room, further = len(places) // len(counts), batch * area * channels
    rows, turned = np.empty(16 * TOGETHER, spikes.dtype), np.empty(16 * TOGETHER, spikes.dtype)
    one = fill16(1, spots)
    for unit in range(start * together, min(stop * together, units)):
        begin, steps, image, row, place = unit_of(unit, shape)
        first = (begin * batch + image) * area * channels
        for k in range(classes):
            for i in range(0, padded, 16):
                pixel = pixels[k, i : i + 16].copy()
                for j in range(16):
                    if pixel[j] >= 0:
                        pixel[j] = pixel[j] + row * line if pixel[j] + row * line < area else -1
                spot = load16(spots, k * padded + i) + fill16(place - 1, spots)
                for left in range(0, channels, TOGETHER):
                    gather(spikes, pixel, first + left, channels, steps, further, rows)
                    turn_round(rows, turned)
                    key = (unit // together - base) * keys + k * channels + left
                    for c in range(key, key + min(TOGETHER, channels - left)):
                        found, end = to(load16(rows, (c - key) * 16), spots), c * room + item(counts, c)
                        if digits == 1:
                            end = append(places, end, greater_equal(found, one), spot + found)
                        else:
                            at = spot + one
                            for _ in range(digits):
                                half = halve(found, 1)
                                end = append(places, end, greater_equal(found - half - half, one), at)
                                found, at = half, at + one
                        set_item(counts, c, end - c * room)
