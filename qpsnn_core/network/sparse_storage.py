"""How many bits the weights of a layer take where most are 0: all of them, a bitmap, or the gaps between those left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Bools

GAP_BITS = range(1, 17)
"""Widths of a gap that are tried."""


class Stored(NamedTuple):
    """form: "dense", "bitmap" or "gaps"; bits: of values and index together; gap: the width of a gap, else 0."""

    form: str
    bits: int
    gap: int = 0


def stored(mask: Bools, bits: int) -> Stored:
    """The form that takes the fewest bits. mask: which weights are not 0, of any shape; bits: of one weight.

    Weights follow each other in the order of the array, [..., C_out]. "bitmap": a bit for each weight, then those that
    are not 0. "gaps": each that is not 0 with the number of zeros before it in `gap` bits; where there are more, a
    zero is stored as if it were one (Han et al., ICLR 2016). The width of a gap, as the bits of a weight, belongs to
    the header.
    """
    forms = [Stored("dense", mask.size * bits), Stored("bitmap", bitmap_bits(mask, bits))]
    places = np.flatnonzero(mask)
    before = np.diff(places, prepend=-1) - 1
    for width in GAP_BITS:
        entries = len(places) + int((before >> width).sum())
        forms.append(Stored("gaps", entries * (width + bits), width))
    return min(forms, key=lambda form: form.bits)


def bitmap_bits(mask: npt.NDArray[Any], bits: int) -> int:
    """A bit for each weight, and the weights that are not 0."""
    return int(mask.size + bits * np.count_nonzero(mask))
