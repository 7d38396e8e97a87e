"""Prophesee's EVT 2.1: 64-bit words, each of which is the higher part of time, or up to 32 events of a row."""

from __future__ import annotations

from qpsnn_core.kernels.threads import kernel

OFF, ON, TIME_HIGH = 0x0, 0x1, 0x8
"""The kinds that matter, in bits 31 to 28 of a word's command."""


@kernel
def evt21_events(commands, masks, x, y, t, p):
    """How many events the words hold; those that x, y, t and p, of one length, have room for are written there.

    commands: uint32, the half of each word that has its kind: 6 bits of time, 11 of x, 11 of y; or 28 higher bits of
    time, counted on where they fall by more than half of their range. masks: uint32, the other half: bit k is an event
    k columns right of x. Time is microseconds. Events before the first higher bits of time are none.
    """
    found = high = laps = 0
    timed = False
    for i in range(len(commands)):
        word = int(commands[i])
        kind = word >> 28
        if kind == TIME_HIGH:
            value = word & 0xFFFFFFF
            if timed and value < high - (1 << 27):
                laps += 1
            high, timed = value, True
        elif timed and kind in (OFF, ON):
            column, bits = word >> 11 & 0x7FF, int(masks[i])
            while bits:
                if bits & 1:
                    if found < len(x):
                        x[found], y[found], p[found] = column, word & 0x7FF, kind
                        t[found] = (laps << 34) + (high << 6) + (word >> 22 & 0x3F)
                    found += 1
                column, bits = column + 1, bits >> 1
    return found
