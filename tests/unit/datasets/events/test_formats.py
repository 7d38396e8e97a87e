"""Readers of event files, on bytes that are written from the formats' specifications."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import DataError, FormatError
from qpsnn_datasets.events.formats import aedat2, aedat3, arrays, atis_bin, dat, evt

SIZES = {"atis": (180, 240), "dvs": (128, 128), "davis": (260, 346), "dat": (240, 304), "vga": (480, 640)}


def events_of(key, count=200, longest=50, start=0):
    return files.random_events(np.random.default_rng(count), count, SIZES[key], longest, start)


def found(raw):
    return files.listed(raw), raw.sensor, raw.cut


@pytest.mark.parametrize("count", [0, 1, 200])
def test_atis_bin(count):
    events = events_of("atis", count, longest=30_000)
    raw = atis_bin.decode(files.atis_bin(events), "a", (180, 240))
    assert found(raw) == (events, (180, 240), 0)
    assert (raw.clock, raw.name) == (1 << 23, "a")


def test_an_atis_bin_whose_time_overflows():
    early, marker, late = (3, 5, 100, 1), (9, 240, 77, 0), (4, 6, 200, 0)
    data = files.atis_bin([early, marker, late, marker, late])
    events = [early, (4, 6, 200 + (1 << 13), 0), (4, 6, 200 + (2 << 13), 0)]
    assert files.listed(atis_bin.decode(data, "a", (180, 240))) == events


def test_known_bytes_of_an_atis_bin():
    """x 10, y 30, ON, 0x012345 microseconds."""
    raw = atis_bin.decode(bytes([10, 30, 0x81, 0x23, 0x45]), "a", (34, 34))
    assert files.listed(raw) == [(10, 30, 0x012345, 1)]


CAMERAS = {
    "dvs128": (aedat2.dvs128, files.dvs128_address, "dvs"),
    "cifar10dvs": (aedat2.cifar10dvs, files.cifar10dvs_address, "dvs"),
    "davis346": (aedat2.davis346, files.davis346_address, "davis"),
}


@pytest.mark.parametrize("camera", CAMERAS)
def test_aedat2(camera):
    columns, address, key = CAMERAS[camera]
    events = events_of(key)
    raw = aedat2.decode(files.aedat2(events, address), "a", SIZES[key], columns)
    assert found(raw) == (events, SIZES[key], 0)


@pytest.mark.parametrize(
    ("columns", "bit"), [(aedat2.dvs128, 15), (aedat2.dvs128, 31), (aedat2.davis346, 31), (aedat2.davis346, 10)]
)
def test_aedat2_words_that_are_no_events_are_left_out(columns, bit):
    words = files.HEADER_2 + struct.pack(">IIII", 1 << bit, 5, 1 << 22 if columns is aedat2.davis346 else 0, 6)
    assert aedat2.decode(words, "a", (260, 346), columns).t.tolist() == [6]


def test_jaers_and_spikingjellys_conventions_exchange_rows_and_columns():
    data = files.aedat2([(3, 100, 5, 1)], files.dvs128_address)
    assert files.listed(aedat2.decode(data, "a", (128, 128), aedat2.dvs128)) == [(3, 100, 5, 1)]
    assert files.listed(aedat2.decode(data, "a", (128, 128), aedat2.cifar10dvs)) == [(100, 3, 5, 1)]


@pytest.mark.parametrize("header", [b"#!AER-DAT2.0\r\n", files.HEADER_2 + b"#End Of ASCII Header\r\n"])
def test_aedat2_whose_first_event_looks_like_a_line(header):
    """0x23 is '#': only the end of the header, or bytes that no line has, can tell."""
    data = header + struct.pack(">II", 0x23000000 | (5 << 12), 7)
    assert aedat2.decode(data, "a", (260, 346), aedat2.davis346).t.tolist() == [7]


def test_aedat2_whose_header_has_letters_beyond_ascii():
    events = events_of("dvs", 5)
    data = files.aedat2(events, files.dvs128_address, files.HEADER_2 + "# file: 实验/ä\r\n".encode("gbk", "replace"))
    assert files.listed(aedat2.decode(data, "a", (128, 128), aedat2.dvs128)) == events


RED = b"#!AER-DAT2.0\r\n# a raw AE data file - do not edit\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n"
TWENTY = [(335, 239, 100 + k, 1) for k in range(20)]


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
@pytest.mark.parametrize("more", [b"", b".", b"......."])
@pytest.mark.parametrize("end", [b"", b"#End Of ASCII Header\r\n", b"#END OF ASCII HEADER \r\n"])
def test_aedat2_whose_header_has_any_length_and_either_end_of_line(ends, more, end):
    header = RED.replace(b"edit", b"edit" + more) + end
    data = files.aedat2(TWENTY, files.davis346_address, header.replace(b"\r\n", ends))
    assert found(aedat2.decode(data, "a", (260, 346), aedat2.davis346)) == (TWENTY, (260, 346), 0)


def test_aedat2_whose_header_holds_settings_and_bytes_that_are_no_text():
    """jAER writes all of the camera's settings as lines of #; where the header's end is marked, it ends there."""
    settings = b"".join(b'# <entry key="bias%d" value="\x01\x7f"/>\r\n' % k for k in range(4000))
    data = files.aedat2(TWENTY, files.davis346_address, RED + settings + b"#End Of ASCII Header\r\n")
    assert found(aedat2.decode(data, "a", (260, 346), aedat2.davis346)) == (TWENTY, (260, 346), 0)


CHIPS = {
    b"ch.unizh.ini.jaer.chip.retina.DVS128": "DVS128",
    b"DVS128": "DVS128",
    b"eu.seebetter.ini.chips.davis.Davis346red": "DAVIS346",
    b"eu.seebetter.ini.chips.davis.DAVIS346cBSI": "DAVIS346",
    b"eu.seebetter.ini.chips.davis.Davis3460": "",
    b"eu.seebetter.ini.chips.davis.Davis640": "",
    b"eu.seebetter.ini.chips.davis.DAVIS240C": "",
    b"ch.unizh.cDVS128": "",
    b"davis346.Other": "",
}


@pytest.mark.parametrize("chip", CHIPS)
def test_aedat2_names_its_camera(chip):
    """A camera's addresses make events of another's sensor, too: the name in the header decides."""
    header = b"#!AER-DAT2.0\r\n# AEChip: " + chip + b"\r\n"
    assert aedat2.camera(chip.decode()) == CHIPS[chip]
    for columns, key in ((aedat2.dvs128, "dvs"), (aedat2.cifar10dvs, "dvs"), (aedat2.davis346, "davis")):
        address = files.davis346_address if key == "davis" else files.dvs128_address
        data = files.aedat2([(3, 4, 5, 1)], address, header)
        if aedat2.OF_CAMERA[columns] == CHIPS[chip]:
            assert len(aedat2.decode(data, "a", SIZES[key], columns).t) == 1
        else:
            with pytest.raises(
                FormatError, match=f"a: AEChip: expected a {aedat2.OF_CAMERA[columns]}, got {chip.decode()}"
            ):
                aedat2.decode(data, "a", SIZES[key], columns)


def test_aedat2_of_a_dvs128_is_not_taken_for_a_davis346():
    data = files.aedat2(events_of("dvs", 50), files.dvs128_address)
    with pytest.raises(FormatError, match=r"a: addresses: expected some of more than 16 bits, .*got at most 0x"):
        aedat2.decode(data, "a", (260, 346), aedat2.davis346)


def test_aedat2_of_another_camera_is_not_taken_for_a_dvs128():
    data = files.aedat2([(5, 250, 9, 1)], files.davis346_address)
    with pytest.raises(FormatError, match=r"a: address of event 0: expected 16 bits of a DVS128, got '0x2554800'"):
        aedat2.decode(data, "a", (128, 128), aedat2.dvs128)


def test_aedat2_that_is_cut_off_or_something_else():
    data = files.aedat2(events_of("dvs", 5), files.dvs128_address)
    raw = aedat2.decode(data[:-3], "a", (128, 128), aedat2.dvs128)
    assert (len(raw.t), raw.cut) == (4, 5)
    with pytest.raises(FormatError, match=r"a: format: expected AEDAT 2\.0, got AEDAT 3\.1"):
        aedat2.decode(files.HEADER_3, "a", (128, 128), aedat2.dvs128)


def test_aedat3():
    """Events that are not valid, packets of other types, and a clock whose 31 bits ran over."""
    events = events_of("dvs", 90)
    late = [(1, 2, (3 << 31) | 5, 1)]
    data = (
        files.HEADER_3
        + files.packet_3(events[:50], invalid=(0, 7))
        + files.packet_3([(1, 1, 1, 1)], kind=0)
        + files.packet_3([])
        + files.packet_3(events[50:])
        + files.packet_3(late)
    )
    kept = [event for k, event in enumerate(events) if k not in (0, 7)]
    assert found(aedat3.decode(data, "a")) == (kept + late, (128, 128), 0)


def test_known_bytes_of_aedat3():
    """x 2 in bits 17..31, y 3 in bits 2..16, ON, valid."""
    words = struct.pack("<II", 0x0004000F, 9)
    data = files.HEADER_3 + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 1, 1, 1) + words
    assert files.listed(aedat3.decode(data, "a")) == [(2, 3, 9, 1)]


@pytest.mark.parametrize(("cut", "left", "bytes_left"), [(3, 9, 5), (8, 9, 1), (80, 0, 1), (90, 0, 18), (108, 0, 0)])
def test_aedat3_that_is_cut_off(cut, left, bytes_left):
    data = files.HEADER_3 + files.packet_3(events_of("dvs", 10))
    raw = aedat3.decode(data[: len(data) - cut], "a")
    assert (len(raw.t), raw.cut) == (left, bytes_left)


def test_aedat3_that_is_something_else():
    packet = files.packet_3(events_of("dvs", 2))
    for data, message in [
        (files.HEADER_2, r"format: expected AEDAT 3\.1, got AEDAT 2\.0"),
        (files.HEADER_3[:-15], "expected a line #!END-HEADER, got none"),
        (files.HEADER_3.replace(b"RAW", b"SerializedTS"), "Format: expected RAW, got SerializedTS"),
        (files.HEADER_3.replace(b"RAW", b""), "Format: expected RAW, got nothing"),
        (files.HEADER_3.replace(b"DVS128", b"DVS1280"), r"expected a source of DVS128, .*got DVS1280"),
        (files.HEADER_3.replace(b"DVS128", b"DAVIS346Z"), r"expected a source of DVS128, .*got DAVIS346Z"),
        (files.HEADER_3 + packet[:8] + b"\x00" + packet[9:], "with time at 0 in a packet of type 1"),
        (files.HEADER_3 + packet[:24] + b"\x03" + packet[25:], r"got 2 events \(3 valid\)"),
        (files.HEADER_3.replace(b"DVS128", b"ATIS1"), r"expected a source of DVS128, .*got ATIS1"),
        (files.HEADER_3 + packet[:4] + b"\x09" + packet[5:], r"packet at byte \d+: expected .* of 8 bytes"),
        (files.HEADER_3 + packet[:20] + b"\x03" + packet[21:], r"expected at most 2 events"),
    ]:
        with pytest.raises(FormatError, match=message):
            aedat3.decode(data, "a")
    assert aedat3.decode(files.HEADER_3.replace(b"DVS128", b"ATIS1"), "a", (9, 9)).sensor == (9, 9)


@pytest.mark.parametrize("kind", [0, 12])
def test_dat(kind):
    events = events_of("dat", longest=40_000_000)
    assert found(dat.decode(files.dat(events, kind=kind), "a")) == (
        [(x, y, t & 0xFFFFFFFF, p) for x, y, t, p in events],
        (240, 304),
        0,
    )


def test_dat_that_is_cut_off_or_something_else():
    data = files.dat(events_of("dat", 5))
    assert (len(dat.decode(data[:-1], "a").t), dat.decode(data[:-1], "a").cut) == (4, 7)
    without = files.dat([], header=b"% Version 2\n")
    for bad, message in [
        (b"abc", r"a: format: expected DAT 2, got a file that begins 'abc'"),
        (data.replace(b"Version 2", b"Version 1"), "format: expected DAT 2, got DAT 1"),
        (data.replace(b"Version 2", b"Version 2.1"), r"format: expected DAT 2, got DAT 2\.1"),
        (data.replace(b"% Version 2\n", b""), "format: expected DAT 2, got a file that begins '% Data file co'"),
        (files.dat([], kind=14), r"type and size: expected .*, got \[14, 8\]"),
        (files.HEADER_2.replace(b"#", b"%"), "format: expected DAT 2, got a file that begins '%!AER-DAT2.0'"),
        (b"% Version 2\n\x0c", r"type and size: expected .*, got \[12\]"),
        (without, r"header: expected the sensor's size .*got version"),
    ]:
        with pytest.raises(FormatError, match=message):
            dat.decode(bad, "a")
    assert dat.decode(without, "a", (3, 4)).sensor == (3, 4)


@pytest.mark.parametrize("start", [0, (1 << 34) - 900])
def test_evt2(start):
    events = events_of("vga", start=start)
    comp = evt.decode(files.evt2(events), "a")
    assert found(comp) == (events, (480, 640), 0)
    assert (comp.t.max() > 1 << 34) == bool(start)


@pytest.mark.parametrize("start", [0, (1 << 24) - 900, 5 << 24])
def test_evt3_of_single_events(start):
    """A clock that begins anew is counted on; what came before is not known, so the first lap is lap 0."""
    events = events_of("vga", start=start)
    laps = start >> 24 << 24
    comp = evt.decode(files.evt3(files.evt3_words(events)), "a")
    assert found(comp) == ([(x, y, t - laps, p) for x, y, t, p in events], (720, 1280), 0)


def test_known_words_of_evt3():
    """Prophesee's description: a vector of 12 from base 100 sets bits 0, 2, 11; the next begins at 112."""
    words = [0x8001, 0x6005, 0x0007, 0x3864, 0x4805, 0x5001, 0x2009]
    time = 0x1005
    assert files.listed(evt.decode(files.evt3(words), "a")) == [
        (100, 7, time, 1),
        (102, 7, time, 1),
        (111, 7, time, 1),
        (112, 7, time, 1),
        (9, 7, time, 0),
    ]


def test_events_before_the_first_time_are_left_out():
    assert files.listed(evt.decode(files.evt3([0x0001, 0x2001, 0x8000, 0x2002]), "a")) == [(2, 1, 0, 0)]
    words = [(1 << 28) | 5, 0x80000001, (1 << 28) | 6]
    assert evt.decode(files.EVT2_HEADER + struct.pack("<3I", *words), "a").y.tolist() == [6]


HEADERS = {
    b"% evt 2.0\n% geometry 640x480\n": (480, 640),
    b"% format EVT2;height=720;width=1280\n% end\n": (720, 1280),
    b"% Date 2014-02-28 13:37:42\n% evt 2.0\n% Width 304\n% Height 240\n": (240, 304),
}


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_cameras_write(header):
    events = events_of("dat", 20)
    assert found(evt.decode(files.evt2(events, header), "a")) == (events, HEADERS[header], 0)


def test_evt_that_is_cut_off_or_something_else():
    assert evt.decode(files.evt2(events_of("vga", 4))[:-1], "a").cut == 3
    assert evt.decode(files.evt3([0x8000, 0x2001])[:-1], "a").cut == 1
    for bad, message in [
        (b"", r"a: format: expected EVT 2\.0 or EVT 2\.1 or EVT 3\.0, got an empty file"),
        (b"% evt 3.0\n% end\n", "expected the sensor's size in the header"),
        (b"% evt 2.0\n% geometry 640x480\n% Width 641\n% Height 480\n", "expected one size .*got 640x480 and 641x480"),
        (b"% format EVT3;height=720;width=1280\n% geometry 640x480\n", "expected one size .*got 640x480 and 1280x720"),
        (b"% evt 2.0\n% endianness big\n% geometry 640x480\n", "endianness: expected little, got 'big'"),
        (
            b"% evt 2.0\n% geometry 99999999999x480\n",
            "expected a sensor of 1 to 65,536 pixels a side, got 99999999999x480",
        ),
        (b"% evt 3.0\n% geometry 0x480\n% end\n", "expected a sensor of 1 to 65,536 pixels a side, got 0x480"),
    ]:
        with pytest.raises(FormatError, match=message):
            evt.decode(bad, "a")
    assert evt.decode(b"% evt 3.0\n% end\n", "a", (5, 6)).sensor == (5, 6)


@pytest.mark.parametrize(("kind", "word"), [("evt2", 0x50000000), ("evt3", 0xB000)])
def test_words_of_kinds_that_the_version_lacks(kind, word):
    """A few are left out, as damage; more are not these words."""
    events = events_of("vga")
    words = files.evt2_words(events) if kind == "evt2" else files.evt3_words(events)
    write = evt2_file if kind == "evt2" else files.evt3
    few = len(words) // 20
    assert files.listed(evt.decode(write(words + [word] * few), "a")) == events
    with pytest.raises(
        FormatError, match=r"a: words: expected those of EVT \d\.0, got \d+ of \d+ words of other kinds"
    ):
        evt.decode(write(words + [word] * 2 * few), "a")


def evt2_file(words):
    return files.EVT2_HEADER + struct.pack(f"<{len(words)}I", *words)


SUGGESTED = {
    b"% plugin_name hal_plugin_gen31_fx3\n": "usually 640x480 for plugin_name hal_plugin_gen31_fx3",
    b"% plugin_name hal_plugin_imx636_evk4\n": "usually 1280x720 for plugin_name hal_plugin_imx636_evk4",
    b"% sensor_name Gen4.1\n": "usually 1280x720 for sensor_name Gen4.1",
    b"% sensor_generation 3.1\n": "usually 640x480 for sensor_generation 3.1",
    b"% camera_integrator_name GenX320 Inc\n": "usually 320x320 for camera_integrator_name GenX320 Inc",
    b"% plugin_name hal_plugin_prophesee\n": "",
    b"% plugin_name evc3a_plugin_gen310\n": "",
    b"% plugin_name hal_plugin_gen31_fx3\n% sensor_name IMX636\n": "",
}


@pytest.mark.parametrize("named", SUGGESTED)
@pytest.mark.parametrize("kind", ["evt", "dat"])
def test_the_size_of_a_sensor_that_a_header_names_is_suggested(named, kind):
    """By whole names, and only where they agree; the size is not taken by itself."""
    data = named + b"% evt 2.0\n% end\n" if kind == "evt" else files.dat([], header=named + b"% Version 2\n")
    with pytest.raises(FormatError, match=r"a: header: expected the sensor's size .*--sensor WIDTHxHEIGHT") as caught:
        (evt if kind == "evt" else dat).decode(data, "a")
    assert ("usually" in str(caught.value)) == bool(SUGGESTED[named])
    assert SUGGESTED[named] in str(caught.value)


@pytest.mark.events
@pytest.mark.parametrize("kind", ["dat", "evt2", "evt3"])
def test_prophesees_formats_as_faery_writes_them(kind, tmp_path):
    """A writer of somebody else's, vectors of EVT 3.0 among them."""
    from faery.extension import dat as faery_dat
    from faery.extension import evt as faery_evt

    events = [(x, 40, 5000 + k // 40, 1) for k, x in enumerate(range(100, 300))] + events_of("dat", 500, 9, 6000)
    structured = np.zeros(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    for field, column in zip("xytp", np.array(events).T, strict=True):
        structured[field] = column
    path = tmp_path / "a"
    if kind == "dat":
        written = np.zeros(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("payload", "u1")])
        for field, name in zip("xytp", ("x", "y", "t", "payload"), strict=True):
            written[name] = structured[field]
        with faery_dat.Encoder(path, "dat2", "cd", False, (304, 240)) as file:
            file.write(written)
    else:
        with faery_evt.Encoder(path, kind, False, (304, 240), True) as file:
            file.write({"events": structured})
    decode = dat.decode if kind == "dat" else evt.decode
    comp = decode(path.read_bytes(), "a")
    if kind == "evt3":
        kinds = {word >> 12 for word in np.frombuffer(path.read_bytes()[-1000:], "<u2").tolist()}
        assert kinds >= {0x0, 0x2, 0x6}
    assert found(comp) == (events, (240, 304), 0)


ROWS = [(3, 1, 5, 1), (2, 0, 9, 0)]
TONIC = np.array(ROWS, [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])


def test_arrays_as_tonic_gives_them():
    assert files.listed(arrays.from_array(TONIC, "a", (2, 4))) == ROWS
    sound = TONIC[["t", "x", "p"]]
    assert files.listed(arrays.from_array(sound, "a", (1, 4))) == [(3, 0, 5, 1), (2, 0, 9, 0)]
    columns = {"x": TONIC["x"], "y": TONIC["y"], "timestamp": TONIC["t"], "polarity": np.array([1, -1])}
    assert files.listed(arrays.from_array(columns, "a", (2, 4))) == ROWS


def test_arrays_in_files(tmp_path):
    np.save(tmp_path / "a.npy", TONIC)
    np.savez(tmp_path / "a.npz", **{field: TONIC[field] for field in "xytp"})
    np.savez_compressed(tmp_path / "b.npz", **{field: TONIC[field] for field in "xytp"})
    for name in ("a.npy", "a.npz", "b.npz"):
        data = (tmp_path / name).read_bytes()
        assert files.listed(arrays.decode(data, "a", (2, 4))) == ROWS
        with pytest.raises(FormatError, match=r"a: not a whole \.npy or \.npz file"):
            arrays.decode(data[:-30], "a", (2, 4))
    np.save(tmp_path / "objects.npy", np.array([{}, None], object))
    with pytest.raises(FormatError, match="not a whole"):
        arrays.decode((tmp_path / "objects.npy").read_bytes(), "a", (2, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": None}, r"a\.t: expected a field t or ts or timestamp, got x, y, p"),
        ({"t": np.array([0.5, 1.0])}, r"a\.t: expected integers, got float64"),
        ({"p": np.array([0, 2])}, r"a\.p: expected 0 and 1, or -1 and 1"),
        ({"x": np.array([1])}, r"a: expected columns \[N\] of one length, got x \[1\]"),
        ({"x": np.array([[1, 2]])}, r"a: expected columns \[N\] of one length, got x \[1, 2\]"),
    ],
)
def test_arrays_that_are_no_events(change, message):
    columns = {field: TONIC[field] for field in "xytp"} | change
    with pytest.raises(DataError, match=message):
        arrays.from_array({key: value for key, value in columns.items() if value is not None}, "a", (2, 4))
    with pytest.raises(DataError, match=r"a\.x: expected a field x, got none"):
        arrays.from_array(np.zeros((3, 4)), "a", (2, 4))
