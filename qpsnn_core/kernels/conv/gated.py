"""The event-driven convolution behind gates: channels, pixels, windows and blocks of sums that are closed are skipped.

The same sums as `forward.conv_forward` of the masked counts, times the masks of the sums. Weights are packed by
`packing.pack`. The spikes of a pixel are listed once, and taken over for each row of windows that sees it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv.forward import LISTED, sums_of
from qpsnn_core.kernels.conv.spike_lists import GROUP, LANES
from qpsnn_core.kernels.simd.vector import append, fill16, fill64, greater_equal, item, load16, set_item, store, take16
from qpsnn_core.kernels.threads import kernel


class OpenMasks(NamedTuple):
    """What gates open, uint8, flat: of sums `places` [M*Ho*Wo] and `outputs` [M*C_out]; of what is read `pixels`
    [M*H*W] and `channels` [M*C_in]. An empty one opens all.
    """

    places: Array
    outputs: Array
    pixels: Array
    channels: Array


class PixelLists(NamedTuple):
    """What `list_pixels` writes, int32: the spikes of all pixels of an image one after another, as LANES times their
    channel, with room for 16 more than there can be; where those of each pixel begin, and where the last ones end.
    """

    spikes: Array
    starts: Array


@kernel
def any_open(mask, begin, end):
    """Whether any of `mask[begin:end]`, uint8, is 1; of an empty mask all are."""
    found = len(mask) == 0
    if found:
        return found
    for i in range(begin, end):
        found = found or mask[i] > 0
    return found


@kernel
def open_at(mask, place):
    """Whether `mask[place]`, uint8, is 1; of an empty mask it is."""
    if len(mask) == 0:
        return True
    return item(mask, place) > 0


@kernel
def list_pixels(counts, begin, max_count, pixels, channels, masks, image, limit, blocks, lists):
    """Each pixel's spikes whose pixel and channel are open; a count of k is listed k times.

    Of 16 channels side by side that are all closed, nothing is read.

    counts: unsigned, flat, the image begins at `begin`. max_count: the largest. pixels, channels: of an image. masks:
    OpenMasks. image: its number. limit: of the counts' type, room for a number for each channel; blocks: int64, for one
    for each 16. lists: PixelLists.
    """
    spikes, starts = lists
    first, ladder, n = image * channels, (np.arange(16) * LANES).astype(np.int32), 0
    for c in range(channels):
        limit[c] = 1 if open_at(masks.channels, first + c) else max_count + 1
    whole, there_are = channels - channels % 16, 0
    for c in range(0, whole, 16):
        if any_open(masks.channels, first + c, first + c + 16):
            set_item(blocks, there_are, c)
            there_are += 1
    rest = whole < channels and any_open(masks.channels, first + whole, first + channels)
    for pixel in range(pixels):
        set_item(starts, pixel, n)
        if not open_at(masks.pixels, image * pixels + pixel):
            continue
        at = begin + pixel * channels
        if max_count > 1:
            for c in range(channels):
                if open_at(masks.channels, first + c):
                    for _ in range(counts[at + c]):
                        set_item(spikes, n, c * LANES)
                        n += 1
            continue
        for block in range(there_are):
            c = item(blocks, block)
            there = greater_equal(load16(counts, at + c), load16(limit, c))
            n = append(spikes, n, there, load16(ladder, 0) + fill16(c * LANES, ladder))
        if rest:
            there = greater_equal(take16(counts, at + whole, channels - whole), load16(limit, whole))
            n = append(spikes, n, there, load16(ladder, 0) + fill16(whole * LANES, ladder))
    set_item(starts, pixels, n)


@kernel
def take_columns(pixel_lists, top, geometry, across, listed, ends, counted, n):
    """As `spike_lists.list_columns`, from PixelLists: the spikes under one row of windows, column after column.

    pixel_lists: PixelLists. top, geometry, across, n: as there. listed, ends, counted: those of ColumnLists.
    """
    height, width, channels, _, size, _, padding, _, _ = geometry
    spikes, starts = pixel_lists
    seen = 0
    for x in range(width + 2 * padding):
        set_item(ends, x, n)
        set_item(counted, x, seen)
        if not padding <= x < width + padding:
            continue
        before = n
        for ky in range(max(0, -top), min(size, height - top)):
            pixel = (top + ky) * width + x - padding
            i, j = item(starts, pixel), item(starts, pixel + 1)
            row = fill16((ky * across + x) * channels * LANES, listed)
            store(listed, n, load16(spikes, i) + row)
            k = i + 16
            while k < j:
                store(listed, n + k - i, load16(spikes, k) + row)
                k += 16
            n += j - i
        seen += n - before
        store(listed, n, fill16((size * across + x) * channels * LANES, listed))
        n = before + (n - before + GROUP - 1) // GROUP * GROUP
    set_item(ends, width + 2 * padding, n)
    set_item(counted, width + 2 * padding, seen)
    return n


@kernel
def gated_forward(start, stop, counts, max_count, weights, total, geometry, masks):
    """`total` as of `conv_forward`, times the masks of sums, of counts times the masks of what is read.

    Images start..stop-1; counts, max_count, weights, total, geometry: as for `conv_forward`. masks: OpenMasks. A block
    is skipped where none of its channels (64, or 128 of weights of four bits) is open, or no window of those that one
    row of weights serves; for a row of windows of which none is open not even a list is made.
    """
    table, gain, offset, groups_per_widen, windows_per_row, two_per_byte = weights
    height, width, channels, outputs, size, stride, padding, out_height, out_width = geometry
    across, step, lanes = size + (windows_per_row - 1) * stride, stride * windows_per_row, outputs * windows_per_row
    wide, area, edge = LANES if two_per_byte is None else 2 * LANES, height * width * channels, width + 2 * padding + 1
    blocks, most = (lanes + wide - 1) // wide, (size * channels * max_count + GROUP) * width
    band = 1 if blocks == 1 else min(out_height, max(1, LISTED // most))
    listed, limit = np.empty(band * most + 16, np.int32), np.full(channels + 16, max_count + 1, counts.dtype)
    ends, counted = np.empty((band, edge), np.int32), np.empty((band, edge), np.int32)
    groups = np.empty(channels // 16 + 1, np.int64)
    lists = PixelLists(np.empty(area * max_count + 16, np.int32), np.empty(height * width + 1, np.int32))
    last, spare = stop * out_height * out_width * outputs, np.empty(LANES, total.dtype)
    times, nothing, places = fill64(gain, total), fill64(0, total), masks.places
    for image in range(start, stop):
        list_pixels(counts, image * area, max_count, height * width, channels, masks, image, limit, groups, lists)
        channel = image * outputs
        for begin in range(image * out_height, (image + 1) * out_height, band):
            end, n = min((image + 1) * out_height, begin + band), 0
            for line in range(begin, end):
                if any_open(places, line * out_width, (line + 1) * out_width):
                    top = line % out_height * stride - padding
                    n = take_columns(lists, top, geometry, across, listed, ends[line - begin], counted[line - begin], n)
            for block in range(blocks):
                begins = block * (len(table) // blocks)
                column = max(0, min(block * wide, lanes - wide))
                first = column if windows_per_row == 1 else 0
                through = any_open(masks.outputs, channel + first, channel + min(first + wide, outputs))
                for line in range(begin, end):
                    place, before = ends[line - begin], counted[line - begin]
                    out = line * out_width * outputs + column
                    at = line * out_width
                    for left in range(0, out_width * stride, step):
                        sums = others = nothing
                        alone = windows_per_row == 1
                        if through and (open_at(places, at) if alone else any_open(places, at, at + windows_per_row)):
                            base = begins - left * channels * LANES
                            i, j = item(place, left), item(place, left + across)
                            seen = fill64(offset * (item(before, left + across) - item(before, left)), total)
                            sums, others = sums_of(table, base, listed, i, j, groups_per_widen, two_per_byte, total)
                            sums, others = sums * times + seen, others * times + seen
                        if two_per_byte is not None:
                            store(total, out, sums)
                            store(total, out + LANES, others)
                        elif out + LANES <= last:
                            store(total, out, sums)
                        else:
                            store(spare, 0, sums)
                            total[out : out + lanes] = spare[:lanes]
                        out += lanes
                        at += windows_per_row
        close(total, image, masks, out_height * out_width, outputs, windows_per_row > 1)


@kernel
def close(total, image, masks, places, outputs, windows):
    """Set to 0 what an image's masks of sums close.

    total: written. masks: OpenMasks. places, outputs: of an image's sums. windows: whether closed windows may hold
    sums; else only closed channels may: a block is computed for one that is open.
    """
    channel = image * outputs
    for place in range(image * places, (image + 1) * places):
        if windows and not open_at(masks.places, place):
            total[place * outputs : (place + 1) * outputs] = 0
    for block in range(0, outputs, LANES):
        last = min(block + LANES, outputs)
        if all_open(masks.outputs, channel + block, channel + last):
            continue
        some = any_open(masks.outputs, channel + block, channel + last)
        for place in range(image * places, (image + 1) * places):
            if not some:
                total[place * outputs + block : place * outputs + last] = 0
                continue
            for c in range(block, last):
                if not open_at(masks.outputs, channel + c):
                    total[place * outputs + c] = 0


@kernel
def all_open(mask, begin, end):
    """Whether all of `mask[begin:end]`, uint8, are 1; of an empty mask all are."""
    found = True
    if len(mask) == 0:
        return found
    for i in range(begin, end):
        found = found and mask[i] > 0
    return found


@kernel
def close_images(start, stop, total, geometry, masks):
    """Set to 0 what the masks of sums close in images start..stop-1; the arguments as for `gated_forward`."""
    _, _, _, outputs, _, _, _, out_height, out_width = geometry
    for image in range(start, stop):
        close(total, image, masks, out_height * out_width, outputs, True)
