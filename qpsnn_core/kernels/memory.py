"""Memory that is used again: fresh pages must be zeroed by the system, which takes as long as a pass over them."""

from __future__ import annotations

import sys
from math import prod
from threading import Lock, local
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LINE = 64
"""Bytes of a cache line; all that is handed out here begins on one."""

LEAST = 2**18
"""Bytes from which on memory is kept; less comes from the heap, which keeps it itself."""

IDLE = 2**27
"""Bytes of unused blocks that are not worth giving back."""

_kept: dict[int, list[Array]] = {}
_lock = Lock()
_own = local()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `numpy.empty`, in a block of about that size that nobody refers to any more, where there is one."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    room = _rounded(size) + LINE
    with _lock:
        blocks = _kept.setdefault(room, [])
        place = next((i for i in range(len(blocks)) if _references(blocks, i) == NONE), None)
        if place is None:
            _tidy()
            blocks.append(np.empty(room, np.uint8))
            place = -1
        return _aligned(blocks[place], size).view(dtype).reshape(shape)


def release() -> None:
    """Give the blocks that nobody refers to back to the system."""
    with _lock:
        _forget()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """This thread's own array of that name, of a shape that changes little, with whatever was left in it."""
    wanted = prod(shape) * np.dtype(dtype).itemsize
    room = getattr(_own, name, None)
    if room is None or len(room) < wanted + LINE:
        room = np.empty(wanted + LINE, np.uint8)
        setattr(_own, name, room)
    found: Array = _aligned(room, wanted).view(dtype).reshape(shape)
    return found


def _rounded(size: int) -> int:
    """A little more, so that the lists of next time's spikes fit as well."""
    step = 1 << (size.bit_length() - 4)
    return -(-size // step) * step


def _aligned(room: Array, size: int) -> Array:
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size]


def _references(blocks: list[Array], place: int) -> int:
    return sys.getrefcount(blocks[place])


NONE = _references([np.empty(0, np.uint8)], 0)
"""The references to a block of which no array is a part (each array is based on the block itself)."""


def _tidy() -> None:
    """Forget unused blocks once they take twice as much as those in use, and much: the work has changed its sizes."""
    idle = busy = 0
    for room, blocks in _kept.items():
        unused = sum(_references(blocks, i) == NONE for i in range(len(blocks)))
        idle, busy = idle + unused * room, busy + (len(blocks) - unused) * room
    if idle > max(2 * busy, IDLE):
        _forget()


def _forget() -> None:
    for blocks in _kept.values():
        blocks[:] = [blocks[i] for i in range(len(blocks)) if _references(blocks, i) > NONE]
