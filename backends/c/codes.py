"""Weights as C holds them: a row of codes for each input of a window, packed to their bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.counts import WORD

Array = npt.NDArray[Any]

WIDTHS = (2, 4, 8, 16)
"""Bits that a code may take."""

LISTED_PEAK = 16
"""Counts up to this are listed as events, k times for a count of k; larger ones (images) are multiplied."""

LONGEST_LIST = 64
"""Rows that are added at a time, at most."""


@dataclass(frozen=True, eq=False)
class Codes:
    """`code = low + step * stored`; stored: unsigned, `bits` each.

    table: uint32 [rows, words], the code of channel `plane*words + w` in bits `plane*bits...` of word w, so that one
    word holds codes of several channels and each of its planes runs along the channels. listed: counts are listed as
    events, else multiplied. largest: what no sum of stored codes times counts exceeds.
    """

    table: Array
    bits: int
    low: int
    step: int
    listed: bool
    largest: int

    @property
    def words(self) -> int:
        """Words of a row."""
        words: int = self.table.shape[1]
        return words

    @property
    def planes(self) -> int:
        """Codes in a word."""
        return WORD // self.bits

    @property
    def most(self) -> int:
        """Rows that are added at a time."""
        return most(self.bits) if self.listed else LONGEST_LIST


def lane(bits: int) -> int:
    """8 bits for codes of 2 and 4; twice the code's own for wider ones."""
    return max(8, 2 * bits)


def most(bits: int) -> int:
    """How many stored codes a lane can add without overflow, at most LONGEST_LIST."""
    return min(((1 << lane(bits)) - 1) // ((1 << bits) - 1), LONGEST_LIST)


def encode(codes: Array, peak: int) -> Codes:
    """Codes [..., C_out], the axes before it flattened to rows, for counts 0..peak."""
    rows = codes.reshape(-1, codes.shape[-1]).astype(np.int64)
    low = int(rows.min())
    step = int(np.gcd.reduce(rows - low, axis=None)) or 1
    stored = (rows - low) // step
    bits = next(width for width in WIDTHS if int(stored.max()) < 2**width)
    largest = int(stored.sum(0).max()) * peak
    planes = WORD // bits
    words = -(-rows.shape[1] // planes)
    padded = np.zeros((len(rows), planes * words), np.uint32)
    padded[:, : rows.shape[1]] = stored
    table = np.zeros((len(rows), words), np.uint32)
    for plane in range(planes):
        table |= padded[:, plane * words : (plane + 1) * words] << np.uint32(plane * bits)
    return Codes(table, bits, low, step, peak <= LISTED_PEAK, largest)
