"""AEDAT 2.0, what jAER writes: lines that begin with #, then eight bytes an event, the highest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qpsnn_core.common.errors import FormatError, expected
from qpsnn_core.common.types import Longs

from ..raw import Raw

MAGIC = b"#!AER-DAT2.0"
CLOCK = 1 << 32

Columns = tuple[Longs, Longs, Longs, Longs]


def dvs128(address: Longs) -> Columns:
    """(is an event, x, y, ON) as jAER has the DVS128: columns from the right, rows from below, bit 0 is 1 for OFF.

    Bit 15 is set where it is an external event, and bit 31 where it is jAER's own. FormatError: other high bits.
    """
    event = (address >> 15 & 1 | address >> 31 & 1) ^ 1
    wide = np.flatnonzero((address > 0xFFFF) & (event == 1))
    if wide.size:
        raise FormatError(expected(f"address of event {wide[0]}", "16 bits of a DVS128", hex(address[wide[0]])))
    return event, 127 - (address >> 1 & 0x7F), 127 - (address >> 8 & 0x7F), 1 - (address & 1)


def cifar10dvs(address: Longs) -> Columns:
    """(is an event, x, y, ON) as SpikingJelly reads CIFAR10-DVS: `dvs128` with rows and columns exchanged."""
    event, x, y, on = dvs128(address)
    return event, y, x, on


def davis346(address: Longs) -> Columns:
    """(is an event, x, y, ON) of the DAVIS346: not where bit 31 (a frame or the IMU) or bit 10 (external) is set."""
    event = (address >> 31 & 1 | address >> 10 & 1) ^ 1
    return event, 345 - (address >> 12 & 0x3FF), 259 - (address >> 22 & 0x1FF), address >> 11 & 1


def decode(data: bytes, name: str, sensor: tuple[int, int], columns: Callable[[Longs], Columns]) -> Raw:
    """Big-endian pairs of 32-bit address and microseconds; `columns` takes the address apart.

    Raises FormatError where the first line is not AEDAT 2.0's.
    """
    if not data.startswith(MAGIC):
        raise FormatError(expected(f"{name}: first line", MAGIC.decode(), repr(data[: len(MAGIC)])))
    begin = _after_header(data)
    count, cut = divmod(len(data) - begin, 8)
    pairs = np.frombuffer(data, ">u4", 2 * count, begin).reshape(-1, 2)
    try:
        event, x, y, on = columns(pairs[:, 0].astype(np.int64))
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    kept = event == 1
    return Raw(x[kept], y[kept], pairs[kept, 1].astype(np.int64), on[kept], sensor, name, CLOCK, cut)


def _after_header(data: bytes) -> int:
    """Where the events begin: after the lines of #, which end in CR LF and hold no bytes that no text has."""
    begin = 0
    while data[begin : begin + 1] == b"#":
        end = data.find(b"\n", begin)
        line = data[begin : end + 1]
        if end < 0 or not line.endswith(b"\r\n") or not all(byte >= 32 or byte == 9 for byte in line[:-2]):
            break
        begin = end + 1
        if line.lower().startswith(b"#end of ascii"):
            break
    return begin
