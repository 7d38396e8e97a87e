"""HDF5 files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from qpsnn_core.errors import FileError, FormatError, VersionError, Words, expected


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to fill; it takes its place when the block ends well, and vanishes when it does not.

    Raises FileError when the disk is full or the folder cannot be written.
    """
    target = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent or ".")
        with open(handle, "wb") as beside:
            yield beside
            beside.flush()
            os.fsync(beside.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{target}: cannot be written: {error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[h5py.File]:
    """An HDF5 file to fill; it takes its place when the block ends well, and vanishes when it does not.

    It is built in memory and written at the end: HDF5 can end the whole process when a disk is full under it.
    Raises FileError when the disk is full or the folder cannot be written.
    """
    image = io.BytesIO()
    with replacing(path) as beside:
        with h5py.File(image, "w") as file:
            file.attrs["format"] = np.bytes_(kind)  # of fixed length: h5py can loop for ever on damaged others
            file.attrs["version"] = version
            yield file
        beside.write(image.getbuffer())


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[h5py.File]:
    """An open HDF5 file of this kind and version.

    Raises FileError (not there), FormatError (not HDF5, truncated, another kind, a part missing), VersionError.
    """
    target = Path(path)
    if not target.is_file():
        raise FileError(expected(str(target), f"a {kind} file", Words("no such file")))
    try:
        with h5py.File(target, "r") as file:
            found = _attribute(file, "format")
            if found != kind.encode():
                raise FormatError(expected(f"{target}.format", repr(kind), repr(found)))
            if _attribute(file, "version") != version:
                raise VersionError(expected(f"{target}.version", version, _attribute(file, "version")))
            yield file
    except FileError:
        raise
    except KeyError as error:
        raise FormatError(f"{target}: a part is missing: {error}") from error
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{target}: not a whole HDF5 file: {error}") from error


def kind_of(path: str | os.PathLike[str]) -> str:
    """The kind that a file says it is; FileError (not there), FormatError (not HDF5, or of no kind)."""
    target = Path(path)
    if not target.is_file():
        raise FileError(expected(str(target), "a file", Words("no such file")))
    try:
        with h5py.File(target, "r") as file:
            kind = _attribute(file, "format")
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{target}: not a whole HDF5 file: {error}") from error
    if not isinstance(kind, bytes):
        raise FormatError(expected(f"{target}.format", "the kind of a qpsnn file", Words("none")))
    return kind.decode("ascii", "replace")


def _attribute(file: h5py.File, name: str) -> Any:
    """One value, None where it is not there, is an array, or is damaged."""
    try:
        value = file.attrs.get(name)
        return value.item() if isinstance(value, np.generic) else value if isinstance(value, bytes) else None
    except (TypeError, ValueError):
        return None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
