"""Integers in as few bits as they need: `value = low + step * unsigned`, the unsigned numbers side by side.

For the codes of a b-bit layer this is the paper's W_int, b bits each: low = -s, step = 2. A constant takes no bits.
Where most values are 0 and it takes fewer bits, a bit for each value says whether it is 0, and only the others follow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.common.types import Array

DTYPES = ("int8", "int16", "int32")

PIECE = 1 << 20
"""Numbers that are unpacked at once, a multiple of 8, so that each piece begins with a byte."""


class Packed(NamedTuple):
    """data: uint8, the unsigned numbers of `bits` bits each, the first bit first; and how to get the array back.

    sparse: before them a bit for each value, 0 where it is 0; the numbers are only of the others.
    """

    data: npt.NDArray[np.uint8]
    dtype: str
    shape: tuple[int, ...]
    low: int
    step: int
    bits: int
    sparse: bool = False


def pack(array: Array) -> Packed:
    """An int8, int16 or int32 array, none of its axes empty."""
    flat = array.reshape(-1).astype(np.int64)
    kept = flat[flat != 0]
    low, step, unsigned, bits = _scaled(flat)
    mask = np.empty(0, np.uint8)
    if kept.size and flat.size + kept.size * _scaled(kept)[3] < flat.size * bits:
        mask = np.packbits(flat != 0, bitorder="little")
        low, step, unsigned, bits = _scaled(kept)
    planes = np.unpackbits(unsigned.view(np.uint8).reshape(-1, 4), axis=1, count=bits, bitorder="little")
    data = np.concatenate((mask, np.packbits(planes, bitorder="little")))
    return Packed(data, array.dtype.name, array.shape, low, step, bits, bool(mask.size))


def _scaled(flat: Array) -> tuple[int, int, Array, int]:
    """low, step, the unsigned numbers, and the bits that the largest of them needs."""
    low = int(flat.min())
    step = int(np.gcd.reduce(flat - low)) or 1
    unsigned = ((flat - low) // step).astype("<u4")
    return low, step, unsigned, int(unsigned.max()).bit_length()


def unpack(packed: Packed) -> Array:
    """Exactly the array that was packed. Raises FormatError where the parts do not belong together."""
    count = 1
    for size in packed.shape:
        count *= size
    if packed.dtype not in DTYPES or not 0 <= packed.bits <= 32 or count < 1:
        raise FormatError(expected("packed array", f"{', '.join(DTYPES)} in 0 to 32 bits", str(packed[1:])))
    chosen, data = np.ones(count, np.bool_), packed.data
    if packed.sparse and data.dtype == np.uint8 and data.ndim == 1 and len(data) >= -(-count // 8):
        chosen = np.unpackbits(data, count=count, bitorder="little").astype(np.bool_)
        data = data[-(-count // 8) :]
    some = int(chosen.sum())
    if data.dtype != np.uint8 or data.shape != (-(-some * packed.bits // 8),):
        want = f"{-(-some * packed.bits // 8)} bytes"
        raise FormatError(expected("packed array", want, Unquoted(f"{data.dtype} {data.shape}")))
    values = np.zeros(count, packed.dtype)
    places = np.flatnonzero(chosen) if packed.sparse else None
    for start in range(0, some, PIECE):
        stop = min(start + PIECE, some)
        at = slice(start, stop) if places is None else places[start:stop]
        values[at] = _numbers(packed, data, start, stop)
    return values.reshape(packed.shape)


def _numbers(packed: Packed, data: npt.NDArray[np.uint8], start: int, stop: int) -> Array:
    """Numbers start..stop-1, int64: eight bytes of each while they are unpacked, so a piece at a time."""
    bits, some = packed.bits, stop - start
    planes = np.unpackbits(data[start * bits // 8 :], count=some * bits, bitorder="little").reshape(some, bits)
    unsigned = np.zeros(some, np.int64)
    for bit in range(bits):
        unsigned |= planes[:, bit].astype(np.int64) << bit
    values = packed.low + packed.step * unsigned
    limits = np.iinfo(packed.dtype)
    if values.min() < limits.min or values.max() > limits.max:
        raise FormatError(expected("packed array", packed.dtype, Unquoted(f"{values.min()} to {values.max()}")))
    return values
