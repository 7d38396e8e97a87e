"""Integers in as few bits as they need: `value = low + step * unsigned`, the unsigned numbers side by side.

For the codes of a b-bit layer this is the paper's W_int, b bits each: low = -s, step = 2. A constant takes no bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.errors import FormatError, Words, expected

Array = npt.NDArray[Any]

DTYPES = ("int8", "int16", "int32")


class Packed(NamedTuple):
    """data: uint8, the unsigned numbers of `bits` bits each, the first bit first; and how to get the array back."""

    data: npt.NDArray[np.uint8]
    dtype: str
    shape: tuple[int, ...]
    low: int
    step: int
    bits: int


def pack(array: Array) -> Packed:
    """An int8, int16 or int32 array, none of its axes empty."""
    flat = array.reshape(-1).astype(np.int64)
    low = int(flat.min())
    flat -= low
    step = int(np.gcd.reduce(flat)) or 1
    unsigned = (flat // step).astype("<u4")
    bits = int(unsigned.max()).bit_length()
    planes = np.unpackbits(unsigned.view(np.uint8).reshape(-1, 4), axis=1, count=bits, bitorder="little")
    return Packed(np.packbits(planes, bitorder="little"), array.dtype.name, array.shape, low, step, bits)


def unpack(packed: Packed) -> Array:
    """Exactly the array that was packed. Raises FormatError where the parts do not belong together."""
    count = 1
    for size in packed.shape:
        count *= size
    if packed.dtype not in DTYPES or not 0 <= packed.bits <= 32 or count < 1:
        raise FormatError(expected("packed array", f"{', '.join(DTYPES)} in 0 to 32 bits", str(packed[1:])))
    if packed.data.dtype != np.uint8 or packed.data.shape != (-(-count * packed.bits // 8),):
        want = f"{-(-count * packed.bits // 8)} bytes"
        raise FormatError(expected("packed array", want, Words(f"{packed.data.dtype} {packed.data.shape}")))
    planes = np.unpackbits(packed.data, count=count * packed.bits, bitorder="little").reshape(count, packed.bits)
    unsigned = np.zeros(count, np.int64)
    for bit in range(packed.bits):
        unsigned |= planes[:, bit].astype(np.int64) << bit
    values = (packed.low + packed.step * unsigned).reshape(packed.shape)
    limits = np.iinfo(packed.dtype)
    if values.min() < limits.min or values.max() > limits.max:
        raise FormatError(expected("packed array", packed.dtype, Words(f"{values.min()} to {values.max()}")))
    return values.astype(packed.dtype)
