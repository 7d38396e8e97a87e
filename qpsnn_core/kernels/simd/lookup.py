"""Sums by tables: a few spikes together are an index, and one instruction finds the sum of their weights, many at once.

Each instruction is written twice, as those of vector.py: as the Python that says what it does, and as LLVM code
(llvm_lookup.py). A tile has VECTORS vectors of LANES indices, and meets OUTPUTS tables at a time. What tables say is
first added in bytes (a part: one vector for each table and vector of indices), then in 16 bits (sums: two vectors for
each of a part's, of the pairs of its bytes and of their upper bytes).
"""

from __future__ import annotations

import numpy as np
from numba import types

from qpsnn_core.kernels.simd import llvm_lookup
from qpsnn_core.kernels.simd.llvm import instruction
from qpsnn_core.kernels.simd.llvm_lookup import AT_ONCE, BITS, LANES, OUTPUTS, PART, SUMS, VECTORS


@instruction(lambda *_: SUMS, llvm_lookup.zeros)
def no_sums(like):
    """Sums of nothing. like: anything."""
    return tuple(np.zeros(LANES // 2, np.uint16) for _ in range(SUMS.count))


@instruction(lambda array, index: types.UniTuple(types.int64, VECTORS), llvm_lookup.starts)
def starts_of(array, index):
    """The VECTORS numbers of a flat int64 array from `index` on."""
    return tuple(array[index + v] for v in range(VECTORS))


@instruction(lambda *_: PART, llvm_lookup.look_up)
def look_up(planes, starts, offset, tables, at):
    """A part: byte `tables[at + output*2**BITS + index]` for the LANES indices at `planes[starts[v] + offset]`.

    planes: uint8, flat, indices below 2**BITS. starts: from `starts_of`. tables: uint8, flat; `at` is a multiple of
    their length.
    """
    indices = [planes[start + offset : start + offset + LANES] for start in starts]
    return tuple(tables[at + (o << BITS) : at + (o + 1 << BITS)][i] for o in range(OUTPUTS) for i in indices)


@instruction(lambda part, *_: part, llvm_lookup.add_look_up)
def add_look_up(part, planes, starts, offset, tables, at):
    """A part plus that of `look_up`, which takes the same; no byte must exceed 255."""
    return tuple(a + b for a, b in zip(part, look_up(planes, starts, offset, tables, at), strict=True))


@instruction(lambda sums, part: sums, llvm_lookup.widen)
def widen_part(sums, part):
    """Sums plus the bytes of a part."""
    pairs = [one.copy().view("<u2") for one in part]
    return tuple(old + (pairs[k // 2] >> 8 * (k % 2)).astype(np.uint16) for k, old in enumerate(sums))


@instruction(lambda *_: types.none, llvm_lookup.store_sums)
def store_sums(room, at, apart, sums, base, first, shift, counted):
    """Write `2**shift*sum + base[first + output] + room[counted + ...]` for each output and lane.

    That of output o, and lane l of vector v, is written at `at + v*LANES//64*apart + 64*o + p`, where p is
    `v*LANES % 64` plus the lane's place in its vector: even lanes come first, `l//2 + l%2*LANES//2`. What is added of
    the room is, of all outputs, from `counted` on what the first output's place is from `at` on. room: int16 or int32,
    flat; numbers are cut to its bits. base: int32.
    """
    for place, one in _places(room, at, apart, sums, base, first, shift, counted):
        room[place : place + len(one)] = one


@instruction(lambda *_: types.none, llvm_lookup.add_sums)
def add_sums(room, at, apart, sums, base, first, shift, counted, bits):
    """As `store_sums`, plus 2**bits times what is there."""
    for place, one in _places(room, at, apart, sums, base, first, shift, counted):
        room[place : place + len(one)] = (room[place : place + len(one)] << room.dtype.type(bits)) + one


@instruction(lambda *_: types.none, llvm_lookup.store_columns)
def store_columns(room, at, total, origin, targets, lane, limit):
    """For i < 64, where `0 <= targets[lane + i] < limit`: write `room[at + 64*o + i]`, o < 16, side by side there.

    room, total: int16 or int32, of one type, flat. targets: int64, flat. origin: what is added to them.
    """
    for i, target in enumerate(targets[lane : lane + 64]):
        if 0 <= target < limit:
            total[origin + target : origin + target + 16] = room[at + i : at + i + 1024 : 64]


@instruction(lambda vector: types.int64, llvm_lookup.nonzero)
def nonzero(vector):
    """64 bits, the lowest for the first number: set where it is not 0."""
    return int(np.packbits(vector != 0, bitorder="little").view("<i8")[0])


@instruction(lambda *_: types.none, llvm_lookup.store_indices)
def store_indices(planes, at, apart, groups, words, place, count):
    """Write BITS bits of each of 64 words, the next BITS `apart` numbers on, and so on, up to so many groups.

    planes: uint8, flat. groups: AT_ONCE at most are written. words: int64, flat, from `place` on. count: of so many
    words, if they are less.
    """
    count = min(count, 64)
    for group in range(min(groups, AT_ONCE)):
        bits = words[place : place + count] >> group * BITS & (1 << BITS) - 1
        planes[at + group * apart : at + group * apart + count] = bits


def _places(room, at, apart, sums, base, first, shift, counted):
    """Where the two halves of each output and vector are written, and what is added there."""
    for k, (both, upper) in enumerate(zip(sums[::2], sums[1::2], strict=True)):
        output, (block, lane) = k // VECTORS, divmod(k % VECTORS * LANES, 64)
        for half, numbers in enumerate((both - (upper << np.uint16(8)), upper)):
            begin = block * apart + lane + half * LANES // 2
            more = room[counted + begin : counted + begin + LANES // 2]
            one = (numbers.astype(np.int32) << np.int32(shift)) + np.int32(base[first + output])
            yield at + begin + output * 64, one.astype(room.dtype) + more
