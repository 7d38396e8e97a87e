"""Lists of spikes, channel after channel, for the weight gradient.

Sixteen pixels of 64 channels are turned round at a time, so that 16 pixels of a channel lie side by side; those that
spike are then moved to the front and written to the channel's list, without a branch for any of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.parts import Parts
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


class Layout(NamedTuple):
    """How the gradients of a unit are laid out: `tall` x `wide` pixels, each with `sets` rows of `lanes` channels.

    A unit is `(image, group of span steps, band)`, in this order; at most `together` units share a table, in which each
    begins `apart` rows of pixels after the last: zeros between rows and between images serve both. sets: a row for
    every set of steps, or, of a single step at which a neuron may spike several times, for every binary digit of that
    number. before: the zeros on the left (and above the image); band: rows of spikes (in strides) of a unit; bands: of
    an image. lanes: output channels of a row. Nothing here depends on the processor.
    """

    steps: int
    batch: int
    span: int
    sets: int
    out_height: int
    out_width: int
    before: int
    band: int
    bands: int
    tall: int
    wide: int
    apart: int
    together: int
    lanes: int

    @property
    def image_units(self) -> int:
        """The units of an image."""
        return -(-self.steps // self.span) * self.bands

    @property
    def units(self) -> int:
        """The units of the batch."""
        return self.batch * self.image_units

    @property
    def rows(self) -> int:
        """The rows of a table: places, or what they are shifted by, lie below."""
        return ((self.together - 1) * self.apart + self.tall) * self.wide * self.sets


class SpikeSource(NamedTuple):
    """The spikes that `list_channels` lists, and the pixels that it looks at.

    spikes: unsigned, flat `[T*B*H*W*C]`. pixels, spots: as `pixels_of` writes them. line, area: pixels of a row (of
    strides) and of an image. channels: C.
    """

    spikes: Array
    pixels: Array
    spots: Array
    line: int
    area: int
    channels: int


def tables_of(layout: Layout, parts: Parts) -> tuple[Array, Array]:
    """The first unit of each table, and of none, int64 `[tables + 1]`; the first table of each part, `[parts + 1]`.

    parts: of the batch. A table is of one part; those of a part are equally large, or as nearly as can be.
    """
    units, firsts = [0], [0]
    for start, stop in parts:
        first, count = start * layout.image_units, (stop - start) * layout.image_units
        tables = -(-count // layout.together)
        units += [first + (table + 1) * count // tables for table in range(tables)]
        firsts.append(len(units) - 1)
    return np.array(units), np.array(firsts)


@kernel
def unit_of(unit, layout):
    """`(first step, steps, image, first row)` of a unit.

    unit: 0..units-1. layout: Layout.
    """
    groups = -(-layout.steps // layout.span)
    whole = unit // layout.bands
    begin = whole % groups * layout.span
    return begin, min(layout.span, layout.steps - begin), whole // groups, unit % layout.bands * layout.band


@kernel
def pixels_of(width, stride, layout, pixels, spots):
    """Of every class (y % stride, x % stride): its pixels in a unit, `y*width + x`, and their places in its table.

    width: of the image, in pixels. layout: Layout. pixels: int64 `[class, rows and columns, made up to 16s]`, spots:
    int32, the same, flat; both are written; -1 where there is no pixel.
    """
    sets, band, wide = layout.sets, layout.band, layout.wide
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
    """Make of 16 rows of 64 numbers 64 rows of 16; four times, a first half and a second half are woven.

    rows, room: flat, 1024 numbers of one type; room is overwritten.
    """
    for _ in range(2):
        for i in range(0, 512, 64):
            store(room, 2 * i, weave(load64(rows, i), load64(rows, 512 + i)))
        for i in range(0, 512, 64):
            store(rows, 2 * i, weave(load64(room, i), load64(room, 512 + i)))


@kernel
def gather(spikes, pixel, at, channels, steps, further, rows):
    """`rows[i] = sum_t 2**t * spikes[at + t*further + pixel[i]*C]` of 16 pixels and up to 64 channels; of -1 zeros.

    spikes: unsigned, flat; the first pixel's channels begin at `at`, those of the next step `further` numbers on;
    there are so many `steps`, and C `channels`.
    pixel: int64 `[16]`. rows: flat `[16, 64]`, of the spikes' type, written.
    """
    for i in range(16):
        sets = fill64(0, rows)
        if pixel[i] >= 0:
            for t in range(steps - 1, -1, -1):
                base = at + t * further + pixel[i] * channels
                sets = sets + sets + take64(spikes, base, min(len(spikes) - base, 64))
        store(rows, i * TOGETHER, sets)


@kernel
def list_channels(start, stop, base, source, shape, tables, counts, places):
    """List the spikes of tables start..stop-1: of key = class*C + c, the first `counts[table, key]` of its places.

    What is listed is a place in the table: of the pixel, and of the set of steps at which it spikes. At a single step
    a number of spikes is listed by its binary digits, each with a place of its own. source: a SpikeSource,
    shape: a Layout; also as plain tuples, which Numba takes a microsecond faster each. tables: the first unit of each,
    from `tables_of`. counts, places: integers, flat, `[table, key]` and `[table, key, room]` from the table `base` on.
    """
    layout = Layout(*shape)
    spikes, pixels, spots, line, area, channels = source
    batch, (classes, padded) = layout.batch, pixels.shape
    digits, keys = (layout.sets if layout.span == 1 else 1), classes * channels
    room, further = len(places) // len(counts), batch * area * channels
    rows, turned = np.empty(16 * TOGETHER, spikes.dtype), np.empty(16 * TOGETHER, spikes.dtype)
    one = fill16(1, spots)
    table = start
    for unit in range(tables[start], tables[stop]):
        while unit >= tables[table + 1]:
            table += 1
        begin, steps, image, row = unit_of(unit, layout)
        place = (unit - tables[table]) * layout.apart * layout.wide * layout.sets
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
                    key = (table - base) * keys + k * channels + left
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
