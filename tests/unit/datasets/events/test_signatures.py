"""Formats and versions are matched whole: a file is read as what it is, or refused, whatever repairs are asked for."""

from __future__ import annotations

import contextlib
import io

import h5py
import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import DataError, FormatError, QpsnnError
from qpsnn_datasets.events import REPAIRS, read_events
from qpsnn_datasets.events.formats.signature import check, shown, signature
from qpsnn_datasets.events.layouts import FORMATS

SMALL = (34, 34)
EVENTS = files.random_events(np.random.default_rng(5), 300, SMALL)
ROWS = np.array([(x, y, p, t) for x, y, t, p in EVENTS], [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")])
REPAIRED = [name for name in REPAIRS if name != "clip"]
CHIP = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\r\n"


def in_hdf5(columns, **attributes):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, values in columns.items():
            file[name] = values
        file.attrs.update(attributes)
    return memory.getvalue()


def saved(save, *content, **named):
    memory = io.BytesIO()
    save(memory, *content, **named)
    return memory.getvalue()


COLUMNS = {f"events/{name}": ROWS[name] for name in "xytp"} | {"ms_to_idx": [0], "t_offset": 0}
WRITTEN = {
    "n-mnist": files.atis_bin(EVENTS),
    "n-caltech101": files.atis_bin(EVENTS + [(200, 150, 1 << 20, 1)] * 100),
    "cifar10-dvs": files.aedat2(EVENTS, files.cifar10dvs_address),
    "aedat2-dvs128": files.aedat2(EVENTS, files.dvs128_address),
    "aedat2-davis346": files.aedat2(EVENTS, files.davis346_address, CHIP),
    "aedat3": files.HEADER_3 + files.packet_3(EVENTS),
    "dat": files.dat(EVENTS),
    "evt": files.evt2(EVENTS),
    "evt 2.1": files.evt21(files.evt21_words(EVENTS)),
    "evt 3.0": files.evt3(files.evt3_words(EVENTS)),
    "prophesee-h5": in_hdf5({"CD/events": ROWS}, geometry="640x480"),
    "dsec": in_hdf5(COLUMNS),
    "numpy": saved(np.save, ROWS),
    "numpy .npz": saved(np.savez, **{name: ROWS[name] for name in "xytp"}),
}
ALIKE = [{"n-mnist", "n-caltech101"}, {"cifar10-dvs", "aedat2-dvs128"}]
"""Sets whose bytes are the same format: only the user, or the names of folders, can tell them."""


def read(folder, data, reader, ending, **options):
    """What a reader makes of these bytes, with all repairs, in a file whose name suits it."""
    path = folder / f"{FORMATS[reader].begins if reader else ''}one{ending}"
    path.write_bytes(data)
    given = {"sensor": SMALL} if reader == "numpy" else {}
    return read_events(path, format=reader, repair=REPAIRED, **given, **options)


@pytest.mark.parametrize("reader", FORMATS)
@pytest.mark.parametrize("writer", WRITTEN)
def test_no_reader_takes_a_file_of_another_format(tmp_path, writer, reader):
    kind = writer.split(" ")[0]
    ending = ".npz" if writer == "numpy .npz" else FORMATS[reader].endings[0]
    if kind == reader:
        assert files.listed(read(tmp_path, WRITTEN[writer], reader, ending))[:300] == EVENTS
    elif {kind, reader} in ALIKE and (kind, reader) != ("n-caltech101", "n-mnist"):
        assert len(read(tmp_path, WRITTEN[writer], reader, ending)) == len(EVENTS)
    else:
        with pytest.raises(QpsnnError) as caught:
            read(tmp_path, WRITTEN[writer], reader, ending)
        assert "mends it" not in str(caught.value)
        assert "b'" not in str(caught.value)


@pytest.mark.parametrize("ending", sorted({each for kind in FORMATS.values() for each in kind.endings}))
@pytest.mark.parametrize("writer", WRITTEN)
def test_a_guess_is_right_or_there_is_none(tmp_path, writer, ending):
    """Whatever a file is called: what is guessed reads the events that were written, or the file is refused."""
    options = {"sensor": SMALL} if ending in (".npy", ".npz") else {}
    with contextlib.suppress(QpsnnError):
        assert files.listed(read(tmp_path, WRITTEN[writer], "", ending, **options)) == EVENTS


NEIGHBOURS = {
    b"#!AER-DAT1.0\r\n": "AEDAT 1.0",
    b"#!AER-DAT2.0\r\n": "AEDAT 2.0",
    b"#!AER-DAT2.0\n": "AEDAT 2.0",
    b"#!AER-DAT2.0 \n": "AEDAT 2.0",
    b"#!AER-DAT2.01\r\n": "AEDAT 2.01",
    b"#!AER-DAT2\r\n": "AEDAT 2",
    b"#!AER-DAT2.0": "",
    b"#!AER-DAT3.0\r\n": "AEDAT 3.0",
    b"#!AER-DAT3.1\n": "AEDAT 3.1",
    b"#!AER-DAT3.10\r\n": "AEDAT 3.10",
    b"#!AER-DAT4.0\r\n": "AEDAT 4.0",
    b" #!AER-DAT2.0\r\n": "",
    b"% evt 2.0\n": "EVT 2.0",
    b"% evt 2.1\r\n% end\r\n": "EVT 2.1",
    b"% evt 2\n": "EVT 2.0",
    b"% evt 3.0\n": "EVT 3.0",
    b"% evt 4.0\n": "EVT 4.0",
    b"% evt 2.10\n": "EVT 2.10",
    b"% evt 21\n": "EVT 21",
    b"% format EVT2\n": "EVT 2.0",
    b"% format EVT21;endianness=little;height=320;width=320\n": "EVT 2.1",
    b"% format EVT3;height=720;width=1280\n": "EVT 3.0",
    b"% format EVT4;height=720;width=1280\n": "EVT4",
    b"% format EVT210\n": "EVT210",
    b"% format HISTO3D;height=320;width=320\n": "HISTO3D",
    b"% format DIFF3D;height=320;width=320\n": "DIFF3D",
    b"% format AER-8b\n": "AER-8b",
    b"% format MTR12\n": "MTR12",
    b"% evt 3.0\n% format EVT3;height=720;width=1280\n": "EVT 3.0",
    b"% evt 2.0\n% format EVT3;height=720;width=1280\n": "EVT 2.0 and EVT 3.0",
    b"% date 2024\n% remark a\x01b\n% evt 2.0\n% end\n": "EVT 2.0",
    b"% date 2024\n% remark a\tb\n% evt 2.0\n": "EVT 2.0",
    b"% Data file containing CD events.\n% Version 2\n": "DAT 2",
    b"% Version 1\n": "DAT 1",
    b"% Version 2.1\n": "DAT 2.1",
    b"% Date 2014\n": "",
    b"\x93NUMPY\x01\x00": "NumPy .npy",
    b"PK\x03\x04": "zip",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"": "",
    b"\x00\x01": "",
}
READERS = {
    "AEDAT 2.0": ("aedat2-dvs128", "aedat2-davis346", "cifar10-dvs"),
    "AEDAT 3.1": ("aedat3",),
    "EVT 2.0": ("evt",),
    "EVT 2.1": ("evt",),
    "EVT 3.0": ("evt",),
    "DAT 2": ("dat",),
}


@pytest.mark.parametrize("begin", NEIGHBOURS)
def test_what_a_file_says_that_it_is(tmp_path, begin):
    """Signatures, and that no reader takes a neighbour of its version, which its error names."""
    name = NEIGHBOURS[begin]
    assert signature(begin) == signature(begin + b"\x00" * 9) == name
    for reader in ("aedat2-dvs128", "aedat2-davis346", "cifar10-dvs", "aedat3", "evt", "dat", "n-mnist"):
        if not name or reader in READERS.get(name, ()):
            continue
        with pytest.raises(FormatError) as caught:
            read(tmp_path, begin + b"\x00" * 80, reader, FORMATS[reader].endings[0])
        assert "format: expected" in str(caught.value)
        assert str(caught.value).endswith(f"got {name}")


def test_check_says_what_came():
    assert check(b"% evt 2.1\n", "a", "EVT 2.0", "EVT 2.1") == "EVT 2.1"
    with pytest.raises(FormatError, match=r"a: format: expected EVT 2\.0 or EVT 3\.0, got HISTO3D"):
        check(b"% format HISTO3D\n", "a", "EVT 2.0", "EVT 3.0")
    with pytest.raises(FormatError, match="a: format: expected DAT 2, got bytes 00 01 ff"):
        check(b"\x00\x01\xff", "a", "DAT 2")
    assert shown(b"") == "an empty file"
    assert shown(b"hello\n") == "a file that begins 'hello'"


TEXT = {
    "aedat2-dvs128": files.HEADER_2,
    "aedat2-davis346": CHIP + b"#End Of ASCII Header\r\n",
    "aedat3": files.HEADER_3,
    "dat": b"% Data file containing CD events.\r\n% Version 2\r\n% Height 240\r\n% Width 304\r\n",
    "evt": b"% evt 2.0\r\n% geometry 640x480\r\n% end\r\n",
    "evt 2.1": b"% evt 2.1\r\n% endianness little\r\n% geometry 640x480\r\n% end\r\n",
    "evt 3.0": b"% evt 3.0\r\n% format EVT3;height=480;width=640\r\n% geometry 640x480\r\n% end\r\n",
}


def with_header(writer, header):
    old = {"aedat2-dvs128": files.HEADER_2, "aedat2-davis346": CHIP, "aedat3": files.HEADER_3}
    old |= {"dat": files.dat([])[:-2], "evt": files.EVT2_HEADER}
    old |= {"evt 2.1": files.EVT21_HEADER, "evt 3.0": files.EVT3_HEADER}
    data = WRITTEN[writer]
    assert data.startswith(old[writer])
    return header + data[len(old[writer]) :]


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
@pytest.mark.parametrize("writer", TEXT)
def test_lines_end_in_cr_lf_or_in_lf(tmp_path, writer, ends):
    kind = writer.split(" ")[0]
    data = with_header(writer, TEXT[writer].replace(b"\r\n", ends))
    assert files.listed(read(tmp_path, data, kind, FORMATS[kind].endings[0])) == EVENTS


@pytest.mark.parametrize("shift", [b"\x00", b"\x00\x00\x00", b"\xff", b"more"])
@pytest.mark.parametrize("writer", [*TEXT, "n-mnist"])
def test_words_that_do_not_begin_where_they_should(tmp_path, writer, shift):
    """With bytes between header and events, no repair makes events of the rest; a whole word may be left out."""
    kind = writer.split(" ")[0]
    data = with_header(writer, TEXT[writer] + shift) if writer in TEXT else shift + WRITTEN[writer]
    if (writer, shift) in (("evt", b"more"), ("evt 3.0", b"more")):
        assert files.listed(read(tmp_path, data, kind, ".raw")) == EVENTS
        return
    with pytest.raises((FormatError, DataError)) as caught:
        read(tmp_path, data, kind, FORMATS[kind].endings[0])
    assert "mends it" not in str(caught.value)


@pytest.mark.parametrize("writer", [*TEXT, "n-mnist"])
def test_a_file_that_is_cut_off_is_mended_only_where_asked(tmp_path, writer):
    kind = writer.split(" ")[0]
    path = tmp_path / f"one{FORMATS[kind].endings[0]}"
    path.write_bytes(WRITTEN[writer][:-1])
    with pytest.raises(FormatError, match=r"end: expected a whole event, got .* \(repair 'truncate' mends it\)"):
        read_events(path, format=kind)
    found = files.listed(read_events(path, format=kind, repair=("truncate",)))
    assert len(EVENTS) - 32 <= len(found) < len(EVENTS) or writer == "evt"
    assert found == EVENTS[: len(found)]
