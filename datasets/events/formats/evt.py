"""Prophesee's RAW files of EVT 2.0 (32-bit words) and EVT 3.0 (16-bit words), little-endian.

Both send the higher bits of time in words of their own. Events before the first of these have no time: they are left
out, as Prophesee's own reader does. The clocks begin anew as part of the format, and are counted on.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.kernels.events.evt3 import evt3_events

from ..raw import Raw
from .percent import header, named_sensor

EVT2 = {"off": 0x0, "on": 0x1, "time high": 0x8}

Columns = tuple[Array, Array, Array, Array]


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """Events of either version, as the header's `evt` or `format` says.

    sensor: else the header's. Raises FormatError (no such file, another version, no size).
    """
    fields, begin = header(data)
    version = (re.search(r"\d(\.\d)?", fields.get("evt") or fields.get("format", "").split(";")[0]) or [""])[0]
    if version not in ("2", "2.0", "3", "3.0"):
        got = f"evt {fields.get('evt')}, format {fields.get('format')}" if fields else "no header"
        raise FormatError(expected(f"{name}: header", "evt 2.0 or 3.0", Unquoted(got)))
    size = sensor or named_sensor(fields, name)
    dtype, events = ("<u4", _evt2) if version[0] == "2" else ("<u2", _evt3)
    count, cut = divmod(len(data) - begin, np.dtype(dtype).itemsize)
    x, y, t, p = events(np.frombuffer(data, dtype, count, begin))
    return Raw(x, y, t, p, size, name, cut=cut)


def _evt2(words: NDArray[Any]) -> Columns:
    """x, y, t, p: type in bits 31..28, then 6 bits of time, 11 of x, 11 of y; or 28 higher bits of time."""
    kind = words >> 28
    high = kind == EVT2["time high"]
    times = np.cumsum(high)
    event = ((kind == EVT2["off"]) | (kind == EVT2["on"])) & (times > 0)
    found = words[event]
    base = _counted(words[high] & 0x0FFFFFFF, 28) << 6
    return found >> 11 & 0x7FF, found & 0x7FF, base[times[event] - 1] + (found >> 22 & 0x3F), found >> 28


def _evt3(words: NDArray[Any]) -> Columns:
    """x, y, t, p, as `evt3_events` says."""
    count = evt3_events(words, *_room(0))
    columns = _room(count)
    evt3_events(words, *columns)
    return columns


def _room(count: int) -> Columns:
    x, y, t = np.empty(count, np.int32), np.empty(count, np.uint16), np.empty(count, np.int64)
    return x, y, t, np.empty(count, np.uint8)


def _counted(ticks: NDArray[Any], bits: int) -> NDArray[Any]:
    """A clock of so many bits, counted on where it falls by more than half of its range: it began anew there."""
    time = ticks.astype(np.int64)
    time[1:] += np.cumsum(np.diff(time) < -(1 << bits - 1)) << bits
    return time
