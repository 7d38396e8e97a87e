"""EVT 2.1 in both orders of its halves, on bytes that are written from Prophesee's description."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import FormatError
from qpsnn_datasets.events.formats import evt

SENSOR = (320, 320)
EVENTS = files.random_events(np.random.default_rng(3), 500, SENSOR)
WORDS = files.evt21_words(EVENTS)
LITTLE = files.EVT21_HEADER
LEGACY = LITTLE.replace(b"little", b"legacy")
SILENT = LITTLE.replace(b"endianness=little;", b"")


def found(data, *sensor):
    raw = evt.decode(data, "a", *sensor)
    return files.listed(raw), raw.sensor, raw.cut


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("said", [True, False])
def test_both_orders_of_halves(legacy, said):
    header = SILENT if not said else LEGACY if legacy else LITTLE
    assert found(files.evt21(WORDS, header, legacy)) == (EVENTS, SENSOR, 0)


HEADERS = {
    b"% evt 2.1\n% geometry 320x320\n% end\n": False,
    b"% evt 2.1\n% endianness legacy\n% geometry 320x320\n": True,
    b"% evt 2.1\n% format EVT21;height=320;width=320\n% endianness little\n% end\n": False,
    b"% format EVT21\r\n% Width 320\r\n% Height 320\r\n% end\r\n": False,
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_software_writes(header):
    assert found(files.evt21(WORDS, header, HEADERS[header])) == (EVENTS, SENSOR, 0)


def test_the_example_of_prophesees_description():
    """0x0102030405060708 is sent as 08 07 06 05 04 03 02 01, and, by the IMX636, as 04 03 02 01 08 07 06 05."""
    word = 0x0102030405060708
    assert files.evt21([word], b"") == bytes.fromhex("0807060504030201")
    assert files.evt21([word], b"", legacy=True) == bytes.fromhex("0403020108070605")


def test_known_bytes():
    """Higher time 1, then ON at 5 more microseconds in row 10, from column 32 on: bits 0, 1, 3 and 31."""
    words = bytes.fromhex("00000000010000800b0000800a004111")
    assert found(LITTLE + words)[0] == [(x, 10, 69, 1) for x in (32, 33, 35, 63)]
    halves = bytes.fromhex("01000080000000000a0041110b000080")
    assert found(LEGACY + halves)[0] == [(x, 10, 69, 1) for x in (32, 33, 35, 63)]


def test_a_recording_of_eighteen_events():
    """Six vectors of bits 0, 1 and 3 in six rows, 64 microseconds apart; read as EVT 2.0, their masks are events."""
    words = [word for k in range(6) for word in (high(k + 1), on(5, 32 * k, 10 + k, 0b1011))]
    events = [(32 * k + bit, 10 + k, 64 * (k + 1) + 5, 1) for k in range(6) for bit in (0, 1, 3)]
    assert found(files.evt21(words, SILENT)) == (events, SENSOR, 0)
    assert found(files.evt21(words, SILENT, legacy=True)) == (events, SENSOR, 0)


def high(time):
    return (0x8 << 60) | time << 32


def on(low, x, y, mask):
    return (0x1 << 60) | low << 54 | x << 43 | y << 32 | mask


def test_the_clock_begins_anew_and_events_before_the_first_time_are_none():
    late = [(3, 4, (1 << 34) - 5, 1), (3, 4, (1 << 34) + 5, 0)]
    assert found(files.evt21(files.evt21_words(late)))[0] == late
    assert found(files.evt21(files.evt21_words(late)[1:]))[0] == [(3, 4, 5, 0)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (files.evt21(WORDS, LEGACY), "endianness: expected little, as its words are, got 'legacy'"),
        (files.evt21(WORDS, LITTLE, True), "endianness: expected legacy, as its words are, got 'little'"),
        (files.evt21(WORDS, LITTLE.replace(b"little", b"big")), "endianness: expected little or legacy, got 'big'"),
        (SILENT + struct.pack("<Q", (0x8 << 60) | (0x8 << 28)), "endianness: expected a header that says it.*could be"),
    ],
)
def test_an_order_that_cannot_be(data, message):
    with pytest.raises(FormatError, match=f"a: ({message})"):
        evt.decode(data, "a")


def test_words_of_kinds_that_the_format_lacks():
    """A few are left out, as damage; more are not these words."""
    reserved = [0x5 << 60] * (len(WORDS) // 19)
    assert found(files.evt21(WORDS + reserved[:-1]))[0] == EVENTS
    with pytest.raises(FormatError, match=r"a: words: expected those of EVT 2\.1, got \d+ of \d+ words of other kinds"):
        evt.decode(files.evt21(WORDS + reserved * 2), "a")


def test_both_orders_are_possible_and_the_header_decides():
    word = (0x8 << 60) | (0x8 << 28)
    one = (0x1 << 60) | (0x1 << 28)
    assert found(files.evt21([word, one], LITTLE))[0] == [(28, 0, 0, 1)]


@pytest.mark.parametrize("cut", range(1, 8))
def test_cut_off(cut):
    data = files.evt21(WORDS)
    assert evt.decode(data[:-cut], "a").cut == 8 - cut


def test_no_events():
    assert found(LITTLE) == ([], SENSOR, 0)
    assert found(SILENT) == ([], SENSOR, 0)


def test_the_size_of_a_sensor_that_the_header_names_is_suggested():
    header = b"% evt 2.1\n% plugin_name hal_plugin_genx320_evk4\n% end\n"
    said = "--sensor WIDTHxHEIGHT, usually 320x320 for plugin_name hal_plugin_genx320_evk4, got evt, plugin_name"
    with pytest.raises(FormatError, match=re.escape(said)):
        evt.decode(files.evt21(WORDS, header), "a")
    assert found(files.evt21(WORDS, header), SENSOR)[0] == EVENTS
