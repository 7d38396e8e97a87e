"""Memory that is used again: fresh pages must be zeroed by the system, which takes as long as a pass over them."""

from __future__ import annotations

import mmap
import sys
from contextlib import suppress
from math import prod
from threading import Lock, local
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LINE = 64
"""Bytes of a cache line; all that is handed out here begins on one."""

PAGE = 2**21
"""Bytes of a large page: blocks from that size on begin on one."""

MIN_REUSED_BYTES = 2**18
"""Arrays of at least so many bytes are kept for reuse; smaller ones come from the heap, which keeps them itself."""

LARGEST = 2
"""A block is used for what takes at least one part in so many of it."""

SPARE = 1.1
"""Blocks are kept up to so many times what was ever in use at once."""

_kept: dict[int, list[Array]] = {}
_most = 0
_lock = Lock()
_own = local()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `numpy.empty`, in the smallest block that is large enough and that nobody refers to any more, if there is one.

    Where there is none, unused blocks are given back first, as far as all would take more than SPARE times what was
    ever in use at once.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < MIN_REUSED_BYTES:
        return np.empty(shape, dtype)
    room = _rounded(size)
    with _lock:
        for larger in sorted(bin for bin in _kept if room <= bin <= LARGEST * room):
            blocks = _kept[larger]
            for place in range(len(blocks)):
                if _references(blocks, place) == NONE:
                    return _aligned(blocks[place], size, _alignment(larger)).view(dtype).reshape(shape)
        _make_room(room)
        _kept.setdefault(room, []).append(_pages(room))
        return _aligned(_kept[room][-1], size, _alignment(room)).view(dtype).reshape(shape)


def release() -> None:
    """Give the blocks that nobody refers to back to the system."""
    with _lock:
        _forget(sum(size * len(blocks) for size, blocks in _kept.items()))


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


def _pages(size: int) -> Array:
    """A block for `size` bytes, in large pages where the system has them; given back as soon as it is forgotten."""
    room = size + _alignment(size)
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.empty(room, np.uint8)
    pages = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)


def _alignment(size: int) -> int:
    return PAGE if size >= PAGE else LINE


def _aligned(room: Array, size: int, alignment: int = LINE) -> Array:
    begin = -room.ctypes.data % alignment
    return room[begin : begin + size]


def _references(blocks: list[Array], place: int) -> int:
    return sys.getrefcount(blocks[place])


NONE = _references([np.empty(0, np.uint8)], 0)
"""The references to a block of which no array is a part (each array is based on the block itself)."""


def _make_room(room: int) -> None:
    """Forget unused blocks, as far as the kept ones and one of `room` bytes would take more than SPARE allows."""
    global _most
    kept = idle = 0
    for size, blocks in _kept.items():
        kept += size * len(blocks)
        idle += size * sum(_references(blocks, i) == NONE for i in range(len(blocks)))
    _most = max(_most, kept - idle + room)
    _forget(kept + room - int(SPARE * _most))


def _forget(excess: int) -> None:
    """Forget unused blocks, the largest first, until that many bytes are given back."""
    for size in sorted(_kept, reverse=True):
        blocks = _kept[size]
        for place in range(len(blocks) - 1, -1, -1):
            if excess > 0 and _references(blocks, place) == NONE:
                del blocks[place]
                excess -= size
        if not blocks:
            del _kept[size]
