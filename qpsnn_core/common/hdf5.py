"""HDF5 files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import h5py
import numpy as np

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, VersionError, expected

CACHE = 1 << 20


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[h5py.File]:
    """An HDF5 file to fill; it takes its place when the block ends well, and vanishes when it does not.

    It is built in memory and written at the end: HDF5 can end the whole process when a disk is full under it.
    Raises FileError when the disk is full or the folder cannot be written.
    """
    image = io.BytesIO()
    with replacing(path) as beside:
        with h5py.File(image, "w") as file:
            _mark(file, kind, version)
            yield file
        write_all(beside, image.getbuffer())


@contextlib.contextmanager
def streaming(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[tuple[h5py.File, Sink]]:
    """`writing` for what is larger than memory: it goes to the disk, beside its place, while it is made.

    Call the sink's `check` now and then, so that a full disk is found early; it is found at the end in any case.
    HDF5's own structures carry checksums (its format of 1.10); its cache of chunks is small, so write whole chunks.
    """
    with replacing(path) as beside:
        sink = Sink(beside)
        with h5py.File(sink, "w", libver=("v110", "v110"), rdcc_nbytes=CACHE) as file:
            _mark(file, kind, version)
            yield file, sink
        sink.check()


class Sink(io.RawIOBase):
    """A file for HDF5 to write to. It keeps an error of the disk to itself until `check`, and writes no more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first OSError that writing met."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """All of `data`, or nothing more once the disk has failed."""
        view = memoryview(data).cast("B")
        try:
            if self._error is None:
                write_all(self._file, view)
        except OSError as error:
            self._error = error
        return len(view)

    def readinto(self, data: Any) -> int:
        """What is there, and zeros where the disk failed before."""
        view = memoryview(data).cast("B")
        read = self._file.readinto(view)  # type: ignore[attr-defined]  # an unbuffered file has it
        view[read:] = bytes(len(view) - read)
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file does."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """As a file does, unless the disk has failed."""
        try:
            if self._error is None:
                self._file.truncate(size)
        except OSError as error:
            self._error = error
        return self.tell() if size is None else size

    def readable(self) -> bool:
        """HDF5 reads again what it wrote."""
        return True

    def writable(self) -> bool:
        """It does."""
        return True

    def seekable(self) -> bool:
        """It does."""
        return True


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to fill, unbuffered; it takes its place when the block ends well, and vanishes when it does not.

    `write_all` fills it: a single `write` may take a part. Raises FileError: a full disk, no such folder.
    """
    target, temporary = Path(path), None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent or ".")
        with open(handle, "w+b", buffering=0) as beside:
            yield cast(BinaryIO, beside)
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


def write_all(file: BinaryIO, data: memoryview) -> None:
    """All of it: a full disk takes a part first, and says so at the next attempt."""
    while len(data):
        data = data[file.write(data) :]


def save_json(path: str | os.PathLike[str], contents: Any) -> None:
    """Plain data as JSON in UTF-8; FileError as `replacing`."""
    with replacing(path) as beside:
        write_all(beside, memoryview((json.dumps(contents, indent=1) + "\n").encode()))


def _mark(file: h5py.File, kind: str, version: int) -> None:
    file.attrs["format"] = np.bytes_(kind)  # of fixed length: h5py can loop for ever on damaged others
    file.attrs["version"] = version


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], kind: str, version: int, *, cache: int | None = None) -> Iterator[h5py.File]:
    """An open HDF5 file of this kind and version. cache: bytes of a dataset's unpacked chunks; None: HDF5's own choice.

    Raises FileError (not there), FormatError (not HDF5, truncated, another kind, a part missing), VersionError.
    """
    target = Path(path)
    if not target.is_file():
        raise FileError(expected(str(target), f"a {kind} file", Unquoted("no such file")))
    try:
        with h5py.File(target, "r", rdcc_nbytes=cache) as file:
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
        raise FileError(expected(str(target), "a file", Unquoted("no such file")))
    try:
        with h5py.File(target, "r") as file:
            kind = _attribute(file, "format")
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{target}: not a whole HDF5 file: {error}") from error
    if not isinstance(kind, bytes):
        raise FormatError(expected(f"{target}.format", "the kind of a qpsnn file", Unquoted("none")))
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
