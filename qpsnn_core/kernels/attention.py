"""Attention of spikes: `A = q (k^T v)` of each head in integers, and its gradients, driven by events.

Integers may be multiplied in any order. `(q k^T) v` takes `tokens**2` rows of v, whatever fires; `k^T v` is a table of
counts, to which each spike of k adds a row of v, and of which each spike of q adds a row to A: `tokens * channels *
(rate of k + rate of q)` rows, several times fewer unless a head has fewer tokens than a fifth of its channels. So do
the gradients of k and v, with q^T dX in the place of k^T v. The gradient of q is the one dense product.

Flat arrays, channels last: q, k `[M * tokens * heads*matched]`, v and A `[M * tokens * heads*given]`, uint8 0 or 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.simd.vector import (
    fill16,
    item,
    load16,
    multiply_add,
    set_item,
    store,
    store_masked,
    take16,
    to,
)
from qpsnn_core.kernels.threads import kernel

LANES = 16


class HeadShape(NamedTuple):
    """tokens: of an image. heads: of a token. matched: channels of q and k in a head; given: those of v and A."""

    tokens: int
    heads: int
    matched: int
    given: int


@kernel
def pitch_of(channels):
    """Numbers from one row of a table to the next: `channels`, filled up to whole vectors."""
    return -(-channels // LANES) * LANES


@kernel
def list_spikes(spikes, begin, step, tokens, channels, lists):
    """The channels that spike, of each of so many tokens, one token after the other.

    spikes: uint8, flat; token i has `channels` of them from `begin + i*step` on. lists: int32 (places
    `[tokens*channels]`, ends `[tokens + 1]`), written: those of token i are `places[ends[i]:ends[i + 1]]`.
    """
    places, ends = lists
    found = 0
    set_item(ends, 0, 0)
    for i in range(tokens):
        row = begin + i * step
        for a in range(channels):
            set_item(places, found, a)
            found += int(item(spikes, row + a))
        set_item(ends, i + 1, found)


@kernel
def add_outer(lists, tokens, rows, begin, step, count, scale, table):
    """`table[a, :] += scale * rows[i, :]` for each token i, in order, and each channel a of its list.

    lists, tokens: of `list_spikes`. rows: flat, of any type; token i has `count` numbers from `begin + i*step` on.
    scale: a number of the type of the table, which is flat, `pitch_of(count)` to a row, and begins at 0.
    """
    places, ends = lists
    pitch = pitch_of(count)
    for k in range(len(table)):
        set_item(table, k, 0)
    for i in range(tokens):
        for c in range(0, count, LANES):
            row = to(take16(rows, begin + i * step + c, count - c), table) * fill16(scale, table)
            for n in range(item(ends, i), item(ends, i + 1)):
                at = item(places, n) * pitch + c
                store(table, at, load16(table, at) + row)


@kernel
def add_listed(lists, tokens, table, count, out, begin, step):
    """`out[i, :] = sum of table[a, :]` over the channels a of the list of token i, in order.

    lists, tokens: of `list_spikes`. table: flat, `pitch_of(count)` to a row. out: flat, of the table's type, written;
    token i has `count` numbers from `begin + i*step` on.
    """
    places, ends = lists
    pitch = pitch_of(count)
    for i in range(tokens):
        for c in range(0, count, LANES):
            total = fill16(0, table)
            for n in range(item(ends, i), item(ends, i + 1)):
                total = total + load16(table, item(places, n) * pitch + c)
            store_masked(out, begin + i * step + c, total, count - c)


@kernel
def transpose(table, rows, columns, out):
    """`out[c, a] = table[a, c]`, both flat float32, filled up to `pitch_of` their columns.

    rows, columns: of the table.
    """
    pitch, across = pitch_of(columns), pitch_of(rows)
    for a in range(rows):
        for c in range(columns):
            set_item(out, c * across + a, item(table, a * pitch + c))


@kernel
def multiply_rows(rows, begin, scale, table, shape, out, target):
    """`out[i, a] = sum over c of (scale*rows[i, c]) * table[c, a]`, added with fused products in the order of c.

    rows: float32, flat; token i has `given` numbers from `begin + i*heads*given` on. scale: float32. table: float32,
    flat, `pitch_of(matched)` to a row. shape: HeadShape. out: float32, flat, written; token i begins at
    `target + i*heads*matched`.
    """
    tokens, heads, matched, given = shape
    across, wide, step, last = pitch_of(matched), heads * given, heads * matched, tokens - 1
    for a in range(0, matched, LANES):
        for i in range(0, tokens, 4):
            p0, p1 = begin + i * wide, begin + min(i + 1, last) * wide
            p2, p3 = begin + min(i + 2, last) * wide, begin + min(i + 3, last) * wide
            s0 = s1 = s2 = s3 = fill16(0, table)
            for c in range(given):
                row = load16(table, c * across + a)
                s0 = multiply_add(fill16(scale * item(rows, p0 + c), table), row, s0)
                s1 = multiply_add(fill16(scale * item(rows, p1 + c), table), row, s1)
                s2 = multiply_add(fill16(scale * item(rows, p2 + c), table), row, s2)
                s3 = multiply_add(fill16(scale * item(rows, p3 + c), table), row, s3)
            store_masked(out, target + i * step + a, s0, matched - a)
            store_masked(out, target + min(i + 1, last) * step + a, s1, matched - a)
            store_masked(out, target + min(i + 2, last) * step + a, s2, matched - a)
            store_masked(out, target + min(i + 3, last) * step + a, s3, matched - a)


@kernel
def lists_for(tokens, channels):
    """Room for the lists of one head.

    tokens, channels: of `list_spikes`.
    """
    return np.empty(tokens * channels, np.int32), np.empty(tokens + 1, np.int32)


@kernel
def attention_forward(start, stop, queries, keys, values, out, shape):
    """A of the heads start..stop-1, head `n % heads` of image `n // heads`.

    queries, keys, values: uint8, flat. out: int16 or int32 (the caller has shown that `tokens*matched` fits), flat,
    written. shape: HeadShape.
    """
    tokens, heads, matched, given = shape
    wide, step = heads * given, heads * matched
    lists, one = lists_for(tokens, matched), out.dtype.type(1)
    table = np.empty(matched * pitch_of(given), out.dtype)
    for n in range(start, stop):
        source = n // heads * tokens * step + n % heads * matched
        target = n // heads * tokens * wide + n % heads * given
        list_spikes(keys, source, step, tokens, matched, lists)
        add_outer(lists, tokens, values, target, wide, given, one, table)
        list_spikes(queries, source, step, tokens, matched, lists)
        add_listed(lists, tokens, table, given, out, target, wide)


@kernel
def attention_backward(start, stop, queries, keys, values, gradient, scale, out, shape):
    """The gradients of q, k and v, of the heads start..stop-1, for `X = scale * A`.

    queries, keys, values, shape: as of `attention_forward`. gradient: dL/dX, float32, flat, as A. scale: float32. out:
    float32 (of q, of k, of v), flat, written.
    """
    tokens, heads, matched, given = shape
    wide, step = heads * given, heads * matched
    of_queries, of_keys, of_values = out
    keyed, others = lists_for(tokens, matched), lists_for(tokens, max(matched, given))
    table = np.empty(matched * pitch_of(given), np.float32)
    turned = np.zeros(given * pitch_of(matched), np.float32)
    for n in range(start, stop):
        source = n // heads * tokens * step + n % heads * matched
        target = n // heads * tokens * wide + n % heads * given
        list_spikes(keys, source, step, tokens, matched, keyed)
        add_outer(keyed, tokens, values, target, wide, given, np.float32(1), table)
        transpose(table, matched, given, turned)
        multiply_rows(gradient, target, scale, turned, shape, of_queries, source)
        list_spikes(queries, source, step, tokens, matched, others)
        add_outer(others, tokens, gradient, target, wide, given, scale, table)
        add_listed(keyed, tokens, table, given, of_values, target, wide)
        transpose(table, matched, given, turned)
        list_spikes(values, target, wide, tokens, given, others)
        add_listed(others, tokens, turned, matched, of_keys, source, step)
