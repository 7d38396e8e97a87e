"""HDF5 files that are whole or not there: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

from qpsnn_core.common.atomic import replacing, write_all
from qpsnn_core.common.errors import FormatError, Unquoted, VersionError, expected
from qpsnn_core.common.file_kinds import HDF5, JSON, KINDS, NETX, NIR, RECIPE, STORE, TORCH, ZIP, wrong_kind
from qpsnn_core.common.foreign import check_bytes, existing_file, foreign
from qpsnn_core.common.foreign_hdf5 import foreign_hdf5
from qpsnn_core.common.types import Array

CACHE = 1 << 20

SIGNATURE = b"\x89HDF\r\n\x1a\n"

GROUPS = {"node": NIR, "layer": NETX}
"""What HDF5 files of others hold at their top, and so what they are."""

ENDINGS = {".toml": RECIPE, ".json": JSON, ".pt": TORCH, ".pth": TORCH}

PICKLE = b"/data.pkl"
"""In the name of the first part of a zip that PyTorch wrote."""


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


def _mark(file: h5py.File, kind: str, version: int) -> None:
    file.attrs["format"] = np.bytes_(kind)  # of fixed length: h5py can loop for ever on damaged others
    file.attrs["version"] = version


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], kind: str, version: int, *, cache: int | None = None) -> Iterator[h5py.File]:
    """An open HDF5 file of this kind and version. cache: bytes of a dataset's unpacked chunks; None: HDF5's own choice.

    Raises FileError (not there), FormatError (not HDF5, truncated, another kind, a part missing), VersionError.
    """
    target = existing_file(path, f"a {kind} file")
    check_file_kind(target, kind)
    with foreign(target, "HDF5 file"), h5py.File(target, "r", rdcc_nbytes=cache) as file:
        found = _attribute(file, "format")
        if found != kind.encode():
            raise FormatError(expected(f"{target}.format", repr(kind), repr(found)))
        if _attribute(file, "version") != version:
            raise VersionError(expected(f"{target}.version", version, _attribute(file, "version")))
        try:
            yield file
        except KeyError as error:
            raise FormatError(f"{target}: a part is missing: {error}") from error


def file_kind(path: str | os.PathLike[str]) -> str:
    """Which of KINDS a file is, by its contents and its name; "" where neither says it. FileError: it is not there."""
    target = existing_file(path, "a file")
    try:
        with target.open("rb") as stream:
            head = stream.read(256)
        if head.startswith(SIGNATURE):
            with h5py.File(target, "r") as file:
                kind = _attribute(file, "format")
                known = kind.decode("ascii", "replace") if isinstance(kind, bytes) else ""
                return known or next((one for group, one in GROUPS.items() if group in file), HDF5)
    except Exception:  # damaged: whoever reads it says how
        return ""
    if head.startswith(b"PK"):
        return TORCH if PICKLE in head else ZIP
    return ENDINGS.get(target.suffix.lower(), "")


def check_file_kind(path: str | os.PathLike[str], *wanted: str) -> None:
    """FormatError, with the command that makes the right one, where a file is of none of these KINDS but of another.

    One that is not there, or does not say what it is, passes: its reader says what is wrong.
    """
    came = file_kind(path) if os.path.isfile(path) else ""
    if came and came not in wanted and any(kind in KINDS for kind in wanted):
        raise wrong_kind(path, came, *wanted)


def check_recordings(path: str | os.PathLike[str]) -> None:
    """`check_file_kind` of what may be a store of recordings, or whatever others write them in."""
    if os.path.isfile(path):
        check_file_kind(path, STORE, HDF5, ZIP)


def kind_of(path: str | os.PathLike[str]) -> str:
    """The kind that a file says it is; FileError (not there), FormatError (not HDF5, or of no kind)."""
    target = existing_file(path, "a file")
    with foreign(target, "HDF5 file"), h5py.File(target, "r") as file:
        kind = _attribute(file, "format")
    if not isinstance(kind, bytes):
        raise FormatError(expected(f"{target}.format", "the kind of a qpsnn file", Unquoted("none")))
    return kind.decode("ascii", "replace")


def read_array(part: h5py.Dataset) -> Array:
    """All of a dataset of numbers; FormatError where it asks for more memory than such a file may."""
    file = part.file.filename
    length = os.path.getsize(file)
    for shape in (part.shape or (), part.chunks or ()):
        check_bytes(f"{file}: {part.name.lstrip('/')}", math.prod(shape) * part.dtype.itemsize, length)
    if part.dtype.hasobject:
        raise FormatError(expected(f"{file}: {part.name.lstrip('/')}", "numbers", Unquoted("other objects")))
    values: Array = np.asarray(part[()])
    return values


def read_text(file: h5py.File, name: str) -> str:
    """A dataset that is one text. Raises FormatError; KeyError where it is not there.

    Texts of any length, as older files have them, are read in a process of its own: HDF5 may loop for ever over them.
    """
    part = file[name]
    if not isinstance(part, h5py.Dataset) or part.shape != () or h5py.check_string_dtype(part.dtype) is None:
        raise FormatError(expected(f"{file.filename}: {name}", "a text", Unquoted(str(part))))
    if part.dtype.hasobject:
        with foreign_hdf5(file.filename) as other:
            content = other.read(name)
    else:
        content = read_array(part)[()]
    if not isinstance(content, bytes):
        raise FormatError(expected(f"{file.filename}: {name}", "a text", Unquoted(type(content).__name__)))
    return content.decode()


def text_attribute(file: h5py.File, name: str) -> str:
    """A text of the file's attributes, "" where there is none; read as `read_text` does."""
    if name not in file.attrs:
        return ""
    if not file.attrs.get_id(name).dtype.hasobject:
        value = _attribute(file, name)
        return value.decode("ascii", "replace") if isinstance(value, bytes) else ""
    with foreign_hdf5(file.filename) as other:
        found = other.attributes().get(name, b"")
    return found.decode("ascii", "replace") if isinstance(found, bytes) else ""


def _attribute(file: h5py.File, name: str) -> Any:
    """One value, None where it is not there, is an array, of no fixed length, or damaged."""
    try:
        if name not in file.attrs or file.attrs.get_id(name).dtype.hasobject:
            return None
        value = file.attrs.get(name)
        return value.item() if isinstance(value, np.generic) else value if isinstance(value, bytes) else None
    except (TypeError, ValueError):
        return None
