"""The weight gradient of an event-driven convolution: under every spike, add the rows of the gradient that it touched.

A neuron that spikes at several of up to four steps needs one row, not several: rows are the sums of a pixel's gradients
over every set of steps. Spikes are listed channel after channel, so that a weight's sum stays in registers while its
spikes pass. The work goes unit by unit, a unit being a few rows of an image (at those steps) whose sums fit the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.events import LANES
from qpsnn_core.kernels.parallel import kernel
from qpsnn_core.kernels.vector import (
    first,
    item,
    load16,
    load32,
    load64,
    lowest,
    nonzero,
    set_item,
    store,
    take16,
    take64,
    to,
    without_lowest,
)

CACHED = 2**17
"""Sums (float32) that stay in the second-level cache."""

SPAN = 4
"""Steps whose sums are taken together."""


class Layout(NamedTuple):
    """How the gradients of a unit are laid out: `tall` x `wide` pixels, each with a row for every set of steps.

    A unit is `(group of span steps, image, band)`; `together` units share a table. before: the zeros on the left (and
    above the image); band: rows of spikes (in strides) of a unit; bands: of an image; lanes: channels of a row.
    """

    steps: int
    batch: int
    span: int
    out_height: int
    out_width: int
    before: int
    band: int
    bands: int
    tall: int
    wide: int
    together: int
    lanes: int

    @property
    def units(self) -> int:
        """All units of a batch."""
        return -(-self.steps // self.span) * self.batch * self.bands


def layout(
    steps: int,
    batch: int,
    height: int,
    width: int,
    size: int,
    stride: int,
    padding: int,
    out_height: int,
    out_width: int,
    peak: int | None,
    lanes: int = LANES,
) -> Layout:
    """The Layout for spikes `[steps, batch, height, width]`; counts beyond 1 are taken step by step."""
    span = -(-steps // -(-steps // SPAN)) if peak == 1 else 1
    before, after = max(0, (size - 1 - padding) // stride), max(0, (stride - 1 + padding) // stride)
    rows = (height - 1) // stride + 1
    wide = before + max(out_width, (width - 1) // stride + 1 + after)
    line = wide * (2**span - 1) * lanes
    band = min(rows, max(1, CACHED // line - before - after))
    band = -(-rows // -(-rows // band))
    bands, tall = -(-rows // band), before + band + after
    together = max(1, CACHED // (line * tall)) if bands == 1 else 1
    units = -(-steps // span) * batch
    return Layout(
        steps, batch, span, out_height, out_width, before, band, bands, tall, wide, min(together, units), lanes
    )


@kernel
def unit_of(unit, shape):
    """`(first step, steps, image, first row, place)` of a unit; place: of its first pixel in its table."""
    steps, batch, span, _, _, _, band, bands, tall, wide, together, lanes = shape
    image = unit // bands
    begin = image // batch * span
    place = unit % together * tall * wide * (2**span - 1) * lanes
    return begin, min(span, steps - begin), image % batch, unit % bands * band, place


@kernel
def count_channels(low, high, spikes, height, width, channels, stride, shape, counts):
    """`counts[unit, key]` = what `list_channels` will list; key = (y % stride * stride + x % stride) * C + c."""
    area = height * width * channels
    for unit in range(low, high):
        begin, steps, image, row, _ = unit_of(unit, shape)
        for y in range(row * stride, min((row + shape[6]) * stride, height)):
            for x in range(width):
                key = (y % stride * stride + x % stride) * channels
                for left in range(0, channels, LANES):
                    base = (begin * shape[1] + image) * area + (y * width + x) * channels + left
                    bits = first(nonzero(take64(spikes, base, len(spikes) - base)), channels - left)
                    for t in range(1, steps):
                        at = base + t * shape[1] * area
                        bits |= first(nonzero(take64(spikes, at, len(spikes) - at)), channels - left)
                    while bits != 0:
                        c = lowest(bits)
                        counts[unit, key + left + c] += spikes[base + c] if steps == 1 else 1
                        bits = without_lowest(bits)


@kernel
def list_channels(low, high, spikes, height, width, channels, stride, shape, ends, places):
    """List the spikes of units low..high-1, those of `key` from `ends[unit, key]` on, which moves on.

    What is listed is the place in the table: of the pixel (y // stride, x // stride), and of the set of steps at which
    it spikes; at a single step, a count of k is listed k times.
    """
    area, sets, lanes = height * width * channels, 2 ** shape[2] - 1, shape[11]
    for unit in range(low, high):
        begin, steps, image, row, place = unit_of(unit, shape)
        for y in range(row * stride, min((row + shape[6]) * stride, height)):
            for x in range(width):
                pixel = place + ((y // stride - row) * shape[9] + x // stride) * sets * lanes
                key = (y % stride * stride + x % stride) * channels
                for left in range(0, channels, LANES):
                    base = (begin * shape[1] + image) * area + (y * width + x) * channels + left
                    bits = first(nonzero(take64(spikes, base, len(spikes) - base)), channels - left)
                    for t in range(1, steps):
                        at = base + t * shape[1] * area
                        bits |= first(nonzero(take64(spikes, at, len(spikes) - at)), channels - left)
                    while bits != 0:
                        c = lowest(bits)
                        bits = without_lowest(bits)
                        end = ends[unit, key + left + c]
                        if steps == 1:
                            for _ in range(spikes[base + c]):
                                places[end] = pixel
                                end += 1
                        else:
                            found = -1
                            for t in range(steps):
                                found += np.int64(item(spikes, base + t * shape[1] * area + c)) << t
                            set_item(places, end, pixel + found * lanes)
                            end += 1
                        ends[unit, key + left + c] = end


@kernel
def lay_out(gradient, total, factors, unit, column, shape, table):
    """For some channels of a unit, batch norm's backward, `f0*g + f1*acc + f2`, summed over every set of its steps.

    gradient, total: `[T*B*Ho*Wo, C_out]`; factors: `[3, C_out]`. The border on the left and right, and lanes beyond
    C_out, are not written.
    """
    _, batch, span, out_height, out_width, before, _, _, tall, wide, _, lanes = shape
    begin, steps, image, row, place = unit_of(unit, shape)
    outputs, sets = gradient.shape[1], 2**span - 1
    flat, acc = gradient.reshape(-1), total.reshape(-1)
    for r in range(tall):
        y = row - before + r
        target = place + (r * wide + before) * sets * lanes
        if not 0 <= y < out_height:
            table[target : target + out_width * sets * lanes] = 0
            continue
        for c in range(0, min(lanes, outputs), 16):
            count = min(lanes, outputs) - c
            by_gradient, by_total = take16(factors[0], column + c, count), take16(factors[1], column + c, count)
            constant = take16(factors[2], column + c, count)
            for x in range(out_width):
                at = target + x * sets * lanes + c
                for t in range(steps):
                    source = (((begin + t) * batch + image) * out_height + y) * out_width + x
                    source = source * outputs + column + c
                    value = by_gradient * take16(flat, source, count) + by_total * to(take16(acc, source, count), table)
                    store(table, at + ((1 << t) - 1) * lanes, value + constant)
                for steps_set in range(3, 1 << steps):
                    rest = steps_set & (steps_set - 1)
                    if rest:
                        one = steps_set ^ rest
                        value = load16(table, at + (rest - 1) * lanes) + load16(table, at + (one - 1) * lanes)
                        store(table, at + (steps_set - 1) * lanes, value)


@kernel
def zeros_on_line(size):
    """float32 zeros that begin on a cache line: 64 numbers that straddle five cost more than those on four."""
    room = np.zeros(size + 16, np.float32)
    begin = -(room.ctypes.data // 4) % 16
    return room[begin : begin + size]


@kernel
def add_places(table, shift, places, begin, end, total, at):
    """`total[at:at + 64] += sum of the 64 numbers at table[place + shift]`, four rows at a time."""
    sums = load64(total, at)
    i = begin
    while i + 4 <= end:
        two = load64(table, item(places, i) + shift) + load64(table, item(places, i + 1) + shift)
        sums = sums + (two + (load64(table, item(places, i + 2) + shift) + load64(table, item(places, i + 3) + shift)))
        i += 4
    while i < end:
        sums = sums + load64(table, item(places, i) + shift)
        i += 1
    store(total, at, sums)


@kernel
def add_half_places(table, shift, places, begin, end, total, at):
    """As `add_places`, of 32 numbers, for a convolution that has no more channels."""
    sums = load32(total, at)
    i = begin
    while i + 4 <= end:
        two = load32(table, item(places, i) + shift) + load32(table, item(places, i + 1) + shift)
        sums = sums + (two + (load32(table, item(places, i + 2) + shift) + load32(table, item(places, i + 3) + shift)))
        i += 4
    while i < end:
        sums = sums + load32(table, item(places, i) + shift)
        i += 1
    store(total, at, sums)


@kernel
def weight_gradient(
    low, high, parts, places, bounds, gradient, total, factors, out, units, channels, size, stride, padding, shape
):
    """`out[part, (ky*k + kx)*C + ci] = sum over spikes (y, x, ci) of G[(y + p - ky) / s, (x + p - kx) / s]`, float32.

    Tasks low..high-1: task = (lanes output channels) * parts + (a part of the tables). places: as `list_channels` wrote
    them; bounds[table, key], bounds[table, key + 1]: where a key's begin and end.
    """
    _, _, span, _, _, before, _, _, tall, wide, together, lanes = shape
    outputs, tables, sets = gradient.shape[1], bounds.shape[0], 2**span - 1
    for task in range(low, high):
        part, column = task % parts, max(0, min(task // parts * lanes, outputs - lanes))
        table = zeros_on_line(together * tall * wide * sets * lanes)
        sums = zeros_on_line(size * size * channels * lanes)
        for group in range(part * tables // parts, (part + 1) * tables // parts):
            for unit in range(group * together, min((group + 1) * together, units)):
                lay_out(gradient, total, factors, unit, column, shape, table)
            for ky in range(size):
                top = (ky - padding) % stride
                down = (top + padding - ky) // stride + before
                for kx in range(size):
                    side = (kx - padding) % stride
                    shift = (down * wide + (side + padding - kx) // stride + before) * sets * lanes
                    key = (top * stride + side) * channels
                    row = (ky * size + kx) * channels
                    for c in range(channels):
                        i, j = bounds[group, key + c], bounds[group, key + c + 1]
                        if lanes == LANES:
                            add_places(table, shift, places, i, j, sums, (row + c) * lanes)
                        else:
                            add_half_places(table, shift, places, i, j, sums, (row + c) * lanes)
        count = min(lanes, outputs)
        for row in range(size * size * channels):
            out[part, row, column : column + count] = sums[row * lanes : row * lanes + count]
