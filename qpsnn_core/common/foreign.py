"""Files that others made: how much memory their contents may take, and every fault of a library as a typed error."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, QpsnnError, Unquoted, expected

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEAST = 64 << 20
"""Bytes that any file may unpack to."""

RATIO = 16
"""Or so many times its own length: events, images and weights pack 2 to 8 times."""

VARIABLE = "QPSNN_MAX_BYTES"
"""The variable of the environment that raises both."""

CHUNK = 1 << 22

UNREADABLE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a path, not of a file's contents."""


@contextlib.contextmanager
def foreign(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Whatever a library raises while it reads `path` becomes FileError or FormatError with that path in front.

    kind: what the file should be, such as "zip archive". FileError: missing or unreadable. FormatError: everything
    else, which damaged files raise in a dozen ways. Errors of qpsnn pass through.
    """
    place = os.fspath(path)
    try:
        yield
    except QpsnnError:
        raise
    except FileNotFoundError as error:
        raise FileError(expected(place, f"a {kind}", Unquoted("no such file"))) from error
    except MemoryError as error:
        raise FormatError(f"{place}: not a whole {kind}: it asks for more memory than there is") from error
    except RecursionError as error:
        raise FormatError(f"{place}: not a whole {kind}: nested too deep") from error
    except OSError as error:
        if error.errno in UNREADABLE or error.errno == errno.EIO:
            raise FileError(f"{place}: cannot be read: {error.strerror or error}") from error
        raise FormatError(f"{place}: not a whole {kind}: {error}") from error
    except Exception as error:  # zipfile, zlib, NumPy, Pillow, h5py: KeyError, struct.error, NotImplementedError, ...
        said = str(error) or type(error).__name__
        raise FormatError(f"{place}: not a whole {kind}: {said}") from error


def existing_file(path: str | os.PathLike[str], what: str) -> Path:
    """The path of a file that is there; FileError names it otherwise."""
    target = Path(path)
    try:
        found = target.is_file()
    except OSError as error:
        raise FileError(expected(str(target), what, Unquoted(error.strerror or str(error)))) from error
    if not found:
        raise FileError(expected(str(target), what, Unquoted("no such file")))
    return target


def most_bytes(length: int, ratio: int = RATIO) -> int:
    """How many bytes the contents of a file of `length` bytes may take in memory. ConfigError: a wrong VARIABLE."""
    return max(LEAST, ratio * length, raised_bytes())


def raised_bytes() -> int:
    """The bytes that VARIABLE allows, 0 where it is not set. ConfigError: it is no number."""
    given = os.environ.get(VARIABLE, "")
    if given and not (given.isascii() and given.isdecimal() and len(given) < 20):
        raise ConfigError(expected(VARIABLE, "a number of bytes", given))
    return int(given or 0)


def check_bytes(place: str, size: int, length: int, ratio: int = RATIO) -> None:
    """FormatError where `size` bytes are more than a file of `length` bytes may unpack to; ratio: of its format."""
    most = most_bytes(length, ratio)
    if size > most:
        want = f"at most {most:,} bytes unpacked ({LEAST >> 20} MiB, or {ratio} times the file; {VARIABLE} raises it)"
        raise FormatError(expected(place, want, Unquoted(f"{size:,}")))


def read_bytes(path: Path, what: str) -> bytes:
    """All bytes of a file; FileError names the file that is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(expected(str(path), what, Unquoted("no such file"))) from error
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise FileError(expected(str(path), what, Unquoted(getattr(error, "strerror", None) or str(error)))) from error


def read_up_to(file: BinaryIO, count: int) -> bytes:
    """At most `count` bytes, read in pieces: a false header asks for no memory that the file does not fill."""
    pieces: list[bytes] = []
    while count > 0 and (piece := file.read(min(count, CHUNK))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def read_unpacked(file: BinaryIO, place: str, length: int) -> bytes:
    """All of a stream that unpacks a file of `length` bytes; FormatError where that is too much, before it is taken."""
    most = most_bytes(length)
    data = read_up_to(file, most + 1)
    check_bytes(place, len(data), length)
    return data


def read_maybe_gzip(path: Path, what: str) -> bytes:
    """All bytes of a file, unpacked where its name ends in .gz. Raises FileError, FormatError."""
    if path.suffix != ".gz":
        return read_bytes(path, what)
    with foreign(path, "gzip file"), gzip.open(path, "rb") as file:
        return read_unpacked(file, str(path), path.stat().st_size)  # type: ignore[arg-type]  # GzipFile reads bytes


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file. FileError (cannot be read), ConfigError (not TOML)."""
    data = read_bytes(Path(path), "a TOML file")
    try:
        return tomllib.loads(data.decode())
    except RecursionError as error:
        raise ConfigError(f"{os.fspath(path)}: not TOML: nested too deep") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"{os.fspath(path)}: not TOML: {error}") from error
