"""From the text of `--data` to a set: its name, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.file_kinds import STORE, wrong_kind
from qpsnn_core.common.hdf5 import check_recordings, kind_of
from qpsnn_core.common.serialization import did_you_mean

from .arrays import SUFFIX
from .events.writer import KIND
from .registry import NAMES

HDF5 = (".h5", ".hdf5")
FORMS = "NAME, NAME:PATH, a .npz file or a folder of .npy files, an HDF5 file of JPEGs or of recordings"


class Source(NamedTuple):
    """A set as a recipe names it: `name` of `load_data`, `path` of its folder or file, "" for none."""

    name: str
    path: str = ""


def source_of(text: str, path: str = "") -> Source:
    """The set that `NAME`, `NAME:PATH` or the path of a file means; `path`: of a set that is named alone.

    A file says what it is: `.npz`, or a folder of `.npy`, are arrays; HDF5 is a store of recordings, or JPEGs.
    Raises ConfigError (no such name, two paths), FileError (no such file), FormatError (a file that holds no set).
    """
    name, colon, rest = text.partition(":")
    if name in NAMES:
        if colon and path:
            raise ConfigError(expected("--data", f"one path of {name}", Unquoted(f"{rest} and {path}")))
        return Source(name, rest if colon else path)
    found = Path(text).expanduser()
    if not text or not (found.exists() or found.suffix in (SUFFIX, *HDF5)):
        if any(mark in text for mark in "/\\") or found.suffix:
            raise FileError(expected(f"--data: {text}", FORMS, Unquoted("no such file or folder")))
        want = f"{FORMS}; names are {', '.join(NAMES)}"
        raise ConfigError(expected("--data", want, text) + did_you_mean(text.lower(), NAMES))
    if path:
        raise ConfigError(expected("--data", "one path", Unquoted(f"{text} and {path}")))
    return Source(_kind(found), text)


def _kind(path: Path) -> str:
    """Which set a file or folder is."""
    if path.suffix == SUFFIX or (path.is_dir() and any(path.glob("*.npy"))):
        return "arrays"
    if path.suffix not in HDF5:
        check_recordings(path)
        want = "a .npz or HDF5 file, or a folder of .npy files; other sets as NAME:PATH"
        raise FormatError(expected(str(path), want, Unquoted("another file" if path.is_file() else "another folder")))
    try:
        kind = kind_of(path)
    except FormatError:
        return "jpeg"  # its reader says what is wrong with it
    if kind != KIND:
        raise wrong_kind(path, kind, STORE)
    return "events"
