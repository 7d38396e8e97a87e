"""A save is whole or not there, and removes what killed ones left, but not what another is writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from qpsnn_core.common import atomic
from qpsnn_core.common.atomic import (
    replacing,
    save_bytes,
    save_json,
    scratch_file,
    scratch_folder,
    sweep,
    writable_folder,
)
from qpsnn_core.common.errors import FileError

WRITER = """
import sys, time
from qpsnn_core.common.atomic import replacing, scratch_folder, write_all
from pathlib import Path
made = replacing(sys.argv[1]) if sys.argv[2] == "file" else scratch_folder(Path(sys.argv[1]).parent, ".unpacking-")
with made as beside:
    if sys.argv[2] == "file":
        write_all(beside, memoryview(b"half"))
    else:
        (beside / "half").write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def writing(path, what="file"):
    words = [sys.executable, "-c", WRITER, str(path), what]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"writing"
    return process


def end(process, how=None):
    if how is not None:
        process.send_signal(how)
    process.communicate()


needs_locks = pytest.mark.skipif(atomic.fcntl is None, reason="locks files as Unix does")


@needs_locks
def test_the_next_save_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "run.h5"
    save_bytes(path, b"old")
    for _ in range(2):
        end(writing(path), signal.SIGKILL)
    assert len(os.listdir(tmp_path)) == 2  # the second removed what the first left
    assert path.read_bytes() == b"old"
    save_json(path, 1)
    assert os.listdir(tmp_path) == ["run.h5"]


@needs_locks
def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / "run.h5"
    other = writing(path)
    save_bytes(path, b"ours")
    assert len(os.listdir(tmp_path)) == 2
    end(other)
    assert other.returncode == 0
    assert path.read_bytes() == b"half"
    assert os.listdir(tmp_path) == ["run.h5"]


def test_other_files_stay(tmp_path):
    end = atomic.UNFINISHED
    likely = [".run.h5.abcdefghi", "run.h5.abcdefgh", ".other.h5.abcdefgh", ".run.h5.ABCDEFGH"]
    names = [".run.h5.backup", ".run.h5.abcdefgh", *(f"{name}{end}" for name in likely)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f".run.h5.abcdefgh{end}").write_bytes(b"left")
    os.utime(tmp_path / f".run.h5.abcdefgh{end}", (0, 0))
    save_bytes(tmp_path / "run.h5", b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "run.h5"])


def test_without_locks_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    for name, age in ((".a.oooooooo.unfinished", 10**6), (".a.nnnnnnnn.unfinished", 10)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    save_bytes(tmp_path / "a", b"new")
    assert sorted(os.listdir(tmp_path)) == [".a.nnnnnnnn.unfinished", "a"]
    assert (tmp_path / "a").read_bytes() == b"new"


@needs_locks
def test_a_file_that_is_swept_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    made = atomic.tempfile.mkstemp
    swept = []

    def raced(**settings):
        handle, name = made(**settings)
        if not swept:
            swept.append(name)
            sweep(tmp_path, ".a.")
        return handle, name

    monkeypatch.setattr(atomic.tempfile, "mkstemp", raced)
    save_bytes(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(swept) == 1


@needs_locks
def test_folders_and_scratch_files_are_swept_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    end(writing(tmp_path / "x", "folder"), signal.SIGKILL)
    other = writing(tmp_path / "x", "folder")
    assert len(os.listdir(tmp_path)) == 1
    with scratch_folder(tmp_path, ".unpacking-") as mine:
        assert len(os.listdir(tmp_path)) == 2
        (mine / "file").touch()
    end(other)
    assert os.listdir(tmp_path) == []
    (tmp_path / "qpsnn-leftover.gif").touch()
    with scratch_file("qpsnn-", ".gif") as name:
        assert os.listdir(tmp_path) == [os.path.basename(name)]
    assert os.listdir(tmp_path) == []


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    def fail():
        with replacing(tmp_path / "a") as beside:
            beside.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_hidden_file_of_the_users_stays(tmp_path):
    """Names that a temporary file might have, but for its end."""
    mine = [tmp_path / name for name in (".a.h5.metadata", ".a.h5.settings", ".a.h5.abcdefgh")]
    for path in mine:
        path.write_bytes(b"")
    save_bytes(tmp_path / "a.h5", b"x")
    assert all(path.exists() for path in mine)


@pytest.mark.parametrize("name", ["none/a.h5", "file/a.h5", "folder"])
def test_an_error_names_the_users_file_and_no_temporary_one(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="cannot be written") as caught:
        save_bytes(tmp_path / name, b"x")
    assert "unfinished" not in str(caught.value)
    assert str(caught.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize("name", ["file", "file/more"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=f"{name}: expected a folder to write to"):
        writable_folder(tmp_path / name)
