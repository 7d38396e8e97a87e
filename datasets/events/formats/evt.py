"""Prophesee's RAW files of EVT 2.0 (32-bit words), EVT 2.1 (64 bits) and EVT 3.0 (16 bits), little-endian.

All send the higher bits of time in words of their own. Events before the first of these have no time: they are left
out, as Prophesee's own reader does. The clocks begin anew as part of the format, and are counted on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.kernels.events.evt3 import evt3_events
from qpsnn_core.kernels.events.evt21 import evt21_events

from ..raw import LARGEST_SHARE, Raw
from .percent import header, named_sensor, options
from .signature import check

EVT2 = {"off": 0x0, "on": 0x1, "time high": 0x8}
KINDS = {
    "EVT 2.0": (0x0, 0x1, 0x8, 0xA, 0xE, 0xF),
    "EVT 2.1": (0x0, 0x1, 0x8, 0xA, 0xE, 0xF),
    "EVT 3.0": (0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF),
}
"""The kinds of word, the highest four bits, that the versions have."""

ORDERS = {"little": 1, "legacy": 0}
"""EVT 2.1: which 32 bits of a word in the file have its kind. "little": the whole word has its lowest byte first
(GenX320); "legacy": each half has, the higher half comes first (IMX636)."""

Columns = tuple[Array, Array, Array, Array]


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """Events of any of these versions, as the header's `evt` or `format` says.

    sensor: else the header's. Raises FormatError (another format or version, words that are not its own, no size).
    """
    version = check(data, name, *KINDS)
    fields, begin = header(data)
    size = sensor or named_sensor(fields, name)
    order = options(fields).get("endianness") or fields.get("endianness", "").lower()
    dtype = np.dtype({"EVT 2.0": "<u4", "EVT 2.1": "<u8", "EVT 3.0": "<u2"}[version])
    count, cut = divmod(len(data) - begin, dtype.itemsize)
    words = np.frombuffer(data, dtype, count, begin)
    if version == "EVT 2.1":
        columns = _evt21(words, order, name)
    elif order in ("", "little"):
        columns = (_evt2 if version == "EVT 2.0" else _evt3)(words, name)
    else:
        raise FormatError(expected(f"{name}: endianness", "little", order))
    return Raw(*columns, size, name, cut=cut)


def _evt2(words: NDArray[Any], name: str) -> Columns:
    """x, y, t, p: type in bits 31..28, then 6 bits of time, 11 of x, 11 of y; or 28 higher bits of time."""
    kind = words >> 28
    _check_kinds(np.bincount(kind, minlength=16), "EVT 2.0", name)
    high = kind == EVT2["time high"]
    times = np.cumsum(high)
    event = ((kind == EVT2["off"]) | (kind == EVT2["on"])) & (times > 0)
    found = words[event]
    base = _counted(words[high] & 0x0FFFFFFF, 28) << 6
    return found >> 11 & 0x7FF, found & 0x7FF, base[times[event] - 1] + (found >> 22 & 0x3F), found >> 28


def _evt21(words: NDArray[Any], order: str, name: str) -> Columns:
    """x, y, t, p, as `evt21_events` says."""
    halves = words.view("<u4").reshape(-1, 2)
    at = ORDERS[_order(halves, order, name)]
    commands, masks = halves[:, at].astype(np.uint32), halves[:, 1 - at].astype(np.uint32)
    _check_kinds(np.bincount(commands >> 28, minlength=16), "EVT 2.1", name)
    columns = _room(evt21_events(commands, masks, *_room(0)))
    evt21_events(commands, masks, *columns)
    return columns


def _order(halves: NDArray[Any], said: str, name: str) -> str:
    """The order of a word's halves: the header's, else the one in which the words make sense.

    Every stream of events has words of higher time, and none of other kinds than the format's. FormatError where the
    words contradict the header, or where it says nothing and both orders would do.
    """
    if said and said not in ORDERS:
        raise FormatError(expected(f"{name}: endianness", " or ".join(ORDERS), said))
    kinds = {each: np.bincount(halves[:, at] >> 28, minlength=16) for each, at in ORDERS.items()}
    alien = {each: _alien(of, "EVT 2.1") for each, of in kinds.items() if of[EVT2["time high"]]}
    best = [each for each in alien if alien[each] == min(alien.values())]
    if said:
        if best and best != [said] and (said not in alien or alien[best[0]] == 0 < alien[said]):
            raise FormatError(expected(f"{name}: endianness", f"{best[0]}, as its words are", said))
        return said
    if len(best) == 2:
        want = "a header that says it, such as a line `% endianness little`"
        raise FormatError(expected(f"{name}: endianness", want, Unquoted("words that could be little or legacy")))
    return best[0] if best else "little"


def _evt3(words: NDArray[Any], name: str) -> Columns:
    """x, y, t, p, as `evt3_events` says."""
    _check_kinds(np.bincount(words >> 12, minlength=16), "EVT 3.0", name)
    columns = _room(evt3_events(words, *_room(0)))
    evt3_events(words, *columns)
    return columns


def _check_kinds(counts: NDArray[Any], version: str, name: str) -> None:
    """FormatError where more than a few per cent of the words are of no kind that the version has."""
    alien, total = _alien(counts, version), int(counts.sum())
    if alien > LARGEST_SHARE * total:
        got = f"{alien} of {total} words of other kinds: another format, or words that do not begin where they should"
        raise FormatError(expected(f"{name}: words", f"those of {version}", Unquoted(got)))


def _alien(counts: NDArray[Any], version: str) -> int:
    return int(counts.sum() - counts[list(KINDS[version])].sum())


def _room(count: int) -> Columns:
    x, y, t = np.empty(count, np.int32), np.empty(count, np.uint16), np.empty(count, np.int64)
    return x, y, t, np.empty(count, np.uint8)


def _counted(ticks: NDArray[Any], bits: int) -> NDArray[Any]:
    """A clock of so many bits, counted on where it falls by more than half of its range: it began anew there."""
    time = ticks.astype(np.int64)
    time[1:] += np.cumsum(np.diff(time) < -(1 << bits - 1)) << bits
    return time
