"""Weights as the gather kernel reads them: narrow, never negative, 64 output channels together, aligned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.buffers import MIN_REUSED_BYTES, Array, empty
from qpsnn_core.kernels.conv.spike_lists import GROUP, LANES
from qpsnn_core.kernels.simd.vector import fill64, halve, load64, store, to
from qpsnn_core.kernels.threads import kernel


class PackedWeights(NamedTuple):
    """`weight = gain*row + offset`; rows: flat blocks of [taps*C_in + zeros, 64].

    groups_per_widen: so many GROUPs of rows may be added in the type of the rows before a sum is widened.
    zeros: `(k - 1)*C_in + 1` rows, k the columns of a window. windows_per_row: windows side by side that a row serves.
    two_per_byte: True where a byte of a row holds two channels, 64 apart; else None, for which Numba compiles other
    code.
    """

    rows: Array
    gain: int
    offset: int
    groups_per_widen: int
    windows_per_row: int
    two_per_byte: bool | None = None


def pack(weights: Array, stride: int = 1, width: int = 1, levels: int | None = None) -> PackedWeights:
    """Weights [k, k, C_in, C_out], integers or float32, as rows for `conv_forward`; width: of its output.

    levels: where it is known that they are odd integers -levels..levels, which else is looked for.

    Codes of b <= 5 bits become bytes: odd integers -s..s are 2*W_int - s (Eq. 4), so that GROUP rows of W_int fit in
    255; those of b <= 4 bits halves of bytes, where there are 128 channels.
    """
    windows_per_row = _windows_per_row(weights.shape[-1], width)
    if windows_per_row > 1:
        weights = _side_by_side(weights, stride, windows_per_row)
    flat = np.ascontiguousarray(weights).reshape(-1, weights.shape[-1])
    zeros = (weights.shape[1] - 1) * weights.shape[2] + 1
    if flat.dtype.kind == "f":
        return PackedWeights(_blocks(flat, zeros, np.dtype(np.float32)), 1, 0, 2**20, windows_per_row)
    if levels and windows_per_row == 1:
        offset, gain, largest = -levels, 2, levels
    else:
        offset = int(flat.min(initial=0))
        gain = 1 if ((flat ^ flat.dtype.type(offset)) & 1).any() else 2
        largest = max(1, (int(flat.max(initial=0)) - offset) // gain)
    if largest < 16 and flat.shape[1] >= 2 * LANES:
        return PackedWeights(
            _halves(flat, zeros, offset, gain - 1), gain, offset, 255 // (GROUP * largest), windows_per_row, True
        )
    for kind in (np.uint8, np.uint16, np.int32):
        groups_per_widen = int(np.iinfo(kind).max) // (GROUP * largest)
        if groups_per_widen:
            return PackedWeights(
                _blocks(flat, zeros, np.dtype(kind), offset, gain - 1), gain, offset, groups_per_widen, windows_per_row
            )
    raise OverflowError(f"weights: expected a range below 2**28, got {largest}")


def aligned(size: int, dtype: Any) -> Array:
    """A flat array that begins on a cache line: a row of 64 bytes that straddles two costs twice."""
    dtype = np.dtype(dtype)
    if size * dtype.itemsize >= MIN_REUSED_BYTES:
        return empty((size,), dtype)
    room = np.empty(size * dtype.itemsize + LANES, np.uint8)
    begin = -room.ctypes.data % LANES
    return room[begin : begin + size * dtype.itemsize].view(dtype)


def _windows_per_row(outputs: int, width: int) -> int:
    """As many windows as fit in LANES channels and divide the width of the output."""
    return max(n for n in range(1, max(1, LANES // outputs) + 1) if width % n == 0)


def _side_by_side(weights: Array, stride: int, windows_per_row: int) -> Array:
    """Weights of `windows_per_row` windows as those of one: `[k, k + (n-1)*s, C_in, n*C_out]`, with zeros between."""
    size, _, inputs, outputs = weights.shape
    wide = np.zeros((size, size + (windows_per_row - 1) * stride, inputs, windows_per_row, outputs), weights.dtype)
    for n in range(windows_per_row):
        wide[:, n * stride : n * stride + size, :, n] = weights
    return wide.reshape(*wide.shape[:3], -1)


@kernel
def fill_block(flat, outputs, column, lanes, offset, shift, block):
    """`block[row, lane] = (flat[row, column + lane] - offset) >> shift`; lanes beyond are 0.

    flat: weights `[rows, outputs]`, integers, flat. column: the block's first output channel. lanes: its channels, at
    most LANES. block: unsigned, flat `[rows, LANES]`, written.
    """
    wide = np.empty(0, np.int32)
    lowest = fill64(offset, wide)
    for row in range(len(block) // LANES):
        if lanes == LANES:
            numbers = to(load64(flat, row * outputs + column), wide) - lowest
            store(block, row * LANES, to(halve(numbers, shift), block))
            continue
        for lane in range(lanes):
            block[row * LANES + lane] = (np.int64(flat[row * outputs + column + lane]) - offset) >> shift
        for lane in range(lanes, LANES):
            block[row * LANES + lane] = 0


@kernel
def fill_halves(flat, outputs, column, offset, shift, block):
    """As `fill_block`, of 128 lanes: of bytes, the lower four bits from lane l, the upper ones from lane l + 64.

    block: uint8, flat `[rows, LANES]`, written; the rest as for `fill_block`.
    """
    wide = np.empty(0, np.int32)
    lowest = fill64(offset, wide)
    for row in range(len(block) // LANES):
        at = row * outputs + column
        low = halve(to(load64(flat, at), wide) - lowest, shift)
        high = halve(to(load64(flat, at + LANES), wide) - lowest, shift)
        store(block, row * LANES, to(low + high * fill64(16, wide), block))


def _blocks(flat: Array, zeros: int, dtype: Any, offset: int = 0, shift: int = 0) -> Array:
    rows, outputs = flat.shape
    count, lanes = -(-outputs // LANES), min(LANES, outputs)
    blocks, used = _room(count, rows, zeros, dtype)
    for block in range(count):
        column = max(0, min(block * LANES, outputs - LANES))
        if dtype.kind == "f":
            shaped = used[block].reshape(rows, LANES)
            shaped[:, :lanes], shaped[:, lanes:] = flat[:, column : column + lanes], 0
        else:
            fill_block(flat.reshape(-1), outputs, column, lanes, offset, shift, used[block])
    return blocks.reshape(-1)


def _halves(flat: Array, zeros: int, offset: int, shift: int) -> Array:
    rows, outputs = flat.shape
    count = -(-outputs // (2 * LANES))
    blocks, used = _room(count, rows, zeros, np.dtype(np.uint8))
    for block in range(count):
        column = min(block * 2 * LANES, outputs - 2 * LANES)
        fill_halves(flat.reshape(-1), outputs, column, offset, shift, used[block])
    return blocks.reshape(-1)


def _room(count: int, rows: int, zeros: int, dtype: Any) -> tuple[Array, Array]:
    """Blocks whose last rows are zeros, and their other rows."""
    blocks = aligned(count * (rows + zeros) * LANES, dtype).reshape(count, -1)
    blocks[:, rows * LANES :] = 0
    return blocks, blocks[:, : rows * LANES]
