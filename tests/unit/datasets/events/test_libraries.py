"""Readers of event files that go through libraries: HDF5 of others, its filters, and AEDAT 4."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import DataError, FileError, FormatError
from qpsnn_datasets.events.formats import aedat4, hdf5

EVENTS = files.random_events(np.random.default_rng(0), 50, (480, 640))
COLUMNS = np.array(EVENTS).T


def dsec(path, offset=12_345_678_901, **options):
    with h5py.File(path, "w") as file:
        for name, dtype, column in zip("xytp", ("u2", "u2", "u4", "u1"), COLUMNS, strict=True):
            file.create_dataset(f"events/{name}", data=column.astype(dtype), chunks=(16,), **options)
        file["ms_to_idx"] = np.zeros(3, np.uint64)
        if offset:
            file["t_offset"] = np.int64(offset)
    return path


@pytest.mark.parametrize("offset", [0, 12_345_678_901])
def test_dsec(tmp_path, offset):
    raw = hdf5.read_dsec(dsec(tmp_path / "events.h5", offset), "a")
    assert files.listed(raw) == [(x, y, t + offset, p) for x, y, t, p in EVENTS]
    assert raw.sensor == (480, 640)


def prophesee(path, geometry=b"640x480", dtype=(("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")), **options):
    events = np.zeros(len(EVENTS), list(dtype))
    for name, column in zip("xytp", COLUMNS, strict=True):
        if name in events.dtype.names:
            events[name] = column
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=events, chunks=(16,), **options)
        if geometry:
            file.attrs["geometry"] = geometry
    return path


@pytest.mark.parametrize("geometry", [b"640x480", "640x480"])
def test_prophesee(tmp_path, geometry):
    raw = hdf5.read_prophesee(prophesee(tmp_path / "a.hdf5", geometry), "a")
    assert files.listed(raw) == EVENTS
    assert raw.sensor == (480, 640)


def test_prophesee_without_a_size_or_a_field(tmp_path):
    path = prophesee(tmp_path / "a.hdf5", None)
    with pytest.raises(FormatError, match="expected the sensor's size"):
        hdf5.read_prophesee(path, "a")
    assert hdf5.read_prophesee(path, "a", (480, 640)).sensor == (480, 640)
    prophesee(path, dtype=(("x", "u2"), ("y", "u2"), ("t", "i8")))
    with pytest.raises(FormatError, match="CD/events: expected fields x, y, t and p"):
        hdf5.read_prophesee(path, "a")


def spikes(path, labels=(1, 0, 1), keys=(b"null", b"one"), late=0.0):
    times = [np.array([0.0005, 0.25, late], np.float16), np.zeros(0, np.float16), np.array([1.0], np.float16)]
    units = [np.array([699, 0, 5]), np.zeros(0, int), np.array([350])]
    with h5py.File(path, "w") as file:
        for name, rows, dtype in (("times", times, "f2"), ("units", units, "u2")):
            data = file.create_dataset(f"spikes/{name}", (3,), h5py.vlen_dtype(np.dtype(dtype)))
            for index, row in enumerate(rows):
                data[index] = row
        file["labels"] = np.array(labels)
        file["extra/keys"] = np.array(keys)
        file["extra/speaker"] = np.zeros(3, np.uint8)
    return path


def test_shd(tmp_path):
    """Seconds in float16, rounded to microseconds as they are in float64."""
    path = spikes(tmp_path / "shd_train.h5", late=0.5)
    labels, keys = hdf5.spike_labels(path)
    assert (labels.tolist(), keys) == ([1, 0, 1], ("null", "one"))
    raw = hdf5.read_spikes(path, 0, "a")
    half = round(float(np.float16(0.0005)) * 1e6)
    assert files.listed(raw) == [(699, 0, half, 1), (0, 0, 250_000, 1), (5, 0, 500_000, 1)]
    assert raw.sensor == (1, 700)
    assert [len(hdf5.read_spikes(path, index, "a").t) for index in (1, 2)] == [0, 1]


def test_shd_that_is_damaged(tmp_path):
    path = spikes(tmp_path / "shd_train.h5", late=np.nan)
    with pytest.raises(FormatError, match=r"spikes/times\[0\]: expected a finite time of each of 3 spikes"):
        hdf5.read_spikes(path, 0, "a")
    with pytest.raises(FormatError, match="expected more than 3 rows, got 3"):
        hdf5.read_spikes(path, 3, "a")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = [0.5]
    with pytest.raises(FormatError, match=r"labels: expected integers \[N\], got float64"):
        hdf5.spike_labels(path)


def test_hdf5_that_is_damaged(tmp_path):
    path = dsec(tmp_path / "events.h5")
    with pytest.raises(FormatError, match="CD/events: expected a dataset, got nothing"):
        hdf5.read_prophesee(path, "a")
    with pytest.raises(FileError, match="no such file"):
        hdf5.read_dsec(tmp_path / "none.h5", "a")
    with h5py.File(path, "a") as file:
        del file["events/x"]
        file.create_group("events/x")
    with pytest.raises(FormatError, match="events/x: expected a dataset, got a group"):
        hdf5.read_dsec(path, "a")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="not a whole HDF5 file"):
        hdf5.read_dsec(path, "a")


READ = """
import sys
if sys.argv[2] == "without":
    sys.modules["hdf5plugin"] = None
from pathlib import Path
from qpsnn_datasets.events.formats.hdf5 import read_dsec
print(len(read_dsec(Path(sys.argv[1]), "a").t))
"""


@pytest.mark.events
@pytest.mark.parametrize("plugin", ["with", "without"])
def test_blosc_needs_hdf5plugin_and_says_so(tmp_path, plugin):
    import hdf5plugin

    path = dsec(tmp_path / "events.h5", **hdf5plugin.Blosc())
    words = [sys.executable, "-c", READ, str(path), plugin]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if plugin == "with":
        assert done.stdout.strip() == "50", done.stderr
    else:
        place = re.escape(f"DataError: {path}: events/x: filter 0x7d01: expected hdf5plugin (")
        assert re.search(place + r"pip install .*\[events\]'?\), got no such filter", done.stderr), done.stderr


def test_prophesees_own_filter_is_named(tmp_path):
    """A filter that nobody here has, which HDF5 may leave out while it writes."""
    path = tmp_path / "a.hdf5"
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((16,))
    plan.set_filter(hdf5.ECF, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(path, "w") as file:
        group = file.create_group("CD")
        kind = h5py.h5t.py_create(np.dtype([("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")]))
        h5py.h5d.create(group.id, b"events", kind, h5py.h5s.create_simple((50,)), plan)
    with pytest.raises(DataError, match=r"CD/events: filter 0x8ecf: expected Prophesee's own filter ECF"):
        hdf5.read_prophesee(path, "a", (480, 640))


@pytest.mark.events
@pytest.mark.parametrize("compression", [None, ("lz4", 1), ("zstd", 3)])
def test_aedat4(tmp_path, compression):
    path = files.aedat4(tmp_path / "a.aedat4", [EVENTS[:20], EVENTS[20:]], compression)
    raw = aedat4.read(path, "a")
    assert files.listed(raw) == EVENTS
    assert raw.sensor == (480, 640)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(FormatError, match="a: not a whole AEDAT 4 file"):
        aedat4.read(path, "a")


@pytest.mark.events
def test_aedat4_whose_description_is_no_text(tmp_path):
    """faery would end the process."""
    path = files.aedat4(tmp_path / "a.aedat4", [EVENTS], None)
    path.write_bytes(path.read_bytes().replace(b"EVTS", b"EV\xc0S"))
    with pytest.raises(FormatError, match="a: header: expected a description in UTF-8"):
        aedat4.read(path, "a")
    with pytest.raises(FileError, match="expected a readable file, got No such file"):
        aedat4.read(tmp_path / "none", "none")


@pytest.mark.events
def test_aedat4_with_no_events_or_two_streams(tmp_path):
    assert files.listed(aedat4.read(files.aedat4(tmp_path / "a.aedat4", [], None), "a")) == []
    with pytest.raises(FormatError, match="a: expected one stream of events, got 2"):
        aedat4.read(files.aedat4(tmp_path / "b.aedat4", [], None, tracks=2), "a")


@pytest.mark.events
def test_a_panic_in_rust_prints_nothing(tmp_path, capfd):
    """It writes past Python, before our error; what is said where nothing fails comes through, in order."""
    data = files.aedat4(tmp_path / "a.aedat4", [EVENTS], None).read_bytes()
    panics = 0
    for at in range(0, len(data), 7):
        (tmp_path / "b.aedat4").write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            aedat4.read(tmp_path / "b.aedat4", "b")
        except FormatError as error:
            panics += "Panic" in type(error.__cause__).__name__
    assert panics > 0
    assert capfd.readouterr() == ("", "")
    with aedat4._quiet_panics():
        os.write(2, b"first, ")
    os.write(2, b"second")
    assert capfd.readouterr().err == "first, second"


def test_aedat4_without_faery_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faery", None)
    monkeypatch.setitem(sys.modules, "faery.extension", None)
    with pytest.raises(DataError, match=r"aedat4: expected faery, .*pip install .*\[events\]"):
        aedat4.read(tmp_path / "a.aedat4", "a")
