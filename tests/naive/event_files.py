"""Prophesee's EVT 3.0 and EVT 2.1, one word after the other, with the state that their specifications name."""

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


def evt21(words):
    """Events (x, y, t, p) of the 64-bit words of EVT 2.1, the kind of each in its highest four bits."""
    events, high, laps, timed = [], 0, 0, False
    for word in words:
        kind = word >> 60
        if kind == 0x8:
            value = word >> 32 & 0xFFFFFFF
            if timed and value < high - (1 << 27):
                laps += 1
            high, timed = value, True
        elif kind in (0x0, 0x1) and timed:
            for bit in range(32):
                if word >> bit & 1:
                    x, y, low = word >> 43 & 0x7FF, word >> 32 & 0x7FF, word >> 54 & 0x3F
                    events.append((x + bit, y, (laps << 34) + (high << 6) + low, kind))
    return events
