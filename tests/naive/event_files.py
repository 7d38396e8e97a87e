"""Prophesee's EVT 3.0, one word after the other, with the state that its specification names."""

from __future__ import annotations


def evt3(words):
    """Events (x, y, t, p) of 16-bit words."""
    events = []
    high = low = laps = row = base = polarity = 0
    timed = False
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x8:
            if timed and value < high - (1 << 11):
                laps += 1
            if not timed or value != high:
                low = 0
            high, timed = value, True
        elif kind == 0x6:
            low = value
        elif kind == 0x0:
            row = value & 0x7FF
        elif kind == 0x3:
            base, polarity = value & 0x7FF, value >> 11
        elif kind == 0x2:
            if timed:
                events.append((value & 0x7FF, row, (laps << 24) + (high << 12) + low, value >> 11))
        elif kind in (0x4, 0x5):
            size = 12 if kind == 0x4 else 8
            for bit in range(size):
                if timed and value >> bit & 1:
                    events.append((base + bit, row, (laps << 24) + (high << 12) + low, polarity))
            base += size
    return events
