"""Damaged files of events: whatever byte is wrong, a reader gives events or an error of ours, and nothing else."""

from __future__ import annotations

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from generators import event_files as files
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.common.errors import QpsnnError
from qpsnn_datasets.events.formats import aedat2, aedat3, aedat4, arrays, atis_bin, dat, evt
from qpsnn_datasets.events.raw import REPAIRS, Report, mend

EVENTS = files.random_events(np.random.default_rng(0), 40, (128, 128))
TABLE = np.array(EVENTS, [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])


def saved(save, *content, **named):
    file = io.BytesIO()
    save(file, *content, **named)
    return file.getvalue()


WHOLE = {
    "atis": (files.atis_bin(EVENTS), partial(atis_bin.decode, sensor=(128, 128))),
    "dvs128": (
        files.aedat2(EVENTS, files.dvs128_address),
        partial(aedat2.decode, sensor=(128, 128), columns=aedat2.dvs128),
    ),
    "davis346": (
        files.aedat2(EVENTS, files.davis346_address),
        partial(aedat2.decode, sensor=(260, 346), columns=aedat2.davis346),
    ),
    "aedat3": (files.HEADER_3 + files.packet_3(EVENTS[:15]) + files.packet_3(EVENTS[15:]), aedat3.decode),
    "dat": (files.dat(EVENTS), dat.decode),
    "evt2": (files.evt2(EVENTS), evt.decode),
    "evt21": (files.evt21(files.evt21_words(EVENTS)), evt.decode),
    "evt21 legacy": (
        files.evt21(files.evt21_words(EVENTS), files.EVT21_HEADER.replace(b"little", b"legacy"), legacy=True),
        evt.decode,
    ),
    "evt3": (files.evt3(files.evt3_words(EVENTS)), evt.decode),
    "npy": (saved(np.save, TABLE), partial(arrays.decode, sensor=(128, 128))),
    "npz": (saved(np.savez_compressed, **{k: TABLE[k] for k in "xytp"}), partial(arrays.decode, sensor=(128, 128))),
}

CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)
LENGTHS = st.one_of(st.none(), st.integers(0, 2000))


def damaged(data, changes, length):
    out = bytearray(data)
    for at, byte in changes:
        out[at % len(out)] = byte
    return bytes(out[:length])


def read(decode, content):
    """Every event that is left is a good one: the recording was checked when it was made."""
    try:
        mend(decode(content, name="a"), [name for name in REPAIRS if name != "clip"], Report())
    except QpsnnError:
        return


@pytest.mark.parametrize("kind", WHOLE)
@given(changes=CHANGES, length=LENGTHS)
def test_damaged_bytes(kind, changes, length):
    data, decode = WHOLE[kind]
    read(decode, damaged(data, changes, length))


WRITERS = {
    "atis": files.atis_bin,
    "dvs128": lambda events: files.aedat2(events, files.dvs128_address),
    "davis346": lambda events: files.aedat2(events, files.davis346_address),
    "aedat3": lambda events: files.HEADER_3 + files.packet_3(events),
    "dat": files.dat,
    "evt2": files.evt2,
    "evt21": lambda events: files.evt21(files.evt21_words(events)),
    "evt3": lambda events: files.evt3(files.evt3_words(events)),
    "npy": lambda events: saved(np.save, np.array(events, TABLE.dtype)),
}
SAME = ({"evt2", "evt21", "evt3"}, {"npy", "npz"})


@pytest.mark.parametrize("writer", WRITERS)
@given(seed=st.integers(0, 1000), count=st.integers(1, 60), longest=st.integers(0, 5000), cut=st.integers(0, 3))
def test_no_file_of_one_format_is_accepted_as_another(writer, seed, count, longest, cut):
    """Of any number of events, whole or cut off, with all repairs: refused, or nothing is left of it."""
    events = files.random_events(np.random.default_rng(seed), count, (128, 128), longest)
    data = WRITERS[writer](events)
    data = data[: len(data) - cut]
    for reader, (_, decode) in WHOLE.items():
        family = reader.split(" ")[0]
        if family == writer or any({writer, family} <= each for each in SAME):
            continue
        with contextlib.suppress(QpsnnError):
            assert mend(decode(data, name="a"), [name for name in REPAIRS if name != "clip"], Report()) is None


@pytest.mark.events
@given(changes=CHANGES, length=LENGTHS, compressed=st.booleans())
def test_damaged_aedat4(changes, length, compressed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.aedat4"
        files.aedat4(path, [EVENTS[:20], EVENTS[20:]], ("lz4", 1) if compressed else None)
        path.write_bytes(damaged(path.read_bytes(), changes, length))
        read(aedat4.read, path)
