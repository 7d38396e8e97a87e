"""AEDAT 3.1, what cAER writes (DVS128 Gesture): a header, then packets of events of one type, little-endian."""

from __future__ import annotations

import re
import struct

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from ..raw import Raw

MAGIC = b"#!AER-DAT3.1"
END = b"#!END-HEADER\r\n"
POLARITY = 1
EVENT = 8
HEADER = struct.Struct("<HHIIIIII")
"""Type, source, bytes of an event, offset of its time, overflows of time, capacity, events, valid events."""

SENSORS = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS240": (180, 240), "DAVIS346": (260, 346)}


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """The valid polarity events of all packets: 15 bits x, 15 bits y, polarity, valid; then the microseconds.

    sensor: else the one of the header's source. Raises FormatError (no such file, a packet that cannot be).
    """
    if not data.startswith(MAGIC):
        raise FormatError(expected(f"{name}: first line", MAGIC.decode(), repr(data[: len(MAGIC)])))
    end = data.find(END)
    if end < 0:
        raise FormatError(expected(f"{name}: header", "a line #!END-HEADER", Unquoted("none")))
    sensor = sensor or _sensor(data[:end], name)
    packets, cut = _packets(data, end + len(END), name)
    words = np.concatenate([events for events, _ in packets]) if packets else np.zeros((0, 2), np.uint32)
    overflows = np.repeat([overflow for _, overflow in packets], [len(events) for events, _ in packets])
    valid = (words[:, 0] & 1) == 1
    address = words[valid, 0]
    time = (overflows[valid].astype(np.int64) << 31) | words[valid, 1]
    return Raw(address >> 17, address >> 2 & 0x7FFF, time, address >> 1 & 1, sensor, name, cut=cut)


def _packets(data: bytes, at: int, name: str) -> tuple[list[tuple[NDArray[np.uint32], int]], int]:
    """(events `[n, 2]`, overflows) of every polarity packet, and how many bytes at the end are no whole event."""
    packets: list[tuple[NDArray[np.uint32], int]] = []
    while at < len(data):
        if len(data) - at < HEADER.size:
            return packets, len(data) - at
        kind, _, size, _, overflow, capacity, number, _ = HEADER.unpack_from(data, at)
        if number > capacity or (kind == POLARITY and size != EVENT):
            want = f"at most {capacity} events, of {EVENT} bytes in a packet of type {POLARITY}"
            got = f"{number} events of {size} bytes in a packet of type {kind}"
            raise FormatError(expected(f"{name}: packet at byte {at}", want, Unquoted(got)))
        at += HEADER.size
        there = min(size * number, len(data) - at)
        if kind == POLARITY:
            packets.append((np.frombuffer(data, "<u4", there // EVENT * 2, at).reshape(-1, 2), overflow))
        if there < size * number:
            return packets, there % size or 1
        at += size * number
    return packets, 0


def _sensor(header: bytes, name: str) -> tuple[int, int]:
    sources = re.findall(rb"^#Source \d+: *([A-Za-z]+\d+)", header, re.MULTILINE)
    found = {SENSORS[source.decode()] for source in sources if source.decode() in SENSORS}
    if len(found) != 1:
        want = f"a source of {', '.join(SENSORS)} (or the sensor's size given)"
        raise FormatError(expected(f"{name}: header", want, Unquoted(b", ".join(sources).decode() or "none")))
    return found.pop()
