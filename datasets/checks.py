"""Small checks of files that every module here shares."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from qpsnn_core.common.errors import FileError, Unquoted, expected

CHUNK = 1 << 22


def existing(path: str | Path, what: str) -> Path:
    """The path of a file or folder that must be there; FileError names it otherwise."""
    found = Path(path).expanduser()
    if not found.exists():
        raise FileError(expected(str(found), what, Unquoted("no such file or folder")))
    return found


def read_bytes(path: Path, what: str) -> bytes:
    """All bytes of a file; FileError names the file that is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(expected(str(path), what, Unquoted("no such file"))) from error
    except OSError as error:
        raise FileError(expected(str(path), what, Unquoted(error.strerror or str(error)))) from error


def read_up_to(file: BinaryIO, count: int) -> bytes:
    """At most `count` bytes, read in pieces: a false header asks for no memory that the file does not fill."""
    pieces: list[bytes] = []
    while count > 0 and (piece := file.read(min(count, CHUNK))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
