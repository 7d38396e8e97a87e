"""Files that are whole or not there: written beside their place and renamed; what killed saves left is removed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from qpsnn_core.common.errors import FileError, Unquoted, expected

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # where there are no locks, age decides

LEFT_AFTER = 86400
"""Seconds after which a temporary file is nobody's, on a system without locks."""

LOCK = ".lock"

UNFINISHED = ".unfinished"
"""How the name of a temporary file ends, so that no file of the user's is taken for one."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to fill, unbuffered; it takes its place when the block ends well, and vanishes when it does not.

    `write_all` fills it: a single `write` may take a part. While it is filled it is locked: a temporary file of this
    name that nobody locks was left by a save that was killed, and is removed first. Raises FileError: a full disk, no
    such folder.
    """
    target, temporary = Path(path), None
    try:
        folder, prefix = target.parent, f".{target.name}."
        sweep(folder, prefix, UNFINISHED)
        handle, temporary = _locked(folder, prefix, UNFINISHED)
        with open(handle, "w+b", buffering=0) as beside:
            yield cast(BinaryIO, beside)
            os.fsync(beside.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            if fcntl is not None:  # while it is locked
                os.replace(temporary, target)
        if fcntl is None:  # no open file can be renamed there
            os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made where it is not there yet. FileError where it cannot be."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            expected(str(folder), "a folder to write to", Unquoted(error.strerror or str(error)))
        ) from error
    return folder


def write_all(file: BinaryIO, data: memoryview) -> None:
    """All of it: a full disk takes a part first, and says so at the next attempt."""
    while len(data):
        data = data[file.write(data) :]


def save_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Bytes as a file, whole or not at all; FileError as `replacing`."""
    with replacing(path) as beside:
        write_all(beside, memoryview(data))


def save_json(path: str | os.PathLike[str], contents: Any) -> None:
    """Plain data as JSON in UTF-8; FileError as `replacing`."""
    save_bytes(path, (json.dumps(contents, indent=1) + "\n").encode())


@contextlib.contextmanager
def scratch_file(prefix: str, suffix: str) -> Iterator[str]:
    """The name of an empty file in the folder of temporary files, gone when the block ends; sweeps as `replacing`."""
    folder = Path(tempfile.gettempdir())
    sweep(folder, prefix, suffix)
    handle, name = _locked(folder, prefix, suffix)
    try:
        with open(handle, "r+b", buffering=0):
            yield name
    finally:
        os.unlink(name)


@contextlib.contextmanager
def scratch_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `folder`, gone when the block ends; those that killed processes left are removed first."""
    sweep(folder, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as name, open(Path(name) / LOCK, "wb") as lock:
        _lock(lock.fileno(), wait=True)
        yield Path(name)


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep other processes from this block, as long as it runs in the same folder. FileError: one is in it.

    Where the system or the folder has no locks nobody is kept out.
    """
    handle = _sole_lock(folder)
    try:
        yield
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink()
            os.close(handle)


def _sole_lock(folder: Path) -> int | None:
    """The lock of a folder, in a file that is still there once it is locked."""
    while fcntl is not None:
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise FileError(f"{folder}: cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            want = "a folder in which no other process writes"
            raise FileError(expected(str(folder), want, Unquoted("one in which another does"))) from error
        except OSError:  # a file system without locks
            return handle
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)
    return None


def sweep(folder: Path, prefix: str, suffix: str = "") -> None:
    """Remove the temporary files and folders that begin and end so, and that no process is filling."""
    pattern = re.compile(rf"{re.escape(prefix)}[a-z0-9_]{{8}}{re.escape(suffix)}")  # as tempfile names them
    try:
        found = [entry for entry in os.scandir(folder) if pattern.fullmatch(entry.name)]
    except OSError:  # no such folder: whoever writes there says so
        return
    for entry in found:
        with contextlib.suppress(OSError):  # another process removed it, or it is not ours to remove
            if entry.is_dir(follow_symlinks=False):
                lock = Path(entry.path) / LOCK
                if _is_left(lock if lock.exists() else Path(entry.path)):
                    shutil.rmtree(entry.path)
            elif entry.is_file(follow_symlinks=False):
                _is_left(Path(entry.path), remove=True)


def _is_left(path: Path, *, remove: bool = False) -> bool:
    """Whether nobody has locked the file; if so it is removed, on request, before anyone can lock it."""
    if fcntl is None or path.is_dir():
        left = time.time() - path.stat().st_mtime > LEFT_AFTER
        if left and remove:
            path.unlink()
        return left
    with path.open("rb") as file:
        if not _lock(file.fileno(), wait=False):
            return False
        if remove:
            path.unlink()
    return True


def _locked(folder: Path, prefix: str, suffix: str = "") -> tuple[int, str]:
    """A new, locked file that is still there: another process may remove it before it is locked."""
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
        _lock(handle, wait=True)
        if fcntl is None or os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed; False where another process has (or may have) it."""
    if fcntl is None:
        return wait
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # taken, or a file system without locks
        return False
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
