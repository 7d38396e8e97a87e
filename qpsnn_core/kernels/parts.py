"""The one rule for sums over samples: a batch is cut into a fixed number of parts, and their sums are added in order.

A part is a run of neighbouring samples. Its sum is a function of its own samples, in an order that they alone decide.
How many parts there are follows from the batch and the recipe, never from threads, ranks or the processor: whoever
computes a part, and wherever, the total has the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from qpsnn_core.kernels.buffers import Array

MOST_PARTS = 16
"""Parts of a batch, where the recipe names no number: they serve 1 to 16 threads or ranks."""

MIN_PART = 4
"""Least number of samples in a part, where the recipe names no number: each part adds all weight gradients once."""

PIECES = 4
"""A part's own sums of moments are cut again, into at most so many pieces, so that threads outnumber parts."""

Parts = tuple[tuple[int, int], ...]


@cache
def parts_of(samples: int, count: int = 0) -> Parts:
    """`samples` in `count` ranges (start, stop) of equal size, or as nearly as can be; 0: one for every MIN_PART.

    Of fewer samples than `count` (the last images of an evaluation) each is a part of its own.
    """
    count = min(count, samples) or max(1, min(MOST_PARTS, samples // MIN_PART))
    return tuple((part * samples // count, (part + 1) * samples // count) for part in range(count))


@cache
def pieces_of(parts: Parts, size: int, least: int) -> Array:
    """The rows of each part, `size` of a sample, in pieces of at least `least`: int64 `[parts, most pieces, 2]`.

    Each piece is (start, stop); a part that has fewer pieces than another ends with empty ones.
    """
    counts = [max(1, min(PIECES, (stop - start) * size // least)) for start, stop in parts]
    found = np.zeros((len(parts), max(counts), 2), np.int64)
    for part, ((start, stop), count) in enumerate(zip(parts, counts, strict=True)):
        rows = (stop - start) * size
        for piece in range(count):
            found[part, piece] = start * size + piece * rows // count, start * size + (piece + 1) * rows // count
    return found


def add_in_order(sums: Sequence[Any] | Array) -> Any:
    """`((sums[0] + sums[1]) + sums[2]) + ...`: numbers or arrays, of one part after another."""
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total


def add_pieces(sums: Array, pieces: Array) -> Array:
    """The sums of pieces, in order, are those of parts; these, in order, the total.

    sums: `[parts * pieces, ...]`, of the `pieces` that `pieces_of` gave.
    """
    by_piece = sums.reshape(*pieces.shape[:2], *sums.shape[1:]).swapaxes(0, 1)
    total: Array = add_in_order(add_in_order(by_piece))
    return total


def add_steps(array: Array) -> Array:
    """The sum over the first axis, in order.

    NumPy adds rows of memory in order, and numbers that lie side by side in pairs.
    """
    rows = np.ascontiguousarray(array)
    total: Array = rows.sum(0) if rows[0].size > 1 else add_in_order(rows)
    return total
