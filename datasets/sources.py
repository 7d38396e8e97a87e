"""From the text of `--data` to a set: its name, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.file_kinds import DATASET, STORE, wrong_kind
from qpsnn_core.common.hdf5 import check_recordings, kind_of
from qpsnn_core.common.serialization import did_you_mean

from . import npy
from .arrays import SUFFIX
from .events.writer import KIND
from .image_folder import LIST
from .pictures import ENDINGS
from .registry import FILE_READERS, NAMES

HDF5 = (".h5", ".hdf5")
FORMS = (
    "NAME, NAME:PATH, a .npz or .npy file or a folder of .npy files, a folder of pictures or a .csv that lists them, "
    "an HDF5 file of a data set, of JPEGs or of recordings"
)
FILES = (SUFFIX, npy.SUFFIX, ".csv", *HDF5)


class Source(NamedTuple):
    """A set as a recipe names it: `name` of `load_data`, `path` of its folder or file, "" for none."""

    name: str
    path: str = ""


def source_of(text: str, path: str = "") -> Source:
    """The set that `NAME`, `NAME:PATH` or the path of a file means; `path`: of a set that is named alone.

    A file says what it is: `.npz`, `.npy`, or a folder of `.npy`, are arrays; any other folder that has folders or
    labels.csv, and a `.csv`, are pictures; HDF5 is a data set of ours, a store of recordings, or JPEGs.
    Raises ConfigError (no such name, two paths), FileError (no such file), FormatError (a file that holds no set).
    """
    name, colon, rest = text.partition(":")
    alone = not colon and not path and name in FILE_READERS and Path(text).exists()  # a folder that is called "folder"
    if name in NAMES and not alone:
        if colon and path:
            raise ConfigError(expected("--data", f"one path of {name}", Unquoted(f"{rest} and {path}")))
        return Source(name, rest if colon else path)
    found = Path(text).expanduser()
    if not text or not (found.exists() or found.suffix in FILES):
        if any(mark in text for mark in "/\\") or found.suffix:
            raise FileError(expected(f"--data: {text}", FORMS, Unquoted("no such file or folder")))
        want = f"{FORMS}; names are {', '.join(NAMES)}"
        raise ConfigError(expected("--data", want, text) + did_you_mean(text.lower(), NAMES))
    if path:
        raise ConfigError(expected("--data", "one path", Unquoted(f"{text} and {path}")))
    return Source(_kind(found), text)


def _kind(path: Path) -> str:
    """Which set a file or folder is."""
    if path.suffix in (SUFFIX, npy.SUFFIX) or (path.is_dir() and any(path.glob(f"*{npy.SUFFIX}"))):
        return "arrays"
    if path.suffix == ".csv" or (path.is_dir() and _of_pictures(path)):
        return "folder"
    if path.suffix not in HDF5:
        check_recordings(path)
        want = "a .npz or HDF5 file, a folder of .npy files or of pictures; other sets as NAME:PATH"
        raise FormatError(expected(str(path), want, Unquoted("another file" if path.is_file() else "another folder")))
    try:
        kind = kind_of(path)
    except FormatError:
        return "jpeg"  # its reader says what is wrong with it
    if kind == DATASET:
        return "saved"
    if kind != KIND:
        raise wrong_kind(path, kind, STORE)
    return "events"


def _of_pictures(path: Path) -> bool:
    """Whether a folder lists pictures, or has some one or two folders below it."""
    files = (file for depth in ("*/*", "*/*/*") for file in path.glob(depth))
    return (path / LIST).is_file() or any(file.suffix.lower() in ENDINGS for file in files)
