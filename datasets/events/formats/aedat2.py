"""AEDAT 2.0, what jAER writes: lines that begin with #, then eight bytes an event, the highest first."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.common.types import Longs

from ..raw import Raw
from .signature import check

SIGNATURE = "AEDAT 2.0"
CLOCK = 1 << 32

END = re.compile(rb"\n#End Of ASCII Header[ \t]*\r?\n", re.IGNORECASE)
LONGEST = 1 << 20
"""Bytes within which that line is looked for; jAER writes all settings of the camera into the header."""

CHIP = re.compile(rb"\n#[ \t]*AEChip:[ \t]*(\S+)")
CAMERAS = {"DVS128": re.compile(r"dvs128(?!\d)\w*"), "DAVIS346": re.compile(r"davis346(?!\d)\w*")}
"""The last part of jAER's class, in small letters: "eu.seebetter.ini.chips.davis.Davis346red" is a DAVIS346."""

Columns = tuple[Longs, Longs, Longs, Longs]


def dvs128(address: Longs) -> Columns:
    """(is an event, x, y, ON) as jAER has the DVS128: columns from the right, rows from below, bit 0 is 1 for OFF.

    Bit 15 is set where it is an external event, and bit 31 where it is jAER's own. FormatError: other high bits.
    """
    event = (address >> 15 & 1 | address >> 31 & 1) ^ 1
    wide = np.flatnonzero((address > 0xFFFF) & (address >> 31 == 0))
    if wide.size:
        raise FormatError(expected(f"address of event {wide[0]}", "16 bits of a DVS128", hex(address[wide[0]])))
    return event, 127 - (address >> 1 & 0x7F), 127 - (address >> 8 & 0x7F), 1 - (address & 1)


def cifar10dvs(address: Longs) -> Columns:
    """(is an event, x, y, ON) as SpikingJelly reads CIFAR10-DVS: `dvs128` with rows and columns exchanged."""
    event, x, y, on = dvs128(address)
    return event, y, x, on


def davis346(address: Longs) -> Columns:
    """(is an event, x, y, ON) of the DAVIS346: not where bit 31 (a frame or the IMU) or bit 10 (external) is set.

    FormatError where no address has more than 16 bits: they are a DVS128's.
    """
    if address.size and address.max() <= 0xFFFF:
        want = "some of more than 16 bits, as a DAVIS346's are"
        raise FormatError(expected("addresses", want, Unquoted(f"at most {address.max():#x}")))
    event = (address >> 31 & 1 | address >> 10 & 1) ^ 1
    return event, 345 - (address >> 12 & 0x3FF), 259 - (address >> 22 & 0x1FF), address >> 11 & 1


OF_CAMERA: dict[Callable[[Longs], Columns], str] = {dvs128: "DVS128", cifar10dvs: "DVS128", davis346: "DAVIS346"}


def decode(data: bytes, name: str, sensor: tuple[int, int], columns: Callable[[Longs], Columns]) -> Raw:
    """Big-endian pairs of 32-bit address and microseconds; `columns` takes the address apart.

    Raises FormatError (another format or version, another camera in the header's AEChip, addresses of another).
    """
    check(data, name, SIGNATURE)
    begin = _after_header(data)
    chip = named_chip(data[:begin])
    if chip and camera(chip) != OF_CAMERA[columns]:
        raise FormatError(expected(f"{name}: AEChip", f"a {OF_CAMERA[columns]}", Unquoted(chip)))
    count, cut = divmod(len(data) - begin, 8)
    pairs = np.frombuffer(data, ">u4", 2 * count, begin).reshape(-1, 2)
    try:
        event, x, y, on = columns(pairs[:, 0].astype(np.int64))
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    kept = event == 1
    return Raw(x[kept], y[kept], pairs[kept, 1].astype(np.int64), on[kept], sensor, name, CLOCK, cut)


def named_chip(header: bytes) -> str:
    """jAER's class of the camera, as the header's line AEChip has it; "" where there is none."""
    found = CHIP.search(header)
    return found[1].decode("latin-1") if found else ""


def camera(chip: str) -> str:
    """Which of `CAMERAS` jAER's class is; "" for any other."""
    last = chip.rpartition(".")[2].lower()
    return next((name for name, pattern in CAMERAS.items() if pattern.fullmatch(last)), "")


def _after_header(data: bytes) -> int:
    """Where the events begin: after the line that says so, else after the lines of # that hold text.

    Lines end in CR LF, or in LF where a tool has changed them. Bytes beyond ASCII are text: paths in any encoding.
    """
    end = END.search(data, 0, LONGEST)
    if end:
        return end.end()
    begin = 0
    while data[begin : begin + 1] == b"#":
        stop = data.find(b"\n", begin)
        line = data[begin:stop].removesuffix(b"\r")
        if stop < 0 or not all(byte >= 32 or byte == 9 for byte in line):
            break
        begin = stop + 1
    return begin
