"""Small checks of files that every module here shares."""

from __future__ import annotations

from pathlib import Path

from qpsnn_core.common.errors import FileError, Unquoted, expected


def existing(path: str | Path, what: str) -> Path:
    """The path of a file or folder that must be there; FileError names it otherwise."""
    found = Path(path).expanduser()
    try:
        there = found.exists()
    except OSError as error:
        raise FileError(expected(str(found), what, Unquoted(error.strerror or str(error)))) from error
    if not there:
        raise FileError(expected(str(found), what, Unquoted("no such file or folder")))
    return found
