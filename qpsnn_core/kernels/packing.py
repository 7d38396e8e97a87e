"""Weights as the gather kernel reads them: narrow, never negative, 64 output channels together, aligned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.kernels.events import LANES
from qpsnn_core.kernels.parallel import kernel

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
    flat = np.ascontiguousarray(weights).reshape(-1, weights.shape[-1])
    if flat.dtype.kind == "f":
        return Packed(_blocks(flat, np.dtype(np.float32)), 1, 0, 2**20)
    offset = int(flat.min(initial=0))
    odd = (flat ^ flat.dtype.type(offset)) & 1
    gain = 1 if odd.any() else 2
    largest = max(1, (int(flat.max(initial=0)) - offset) // gain)
    for kind in (np.uint8, np.uint16, np.int32):
        often = int(np.iinfo(kind).max) // (8 * largest)
        if often:
            return Packed(_blocks(flat, np.dtype(kind), offset, gain - 1), gain, offset, often)
    raise OverflowError(f"weights: expected a range below 2**28, got {largest}")


def aligned(size: int, dtype: Any) -> Array:
    """A flat array that begins on a cache line: a row of 64 bytes that straddles two costs twice."""
    dtype = np.dtype(dtype)
    room = np.empty(size * dtype.itemsize + LANES, np.uint8)
    begin = -room.ctypes.data % LANES
    return room[begin : begin + size * dtype.itemsize].view(dtype)


@kernel
def fill_block(flat, outputs, column, lanes, offset, shift, block):
    """`block[row, lane] = (flat[row, column + lane] - offset) >> shift`; lanes beyond are 0."""
    for row in range(len(block) // LANES):
        for lane in range(lanes):
            block[row * LANES + lane] = (flat[row * outputs + column + lane] - offset) >> shift
        for lane in range(lanes, LANES):
            block[row * LANES + lane] = 0


def _blocks(flat: Array, dtype: Any, offset: int = 0, shift: int = 0) -> Array:
    rows, outputs = flat.shape
    count, lanes = -(-outputs // LANES), min(LANES, outputs)
    blocks = aligned(count * rows * LANES, dtype).reshape(count, -1)
    for block in range(count):
        column = max(0, min(block * LANES, outputs - LANES))
        if dtype.kind == "f":
            shaped = blocks[block].reshape(rows, LANES)
            shaped[:, :lanes], shaped[:, lanes:] = flat[:, column : column + lanes], 0
        else:
            fill_block(flat.reshape(-1), outputs, column, lanes, offset, shift, blocks[block])
    return blocks.reshape(-1)
