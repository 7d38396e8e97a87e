"""A tile of sums in registers: PIXELS vectors of int32 to which products of bytes are added, four at a time.

Each instruction is written twice, as those of vector.py: as the Python that says what it does, and as LLVM code
(llvm_tile.py). A tile is a tuple of vectors, one for each pixel; all have the same lanes, one for each output channel.
"""

from __future__ import annotations

import numpy as np
from numba import types

from qpsnn_core.kernels.simd import llvm_tile
from qpsnn_core.kernels.simd.llvm import instruction
from qpsnn_core.kernels.simd.llvm_tile import PIXELS


@instruction(llvm_tile.tile, llvm_tile.zeros)
def zeros(wide):
    """PIXELS vectors of zeros: 32 each, or 16 where `wide` is None."""
    return tuple(np.zeros(16 if wide is None else 32, np.int32) for _ in range(PIXELS))


@instruction(lambda array, index: types.UniTuple(types.int64, PIXELS), llvm_tile.places)
def places_of(array, index):
    """The PIXELS numbers of a flat int64 array from `index` on."""
    return tuple(array[index + i] for i in range(PIXELS))


@instruction(lambda tile, bits: tile, llvm_tile.shift_tile)
def shift_tile(tile, bits):
    """Each sum times 2**bits, cut to its 32 bits."""
    return tuple(sums << np.int32(bits) for sums in tile)


@instruction(lambda tile, *_: tile, llvm_tile.add_products)
def add_products(tile, counts, places, offset, weights, at):
    """To lane l of pixel p, add the sum over i < 4 of `counts[places[p] + offset + i] * weights[at + 4*l + i]`.

    counts: uint8, flat. places: int64, one for each pixel. weights: int8, flat. Without VNNI (`llvm_tile.VNNI`), two
    products are first added in 16 bits, which must hold them: `2*count*|weight| < 2**15`. Sums are cut to 32 bits.
    """
    lanes = len(tile[0])
    words = weights[at : at + 4 * lanes].reshape(lanes, 4).astype(np.int32)
    begins = [place + offset for place in places]
    return tuple(sums + words @ counts[b : b + 4].astype(np.int32) for sums, b in zip(tile, begins, strict=True))


@instruction(lambda *_: types.none, llvm_tile.store_tile)
def store_tile(array, at, pitch, tile, pixels, lanes):
    """The first `pixels` vectors of a tile, `pitch` numbers apart from `at` on; the first `lanes` numbers of each.

    array: int16 or int32, flat; numbers are cut to its bits. All pixels, or all lanes, if there are fewer.
    """
    count = min(lanes, len(tile[0]))
    for i in range(min(pixels, PIXELS)):
        array[at + i * pitch : at + i * pitch + count] = tile[i][:count].astype(array.dtype)
