"""HDF5 files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py

from qpsnn_core.errors import FileError, FormatError, VersionError, expected


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[h5py.File]:
    """An HDF5 file to fill; it takes its place when the block ends well, and vanishes when it does not.

    It is built in memory and written at the end: HDF5 can end the whole process when a disk is full under it.
    Raises FileError when the disk is full or the folder cannot be written.
    """
    target = Path(path)
    temporary = None
    image = io.BytesIO()
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent or ".")
        with open(handle, "wb") as beside:
            with h5py.File(image, "w") as file:
                file.attrs["format"] = kind
                file.attrs["version"] = version
                yield file
            beside.write(image.getbuffer())
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
def reading(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[h5py.File]:
    """An open HDF5 file of this kind and version.

    Raises FileError (not there), FormatError (not HDF5, truncated, another kind, a part missing), VersionError.
    """
    target = Path(path)
    if not target.is_file():
        raise FileError(expected(str(target), f"a {kind} file", "no such file"))
    try:
        with h5py.File(target, "r") as file:
            found = file.attrs.get("format")
            if found != kind:
                raise FormatError(expected(f"{target}.format", repr(kind), repr(found)))
            if file.attrs.get("version") != version:
                raise VersionError(expected(f"{target}.version", version, file.attrs.get("version")))
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
        raise FileError(expected(str(target), "a file", "no such file"))
    try:
        with h5py.File(target, "r") as file:
            kind = file.attrs.get("format")
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{target}: not a whole HDF5 file: {error}") from error
    if not isinstance(kind, str):
        raise FormatError(expected(f"{target}.format", "the kind of a qpsnn file", "none"))
    return kind


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
