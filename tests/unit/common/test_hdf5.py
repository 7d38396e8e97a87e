"""Files that are whole or not there, and typed errors for those that came from elsewhere."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import h5py
import numpy as np
import pytest

from qpsnn_core.common import hdf5
from qpsnn_core.common.errors import FileError, FormatError, VersionError
from qpsnn_core.common.hdf5 import kind_of, reading, streaming, writing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def write(path, value=1.0, kind="qpsnn-test", version=3):
    with writing(path, kind, version) as file:
        file["deep/array"] = np.full((100, 10), value)


def read(path):
    with reading(path, "qpsnn-test", 3) as file:
        return file["deep/array"][()]


def only_the_old_file(path):
    return os.listdir(path.parent) == [path.name] and (read(path) == 1.0).all()


def test_what_was_written_is_read(path):
    write(path)
    np.testing.assert_array_equal(read(path), np.ones((100, 10)))
    assert kind_of(path) == "qpsnn-test"
    assert os.listdir(path.parent) == [path.name]


def test_a_new_file_takes_the_place_of_the_old(path):
    write(path)
    write(path, 2.0)
    assert (read(path) == 2.0).all()
    assert os.listdir(path.parent) == [path.name]


def test_the_file_is_as_readable_as_any_other(path):
    write(path)
    plain = path.parent / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_path_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("file.h5")
    assert os.listdir() == ["file.h5"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, KeyError])
def test_an_exception_in_the_block_leaves_nothing_and_passes_through(path, error):
    def stop_half_way():
        with writing(path, "qpsnn-test", 3) as file:
            file["half"] = np.zeros(1000)
            raise error

    write(path)
    with pytest.raises(error):
        stop_half_way()
    assert only_the_old_file(path)


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, call):
    write(path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(hdf5.os, call, full)
        with pytest.raises(FileError, match=r"file\.h5: cannot be written: .*No space left on device"):
            write(path, 2.0)
    assert only_the_old_file(path)


CHILD = """
import resource, signal, sys
import numpy as np
from qpsnn_core.common.errors import FileError
from qpsnn_core.common.hdf5 import writing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with writing(sys.argv[1], "qpsnn-test", 3) as file:
        for index in range(300):
            file[f"group{index}/array"] = np.ones(100)
except FileError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files as Linux does")
def test_a_disk_that_fills_up_under_many_small_arrays(path):
    """HDF5 itself would end the process here, with a segmentation fault."""
    write(path)
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"refused: {path}: cannot be written: {os.strerror(errno.EFBIG)}")
    assert only_the_old_file(path)


STREAMING_CHILD = """
import resource, signal, sys
import numpy as np
from qpsnn_core.common.errors import FileError
from qpsnn_core.common.hdf5 import streaming
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rounds = 0
try:
    with streaming(sys.argv[1], "qpsnn-test", 3) as (file, sink):
        row = file.create_dataset("row", (0,), "f8", maxshape=(None,), chunks=(1000,))
        for rounds in range(300):
            row.resize((rounds + 1) * 20_000, axis=0)
            row[rounds * 20_000 :] = np.random.default_rng(rounds).random(20_000)
            if sys.argv[2] == "checked":
                sink.check()
except FileError as error:
    sys.exit(f"{rounds} rounds, refused: {error}")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files as Linux does")
@pytest.mark.parametrize("how", ["checked", "unchecked"])
def test_a_disk_that_fills_up_under_a_stream(path, how):
    write(path)
    words = [sys.executable, "-c", STREAMING_CHILD, str(path), how]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rounds, _, said = done.stderr.partition(" rounds, ")
    assert said.startswith(f"refused: {path}: cannot be written: {os.strerror(errno.EFBIG)}")
    assert int(rounds) == 299 if how == "unchecked" else int(rounds) < 299
    assert only_the_old_file(path)


def stream(path, values, error=None):
    with streaming(path, "qpsnn-test", 3) as (file, _):
        file.create_dataset("deep/array", data=values, chunks=(4,), fletcher32=True)
        if error:
            raise error


def test_a_stream_is_whole_or_not_there(path):
    write(path)
    for error in (KeyboardInterrupt(), ValueError("no")):
        with pytest.raises(type(error)):
            stream(path, np.zeros(9), error)
        assert only_the_old_file(path)
    stream(path, np.arange(9.0))
    assert read(path).tolist() == list(range(9))
    assert os.listdir(path.parent) == [path.name]


def test_every_altered_byte_of_a_streams_structure_is_found_or_harmless(path):
    """HDF5's own checksums: whatever opens and reads is what was written."""
    stream(path, np.arange(9.0))
    whole, found = path.read_bytes(), 0
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            values = read(path)
        except FileError:
            found += 1
        else:
            assert values.tolist() == list(range(9)), at
    assert found > 100


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        write(tmp_path / "none" / "file.h5")


def test_a_file_that_is_not_there(path):
    for missing in (path, path.parent):
        with pytest.raises(FileError, match="no such file"):
            read(missing)
        with pytest.raises(FileError, match="no such file"):
            kind_of(missing)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_a_file_that_is_not_hdf5(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a whole HDF5 file"):
        read(path)
    with pytest.raises(FormatError, match="not a whole HDF5 file"):
        kind_of(path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file(path, share):
    write(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FormatError, match="not a whole HDF5 file"):
        read(path)


def test_a_file_of_another_kind(path):
    write(path, kind="qpsnn-other")
    with pytest.raises(FormatError, match=r"file\.h5\.format: expected .*qpsnn-test.*, got .*qpsnn-other"):
        read(path)


def test_hdf5_of_somebody_else(path):
    with h5py.File(path, "w") as file:
        file["array"] = [1, 2]
    with pytest.raises(FormatError, match=r"file\.h5\.format: expected"):
        read(path)
    with pytest.raises(FormatError, match=r"file\.h5\.format: expected the kind of a qpsnn file"):
        kind_of(path)


def test_another_version(path):
    write(path, version=4)
    with pytest.raises(VersionError, match=r"file\.h5\.version: expected 3, got 4"):
        read(path)


def test_a_part_that_is_missing(path):
    with writing(path, "qpsnn-test", 3):
        pass
    with pytest.raises(FormatError, match="a part is missing"):
        read(path)
