"""Other people's HDF5 files: what h5py reads is read, in another process, and nothing that HDF5 does ends this one."""

from __future__ import annotations

import gzip
import os
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from qpsnn_core.common import foreign_hdf5 as module
from qpsnn_core.common.errors import FileError, FormatError
from qpsnn_core.common.foreign import LEAST, VARIABLE
from qpsnn_core.common.foreign_hdf5 import foreign_hdf5
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_datasets.events import import_events, read_events

DAMAGED = Path(__file__).parents[2] / "golden" / "damaged"
EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
PADDED = np.dtype([("x", "<u2"), ("t", "<i8"), ("deep", "<f4", (2,))], align=True)
VALUES = {
    "bytes": np.arange(7, dtype=np.uint8),
    "big endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "truth": np.array([True, False]),
    "single": np.float64(2.5),
    "empty": np.zeros((0, 3), np.int16),
    "table": np.array([(1, 2, 1, 5), (3, 4, 0, 9)], EVENT),
    "padded table": np.zeros(3, PADDED),
    "no dimensions, a table": np.array((1, 2, 1, 5), EVENT),
    "pieces": np.random.default_rng(0).integers(0, 99, (3000, 1001)).astype(np.int32),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def unpacked(name, folder):
    target = folder / name
    target.write_bytes(gzip.decompress((DAMAGED / f"{name}.gz").read_bytes()))
    return target


@pytest.mark.parametrize("name", VALUES)
def test_numbers_come_as_h5py_reads_them(path, name):
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b", data=VALUES[name])
    with h5py.File(path) as ref, foreign_hdf5(path) as comp:
        ref, comp = ref["a/b"][()], comp.read("a/b")
    np.testing.assert_array_equal(comp, ref, strict=True)
    assert type(comp) is type(ref)


def test_texts_rows_and_attributes(path):
    with h5py.File(path, "w") as file:
        file["text"], file["fixed"] = "ä", np.bytes_("ab")
        file["texts"] = [["a", "b"], ["c", ""]]
        rows = file.create_dataset("rows", 2, h5py.vlen_dtype(np.float32))
        rows[0], rows[1] = [1, 2, 3], []
        file.attrs.update({"word": "ö", "fixed": np.bytes_("x"), "number": 3, "several": ["a", "b"]})
    with foreign_hdf5(path) as file:
        assert (file.read("text"), file.read("fixed")) == ("ä".encode(), b"ab")
        assert file.read("texts").tolist() == [[b"a", b"b"], [b"c", b""]]
        assert [file.row("rows", k).tolist() for k in (0, 1)] == [[1, 2, 3], []]
        want = {"word": "ö".encode(), "fixed": b"x", "number": 3, "several": [b"a", b"b"]}
        assert file.attributes() == want
        with pytest.raises(FormatError, match=r"file\.h5: rows: expected more than 2 rows, got 2"):
            file.row("rows", 2)
        with pytest.raises(FormatError, match=r"file\.h5: rows: expected .*texts|rows"):
            file.read("rows")


def test_a_tree(path):
    with h5py.File(path, "w") as file:
        file["node/a/weight"], file["node/a/type"], file["node/b"] = np.ones((2, 2)), "Linear", 3
        file.create_group("node/nothing")
    with foreign_hdf5(path) as file:
        found = file.tree("node")
        with pytest.raises(FormatError, match="node/b: expected a group, got a dataset"):
            file.tree("node/b")
    assert found["a"]["type"] == b"Linear"
    assert found["a"]["weight"].tolist() == [[1, 1], [1, 1]]
    assert (found["b"], found["nothing"]) == (3, {})


def test_what_is_there_and_what_is_not(path):
    with h5py.File(path, "w") as file:
        file["a/b"] = 1
        file["link"] = h5py.ExternalLink("other.h5", "a")
        file["dangling"] = h5py.SoftLink("/none")
    with foreign_hdf5(path) as file:
        assert [file.kind(key) for key in ("a", "a/b", "c", "a/c", "a/b/c")] == ["group", "dataset", *["nothing"] * 3]
        with pytest.raises(FormatError, match="c: expected a dataset, got nothing"):
            file.read("c")
        with pytest.raises(FormatError, match="link: expected a part of this file"):
            file.read("link")
        with pytest.raises(FormatError, match="not a whole HDF5 file"):
            file.kind("dangling")


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_file(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"file\.h5: not a whole HDF5 file"):
        foreign_hdf5(path).__enter__()
    path.unlink()
    with pytest.raises(FileError, match=r"file\.h5: expected an HDF5 file, got no such file"):
        foreign_hdf5(path).__enter__()


BOMBS = {
    "never written": {"shape": (3 * 10**9,), "chunks": (1 << 20,), "compression": "gzip"},
    "filled": {"shape": (3 * 10**9,), "fillvalue": 7, "chunks": (1 << 20,)},
    "a chunk": {"shape": (8,), "maxshape": (None,), "chunks": (1 << 31,)},
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_dataset_of_more_than_the_file_may_hold_is_refused_before_it_is_read(path, name, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", dtype="u1", **BOMBS[name])
    assert path.stat().st_size < 10_000
    with foreign_hdf5(path) as file:
        for read in (file.read, lambda key: file.tree("/"), lambda key: file.row(key, 0)):
            with pytest.raises(FormatError, match=rf"file\.h5: a.*: expected at most {LEAST:,} bytes.*{VARIABLE}"):
                read("a")


def test_the_option_lets_a_large_dataset_pass(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (LEAST + 1,), "u1", chunks=(1 << 20,))
    monkeypatch.setenv(VARIABLE, str(LEAST + 1))
    with foreign_hdf5(path) as file:
        assert file.read("a").shape == (LEAST + 1,)


def test_one_process_reads_many_files(path):
    with h5py.File(path, "w") as file:
        file["a"] = 1
    pids = set()
    for _ in range(5):
        with foreign_hdf5(path) as file:
            assert file.read("a") == 1
        pids.add(module._READER._process.pid)
    assert len(pids) == 1
    os.kill(pids.pop(), getattr(signal, "SIGKILL", signal.SIGTERM))
    module._READER._process.wait()
    with foreign_hdf5(path) as file:
        assert file.read("a") == 1


def test_an_interrupt_within_an_answer_leaves_no_rest_of_it(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.ones(9), np.zeros(9)

    def interrupted(*_):
        raise KeyboardInterrupt

    with foreign_hdf5(path) as file:
        with monkeypatch.context() as patch:
            patch.setattr(module._READER, "_array", interrupted)
            with pytest.raises(KeyboardInterrupt):
                file.read("a")
        assert file.read("b").tolist() == [0] * 9


def load_nir(path):
    pytest.importorskip("nir")
    from qpsnn_core.exchange.nir_import import load_nir

    return load_nir(path)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("prophesee_damaged_hangs.h5", lambda path: read_events(path, format="prophesee-h5")),
        ("dsec_damaged.h5", lambda path: read_events(path, format="dsec")),
        ("damaged_1.zip", lambda path: import_events(path, path.with_name("out"), format="n-mnist")),
        ("damaged_2.zip", lambda path: import_events(path, path.with_name("out"), format="n-mnist")),
        ("damaged_hangs.nir", load_nir),
        ("checkpoint_damaged_hangs.h5", load_checkpoint),
    ],
)
def test_damaged_files_are_refused_within_seconds(tmp_path, name, read):
    path, begun = unpacked(name, tmp_path), time.process_time()
    with pytest.raises(FormatError) as caught:
        read(path)
    assert str(caught.value).count(str(path)) == 1
    assert str(caught.value).startswith(str(path))
    assert time.process_time() - begun < 5
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["shd_damaged.h5", "shd_damaged_hangs.h5"])
def test_damaged_shd_is_refused_within_seconds(tmp_path, name):
    path = unpacked(name, tmp_path).rename(tmp_path / "shd_train.h5")
    with pytest.raises(FormatError, match=r"shd_train\.h5: not a whole HDF5 file"):
        import_events(path, tmp_path / "out", format="shd")
    assert os.listdir(tmp_path) == ["shd_train.h5"]
