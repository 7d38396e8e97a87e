"""Small checks of arguments and files that every module here shares."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from qpsnn_core.errors import ConfigError, FileError, Words, expected

CHUNK = 1 << 22


def whole(place: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`; ConfigError otherwise (a bool is not a number here)."""
    want = f"a whole number of at least {least}"
    if isinstance(value, bool):
        raise ConfigError(expected(place, want, value))
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the TypeError is the check
    except TypeError:
        raise ConfigError(expected(place, want, value)) from None
    if number < least:
        raise ConfigError(expected(place, want, number))
    return number


def number(place: str, value: object, low: float, high: float) -> float:
    """`value` if it is a number from `low` to `high`; ConfigError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(expected(place, f"a number from {low:g} to {high:g}", value))
    return value


def near(name: object, valid: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest name of a set, or nothing."""
    close = get_close_matches(str(name).lower(), list(valid), n=1, cutoff=0.4)
    return f" (did you mean {close[0]!r}?)" if close else ""


def existing(path: str | Path, what: str) -> Path:
    """The path of a file or folder that must be there; FileError names it otherwise."""
    found = Path(path).expanduser()
    if not found.exists():
        raise FileError(expected(str(found), what, Words("no such file or folder")))
    return found


def read_bytes(path: Path, what: str) -> bytes:
    """All bytes of a file; FileError names the file that is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileError(expected(str(path), what, Words("no such file"))) from error
    except OSError as error:
        raise FileError(expected(str(path), what, Words(error.strerror or str(error)))) from error


def read_up_to(file: BinaryIO, count: int) -> bytes:
    """At most `count` bytes, read in pieces: a false header asks for no memory that the file does not fill."""
    pieces: list[bytes] = []
    while count > 0 and (piece := file.read(min(count, CHUNK))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
