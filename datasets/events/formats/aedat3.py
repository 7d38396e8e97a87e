"""AEDAT 3.1, what cAER writes (DVS128 Gesture): a header, then packets of events of one type, little-endian."""

from __future__ import annotations

import re
import struct

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from ..raw import Raw
from .signature import check

SIGNATURE = "AEDAT 3.1"
END = re.compile(rb"\n#!END-HEADER[ \t]*\r?\n")
FORMAT = re.compile(rb"\n#Format:[ \t]*([^\r\n]*)")
SOURCE = re.compile(rb"\n#Source \d+:[ \t]*([^\s]+)")
POLARITY = 1
EVENT = 8
CLOCK = 4
"""Where an event of that type has its time."""

HEADER = struct.Struct("<HHIIIIII")
"""Type, source, bytes of an event, offset of its time, overflows of time, capacity, events, valid events."""

SENSORS = {
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    **dict.fromkeys(("DAVIS240", "DAVIS240A", "DAVIS240B", "DAVIS240C"), (180, 240)),
    **dict.fromkeys(("DAVIS346", "DAVIS346A", "DAVIS346B", "DAVIS346C", "DAVIS346BSI"), (260, 346)),
}
"""(H, W) by the names of sources, matched whole."""


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """The valid polarity events of all packets: 15 bits x, 15 bits y, polarity, valid; then the microseconds.

    sensor: else the one of the header's source. Raises FormatError (another format or version, packets that are not
    plain, a packet that cannot be).
    """
    check(data, name, SIGNATURE)
    end = END.search(data)
    if end is None:
        raise FormatError(expected(f"{name}: header", "a line #!END-HEADER", Unquoted("none")))
    coded = FORMAT.search(data, 0, end.start() + 1)
    if coded and coded[1].strip() != b"RAW":
        raise FormatError(expected(f"{name}: Format", "RAW", Unquoted(coded[1].decode("latin-1").strip() or "nothing")))
    sensor = sensor or _sensor(data[: end.start() + 1], name)
    packets, cut = _packets(data, end.end(), name)
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
        kind, _, size, clock, overflow, capacity, number, valid = HEADER.unpack_from(data, at)
        if not valid <= number <= capacity or not size or (kind == POLARITY and (size, clock) != (EVENT, CLOCK)):
            want = f"at most {capacity} events, of {EVENT} bytes with time at {CLOCK} in a packet of type {POLARITY}"
            got = f"{number} events ({valid} valid) of {size} bytes with time at {clock} in a packet of type {kind}"
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
    sources = [source.decode("latin-1") for source in SOURCE.findall(header)]
    found = {SENSORS[source] for source in sources if source in SENSORS}
    if len(found) != 1:
        want = f"a source of {', '.join(SENSORS)} (or the sensor's size given: --sensor WIDTHxHEIGHT)"
        raise FormatError(expected(f"{name}: header", want, Unquoted(", ".join(sources) or "none")))
    return found.pop()
