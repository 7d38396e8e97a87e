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

LARGEST = 4
"""A kept block serves what takes at least one part in so many of it."""

_kept: list[Array] = [np.empty(0, np.uint8)]
_lock = Lock()
_own = local()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `numpy.empty`, in a block that nobody refers to any more where there is one of about that size."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < LEAST:
        return np.empty(shape, dtype)
    with _lock:
        fitting = [i for i, block in enumerate(_kept) if size + LINE <= len(block) <= LARGEST * size and _unused(i)]
        if fitting:
            place = min(fitting, key=lambda i: len(_kept[i]))
        else:
            _tidy()
            place = len(_kept)
            _kept.append(np.empty(_rounded(size) + LINE, np.uint8))
        return _aligned(_kept[place], size).view(dtype).reshape(shape)


def release() -> None:
    """Give the blocks that nobody refers to back to the system."""
    with _lock:
        for place in range(len(_kept) - 1, 0, -1):
            if _unused(place):
                del _kept[place]


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


def _references(place: int) -> int:
    return sys.getrefcount(_kept[place])


NONE = _references(0)
"""The references to a block of which no array is a part (each array is based on the block itself)."""


def _unused(place: int) -> bool:
    return _references(place) == NONE


def _tidy() -> None:
    """Forget unused blocks once they take twice as much as those in use: the work has changed its sizes."""
    unused = [i for i in range(1, len(_kept)) if _unused(i)]
    idle = sum(len(_kept[i]) for i in unused)
    if idle > 2 * (sum(len(block) for block in _kept) - idle):
        for place in reversed(unused):
            del _kept[place]
