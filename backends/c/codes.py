"""Weights as C holds them: a row of codes for each input of a window, packed to their bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qpsnn_backends.c.counts import WORD
from qpsnn_core.common.types import Array

WIDTHS = (2, 4, 8, 16)
"""Bits that a code may take."""

SPIKE_BLOCKS = (4, 3, 2, 1)
"""Words of codes that are added up together, for spikes: four fill a vector register, one after another they still
fit a microcontroller's registers."""

LONGEST_CHUNK = 256
"""Rows that are added up in lanes at a time, at most."""


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """`code = low + step * stored`; stored: unsigned, `bits` each.

    table: [rows, words]. Packed, a word is a uint32 of several codes: a block of `n` words from word w on holds the
    channels from `w * planes` on, channel `p*n + i` of the block in bits `p*bits...` of its word i. Else a word is one
    code, uint8 or uint16. spikes: rows are added as they are, else each times its count. lane: bits of a sum, 16 where
    no sum of stored codes times counts is larger, else 32.
    """

    table: Array
    bits: int
    low: int
    step: int
    spikes: bool
    lane: int

    @property
    def packed(self) -> bool:
        """Whether a word holds several codes."""
        return self.table.dtype == np.uint32

    @property
    def words(self) -> int:
        """Words of a row."""
        words: int = self.table.shape[1]
        return words

    @property
    def padded(self) -> int:
        """Channels for which a row has room."""
        return self.words * WORD // self.bits if self.packed else self.words

    @property
    def name(self) -> str:
        """What functions for such codes are called."""
        return f"{'spikes' if self.spikes else 'products'}_{self.bits}_{self.lane}"


def lane(bits: int) -> int:
    """Bits that a stored code has to itself while rows are added up: 8 for codes of 2 and 4, else twice the code's."""
    return max(8, 2 * bits)


def chunk(bits: int) -> int:
    """How many stored codes a lane can add without overflow, a multiple of 16, at most LONGEST_CHUNK."""
    return min(((1 << lane(bits)) - 1) // ((1 << bits) - 1) // 16 * 16, LONGEST_CHUNK)


def blocks(words: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(first word, words) of each block of a row: as many of the first size as fit, and so on."""
    first = 0
    for size in sizes:
        while first + size <= words:
            yield first, size
            first += size


def encode(codes: Array, max_count: int, spikes: bool, signed: bool = False) -> StoredCodes:
    """Codes [..., C_out], the axes before it flattened to rows, for counts 0..max_count.

    signed: for signed images, whose sums take a whole word each: a negative one in half a word would borrow.
    """
    rows = codes.reshape(-1, codes.shape[-1]).astype(np.int64)
    low = int(rows.min())
    step = int(np.gcd.reduce(rows - low, axis=None)) or 1
    stored = (rows - low) // step
    bits = next(width for width in WIDTHS if int(stored.max()) < 2**width)
    wide = 16 if not signed and int(stored.sum(0).max()) * max_count < 2**16 and bits < 16 else 32
    if spikes or bits < 8:
        return StoredCodes(_packed(stored, bits, SPIKE_BLOCKS if spikes else (1,)), bits, low, step, spikes, wide)
    return StoredCodes(stored.astype(np.uint8 if bits == 8 else np.uint16), bits, low, step, spikes, 32)


def _packed(stored: Array, bits: int, sizes: tuple[int, ...]) -> Array:
    """uint32 [rows, words] as StoredCodes has them."""
    planes = WORD // bits
    words = -(-stored.shape[1] // planes)
    padded = np.zeros((len(stored), planes * words), np.uint32)
    padded[:, : stored.shape[1]] = stored
    table = np.zeros((len(stored), words), np.uint32)
    for first, size in blocks(words, sizes):
        for plane in range(planes):
            begin = first * planes + plane * size
            table[:, first : first + size] |= padded[:, begin : begin + size] << np.uint32(plane * bits)
    return table
