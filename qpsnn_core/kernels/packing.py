"""Weights as the gather kernel reads them: narrow, never negative, 64 output channels together, aligned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.kernels.events import LANES

Array = npt.NDArray[Any]


class Packed(NamedTuple):
    """`weight = gain*row + offset`; rows: flat blocks of [taps*C_in, 64]; 8*often rows add up in their own type."""

    rows: Array
    gain: int
    offset: int
    often: int


def pack(weights: Array) -> Packed:
    """Weights [..., C_out], integers or float32, as rows for `conv_forward`.

    Codes of b <= 5 bits become bytes: odd integers -s..s are 2*W_int - s (Eq. 4), so that 8 rows of W_int fit in 255.
    """
    flat = weights.reshape(-1, weights.shape[-1])
    if flat.dtype.kind == "f":
        return Packed(_blocks(flat, np.dtype(np.float32)), 1, 0, 2**20)
    offset = int(flat.min(initial=0))
    above = flat.astype(np.int64) - offset
    gain = 2 if not (above & 1).any() else 1
    above //= gain
    largest = max(1, int(above.max(initial=0)))
    for kind in (np.uint8, np.uint16, np.int32):
        often = int(np.iinfo(kind).max) // (8 * largest)
        if often:
            return Packed(_blocks(above, np.dtype(kind)), gain, offset, often)
    raise OverflowError(f"weights: expected a range below 2**28, got {largest}")


def aligned(size: int, dtype: Any) -> Array:
    """A flat array that begins on a cache line: a row of 64 bytes that straddles two costs twice."""
    dtype = np.dtype(dtype)
    room = np.empty(size * dtype.itemsize + LANES, np.uint8)
    begin = -room.ctypes.data % LANES
    return room[begin : begin + size * dtype.itemsize].view(dtype)


def _blocks(flat: Array, dtype: Any) -> Array:
    rows, outputs = flat.shape
    count = -(-outputs // LANES)
    blocks = aligned(count * rows * LANES, dtype).reshape(count, rows, LANES)
    for block in range(count):
        begin = max(0, min(block * LANES, outputs - LANES))
        part = flat[:, begin : begin + LANES]
        blocks[block, :, : part.shape[1]] = part
        blocks[block, :, part.shape[1] :] = 0
    return blocks.reshape(-1)
