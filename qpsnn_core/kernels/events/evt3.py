"""Prophesee's EVT 3.0: 16-bit words, each of which changes a part of a state, or is one event or several."""

from __future__ import annotations

from qpsnn_core.kernels.threads import kernel

ROW, COLUMN, BASE, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
"""The kinds that matter, in bits 15 to 12 of a word."""


@kernel
def evt3_events(words, x, y, t, p):
    """How many events uint16 `words` hold; those that x, y, t and p, of one length, have room for are written there.

    Time is microseconds: its 24 bits are counted on where the higher 12 fall by more than half of their range, and the
    lower 12 are 0 from other higher ones until the next lower ones. Events before the first higher ones are none. Bit k
    of a vector is an event k columns right of its base, which moves on by the vector's length.
    """
    found = row = base = polarity = low = high = laps = 0
    timed = False
    for i in range(len(words)):
        word = int(words[i])
        kind, value = word >> 12, word & 0xFFF
        begin, bits = base, 0
        if kind == COLUMN:
            begin, bits = value & 0x7FF, 1
        elif kind == VECTOR_12:
            bits, base = value, base + 12
        elif kind == VECTOR_8:
            bits, base = value & 0xFF, base + 8
        elif kind == ROW:
            row = value & 0x7FF
        elif kind == BASE:
            base, polarity = value & 0x7FF, value >> 11
        elif kind == TIME_LOW:
            low = value
        elif kind == TIME_HIGH:
            if timed and value < high - 2048:
                laps += 1
            if not timed or value != high:
                low = 0
            high, timed = value, True
        while timed and bits:
            if bits & 1:
                if found < len(x):
                    x[found], y[found], t[found] = begin, row, (laps << 24) + (high << 12) + low
                    p[found] = value >> 11 if kind == COLUMN else polarity
                found += 1
            begin, bits = begin + 1, bits >> 1
    return found
