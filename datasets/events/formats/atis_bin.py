"""N-MNIST's and N-Caltech101's .bin: five bytes an event (Orchard et al. 2015)."""

from __future__ import annotations

import numpy as np

from ..raw import Raw
from .signature import check_nameless

OVERFLOW_ROW = 240
OVERFLOW = 1 << 13
CLOCK = 1 << 23


def decode(data: bytes, name: str, sensor: tuple[int, int]) -> Raw:
    """x; y; bit 7 polarity (1: ON) and bits 6..0 the highest of 23 bits of microseconds; then the other 16.

    An event of row 240 is none: time is 2**13 microseconds more from there on. Raises FormatError (a file that says
    that it is of another format; these say nothing).
    """
    check_nameless(data, name, "events of five bytes, without a header")
    whole = len(data) - len(data) % 5
    rows = np.frombuffer(data, np.uint8, whole).reshape(-1, 5)
    x, y, high, middle, low = (rows[:, k] for k in range(5))
    time = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    marker = y == OVERFLOW_ROW
    time += OVERFLOW * np.cumsum(marker)
    kept = ~marker
    return Raw(x[kept], y[kept], time[kept], high[kept] >> 7, sensor, name, CLOCK, len(data) - whole)
