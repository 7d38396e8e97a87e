"""Files of events, written byte by byte from their specifications, an event at a time.

Events are tuples (x, y, t, p), as a reader is to give them.
"""

from __future__ import annotations

import struct

import numpy as np

from qpsnn_datasets.events import Recording


def random_events(rng, count, sensor, longest=50, start=0):
    """Events in the order of time, steps of 0 to `longest` microseconds."""
    t = start + np.cumsum(rng.integers(0, longest + 1, count))
    return [(int(rng.integers(sensor[1])), int(rng.integers(sensor[0])), int(time), int(rng.integers(2))) for time in t]


def random_recording(rng, count, sensor=(5, 7), label=-1, name="one", start=0):
    events = np.array(random_events(rng, count, sensor, start=start), np.int64).reshape(-1, 4)
    return Recording(events[:, 0], events[:, 1], events[:, 2], events[:, 3].astype(bool), sensor, label, name)


def listed(events):
    """(x, y, t, p) of every event of a Recording or Raw."""
    columns = (events.x, events.y, events.t, np.asarray(events.p) > 0)
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in zip(*columns, strict=True)]


def same(one, other):
    """Two recordings are equal, in types, values and all that they say of themselves."""
    for field in ("x", "y", "t", "p"):
        comp, ref = getattr(one, field), getattr(other, field)
        assert comp.dtype == ref.dtype
        np.testing.assert_array_equal(comp, ref)
    assert (one.sensor, one.label, one.name) == (other.sensor, other.label, other.name)


def atis_bin(events):
    return b"".join(bytes([x, y, (p << 7) | (t >> 16 & 0x7F), t >> 8 & 0xFF, t & 0xFF]) for x, y, t, p in events)


HEADER_2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# created Thu Dec 03 2015\r\n"


def aedat2(events, address, header=HEADER_2):
    return header + b"".join(struct.pack(">II", address(x, y, p), t & 0xFFFFFFFF) for x, y, t, p in events)


def dvs128_address(x, y, p):
    return ((127 - y) << 8) | ((127 - x) << 1) | (1 - p)


def cifar10dvs_address(x, y, p):
    return ((127 - x) << 8) | ((127 - y) << 1) | (1 - p)


def davis346_address(x, y, p):
    return ((259 - y) << 22) | ((345 - x) << 12) | (p << 11)


HEADER_3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-03-29 15:00:00\r\n#!END-HEADER\r\n"


def packet_3(events, kind=1, invalid=(), size=8, overflow=None):
    """A packet; the overflow counter is that of its first event. invalid: places of events that are not valid."""
    overflow = (events[0][2] >> 31 if events else 0) if overflow is None else overflow
    head = struct.pack("<HHIIIIII", kind, 1, size, 4, overflow, len(events), len(events), len(events) - len(invalid))
    body = b"".join(
        struct.pack("<II", (x << 17) | (y << 2) | (p << 1) | (k not in invalid), t & 0x7FFFFFFF)
        for k, (x, y, t, p) in enumerate(events)
    )
    return head + body


def dat(events, header=b"% Data file containing CD events.\n% Version 2\n% Height 240\n% Width 304\n", kind=12):
    words = (struct.pack("<II", t & 0xFFFFFFFF, x | (y << 14) | (p << 28)) for x, y, t, p in events)
    return header + bytes([kind, 8]) + b"".join(words)


EVT2_HEADER = b"% date 2020-09-04 13:49:40\n% evt 2.0\n% geometry 640x480\n% end\n"
EVT3_HEADER = b"% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 1280x720\n% end\n"


def evt2_words(events):
    """A word of higher time wherever it changes, and a trigger after every third event."""
    words, high = [], None
    for k, (x, y, t, p) in enumerate(events):
        if t >> 6 != high:
            high = t >> 6
            words.append((0x8 << 28) | (high & 0x0FFFFFFF))
        words.append((p << 28) | ((t & 0x3F) << 22) | (x << 11) | y)
        if k % 3 == 2:
            words.append((0xA << 28) | ((t & 0x3F) << 22) | 1)
    return words


def evt2(events, header=EVT2_HEADER):
    words = evt2_words(events)
    return header + struct.pack(f"<{len(words)}I", *words)


EVT21_HEADER = b"% format EVT21;endianness=little;height=320;width=320\n% geometry 320x320\n% end\n"


def evt21_words(events):
    """64 bits: events of one time, row and polarity are bits of one word where they are within 32 columns."""
    words, high, before = [], None, None
    for k, (x, y, t, p) in enumerate(events):
        if t >> 6 != high:
            high, before = t >> 6, None
            words.append((0x8 << 60) | (high & 0x0FFFFFFF) << 32)
        base = x - x % 32
        if before != (base, y, t, p) or words[-1] >> x % 32 & 0xFFFFFFFF & ((1 << 32 - x % 32) - 1):
            words.append((p << 60) | (t & 0x3F) << 54 | base << 43 | y << 32)
            before = (base, y, t, p)
        words[-1] |= 1 << x % 32
        if k % 7 == 6:
            words.append((0xE << 60) | (t & 0x3F) << 54 | 0x14 << 32 | 0xF0000005)
            before = None
    return words


def evt21(words, header=EVT21_HEADER, legacy=False):
    """Each word with its lowest byte first; legacy: in halves, the higher half first."""
    if legacy:
        return header + b"".join(struct.pack("<II", word >> 32, word & 0xFFFFFFFF) for word in words)
    return header + struct.pack(f"<{len(words)}Q", *words)


def evt3(words, header=EVT3_HEADER):
    return header + struct.pack(f"<{len(words)}H", *words)


def evt3_words(events):
    """Single events: each part is sent where it changes. Higher time again at every fifth, though it did not change."""
    words, high, low, row = [], None, None, None
    for k, (x, y, t, p) in enumerate(events):
        if t >> 12 != high or k % 5 == 0:
            low = low if t >> 12 == high else None
            high = t >> 12
            words.append((0x8 << 12) | (high & 0xFFF))
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append((0x6 << 12) | low)
        if y != row:
            row = y
            words.append(y)
        words.append((0x2 << 12) | (p << 11) | x)
    return words


def aedat4(path, packets, compression, tracks=1):
    """As faery writes it; every packet into the first stream."""
    from faery.extension import aedat

    def node(name, where, nodes=(), **attributes):
        kinds = {
            key: aedat.DescriptionAttribute("int" if type(v) is int else "string", v) for key, v in attributes.items()
        }
        return aedat.DescriptionNode(name, where, kinds, list(nodes))

    outer = "/mainloop/Recorder/outInfo/"
    streams = [
        node(
            str(k),
            f"{outer}{k}/",
            [node("info", f"{outer}{k}/info/", sizeX=640, sizeY=480, source="DVXplorer")],
            compression=(compression or ("none",))[0].upper(),
            originalOutputName="events",
            typeIdentifier="EVTS",
        )
        for k in range(tracks)
    ]
    with aedat.Encoder(path, [node("outInfo", outer, streams)], compression) as file:
        for packet in packets:
            events = np.zeros(len(packet), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
            for name, column in zip("xytp", np.array(packet, np.int64).reshape(-1, 4).T, strict=True):
                events[name] = column
            file.write(0, events)
    return path
