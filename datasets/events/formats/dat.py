"""Prophesee's DAT, version 2: lines that begin with %, two bytes, then eight bytes an event, little-endian."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import FormatError, expected

from ..raw import Raw
from .percent import header, named_sensor
from .signature import check

SIGNATURE = "DAT 2"
"""Older versions have other bits for x, y and polarity; a file that names no version may be one of them."""

KINDS = (0x00, 0x0C)
"""Event2D, which older files have, and EventCD: the same bits."""

EVENT = 8
CLOCK = 1 << 32


def decode(data: bytes, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """u32 microseconds; u32 with x in bits 0..13, y in 14..27, ON in 28.

    sensor: else the header's Height and Width. Raises FormatError (another format or version, another kind of event).
    """
    check(data, name, SIGNATURE)
    fields, begin = header(data)
    kind = data[begin : begin + 2]
    if len(kind) < 2 or kind[0] not in KINDS or kind[1] != EVENT:
        want = f"events of type 0 or 12 (change of contrast), of {EVENT} bytes"
        raise FormatError(expected(f"{name}: type and size", want, list(kind)))
    begin += 2
    count, cut = divmod(len(data) - begin, EVENT)
    pairs = np.frombuffer(data, "<u4", 2 * count, begin).reshape(-1, 2)
    address = pairs[:, 1]
    size = sensor or named_sensor(fields, name)
    x, y = (address & 0x3FFF).astype(np.int32), (address >> 14 & 0x3FFF).astype(np.int32)
    return Raw(x, y, pairs[:, 0].astype(np.int64), address >> 28 & 1, size, name, CLOCK, cut)
