"""Prophesee's RAW files of EVT 2.0 (32-bit words) and EVT 3.0 (16-bit words), little-endian.

Both send the higher bits of time in words of their own. Events before the first of these have no time: they are left
out, as Prophesee's own reader does. The clocks begin anew as part of the format, and are counted on.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.errors import FormatError, Words, expected

from ..raw import Raw
from .percent import header, named_sensor

EVT2 = {"off": 0x0, "on": 0x1, "time high": 0x8}
EVT3 = {"y": 0x0, "x": 0x2, "base": 0x3, "vector 12": 0x4, "vector 8": 0x5, "time low": 0x6, "time high": 0x8}

PIECE = 1 << 16

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """Events of either version, as the header's `evt` or `format` says.

    sensor: else the header's. Raises FormatError (no such file, another version, no size).
    """
    fields, begin = header(data)
    version = (re.search(r"\d(\.\d)?", fields.get("evt") or fields.get("format", "").split(";")[0]) or [""])[0]
    if version not in ("2", "2.0", "3", "3.0"):
        got = f"evt {fields.get('evt')}, format {fields.get('format')}" if fields else "no header"
        raise FormatError(expected(f"{name}: header", "evt 2.0 or 3.0", Words(got)))
    size = sensor or named_sensor(fields, name)
    dtype, events = ("<u4", _evt2) if version[0] == "2" else ("<u2", _evt3)
    count, cut = divmod(len(data) - begin, np.dtype(dtype).itemsize)
    x, y, t, p = events(np.frombuffer(data, dtype, count, begin))
    return Raw(x, y, t, p, size, name, cut=cut)


def _evt2(words: NDArray[Any]) -> Columns:
    """x, y, t, p: type in bits 31..28, then 6 bits of time, 11 of x, 11 of y; or 28 higher bits of time."""
    kind = words >> 28
    high = np.flatnonzero(kind == EVT2["time high"])
    base = _counted(words[high] & 0x0FFFFFFF, 28) << 6
    event = np.flatnonzero((kind == EVT2["off"]) | (kind == EVT2["on"]))
    last = np.searchsorted(high, event) - 1
    event, last = event[last >= 0], last[last >= 0]
    found = words[event]
    return found >> 11 & 0x7FF, found & 0x7FF, base[last] + (found >> 22 & 0x3F), found >> 28


def _evt3(words: NDArray[Any]) -> Columns:
    """x, y, t, p: type in bits 15..12; each word changes the row, the column, a part of time, or is a vector.

    A vector's bit k is an event k pixels right of its base, which moves on by 12 or 8 with each vector.
    The lower bits of time are 0 from a word of other higher bits until the next of lower ones.
    """
    kind, value = words >> 12, (words & 0xFFF).astype(np.int64)
    high, low = np.flatnonzero(kind == EVT3["time high"]), np.flatnonzero(kind == EVT3["time low"])
    base_time = _counted(value[high], 12) << 12
    change = high[np.flatnonzero(np.diff(value[high], prepend=-1))]

    sizes = np.where(kind == EVT3["vector 12"], 12, np.where(kind == EVT3["vector 8"], 8, 0))
    source, shift = _set_bits(np.where(sizes > 0, value & (1 << sizes) - 1, kind == EVT3["x"]))
    last = np.searchsorted(high, source) - 1
    source, shift, last = source[last >= 0], shift[last >= 0], last[last >= 0]

    moved = np.cumsum(sizes)
    base_at = np.flatnonzero(kind == EVT3["base"])
    single = kind[source] == EVT3["x"]
    start = _latest(base_at, value, source)
    start_moved = _latest(base_at, moved, source)
    vector_x = (start & 0x7FF) + moved[source] - sizes[source] - start_moved + shift
    x = np.where(single, value[source] & 0x7FF, vector_x)
    p = np.where(single, value[source], start) >> 11 & 1
    y = _latest(np.flatnonzero(kind == EVT3["y"]), value, source) & 0x7FF
    low_last, change_last = (np.searchsorted(at, source) - 1 for at in (low, change))
    fresh = low_last >= 0
    fresh[fresh] = low[low_last[fresh]] > change[np.maximum(change_last[fresh], 0)]
    t = base_time[last] + np.where(fresh, _latest(low, value, source), 0)
    return x, y, t, p


def _set_bits(bits: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(word, bit) of every bit that is set, of 12 in each word; in pieces, as all bits at once are much larger."""
    found = []
    for low in range(0, len(bits), PIECE):
        word, bit = np.nonzero(bits[low : low + PIECE, None] >> np.arange(12) & 1)
        found.append((word + low, bit))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    words, places = zip(*found, strict=True)
    return np.concatenate(words), np.concatenate(places)


def _latest(at: NDArray[Any], values: NDArray[Any], place: NDArray[Any]) -> NDArray[Any]:
    """`values` at the last of the places `at` before each `place`; 0 where there is none."""
    if not at.size:
        return np.zeros(len(place), np.int64)
    last = np.searchsorted(at, place) - 1
    found: NDArray[Any] = np.where(last >= 0, values[at[np.maximum(last, 0)]], 0)
    return found


def _counted(ticks: NDArray[Any], bits: int) -> NDArray[Any]:
    """A clock of so many bits, counted on where it falls by more than half of its range: it began anew there."""
    time = ticks.astype(np.int64)
    time[1:] += np.cumsum(np.diff(time) < -(1 << bits - 1)) << bits
    return time
