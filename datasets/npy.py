"""Arrays in .npy files and .npz archives of others: a header must fit its file before memory is taken."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected
from qpsnn_core.common.foreign import RATIO, check_bytes

SUFFIX = ".npy"
MAGIC = np.lib.format.MAGIC_PREFIX


def read_array(opened: Callable[[], AbstractContextManager[IO[bytes]]], place: str, length: int) -> NDArray[Any]:
    """The array of a .npy file of `length` bytes. opened: opens it, for its first bytes, its header and all of it.

    Raises FormatError where the header claims other bytes than follow it; ValueError and others as NumPy does.
    """
    with opened() as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise FormatError(expected(place, "a .npy file", Unquoted("another beginning")))
    with opened() as file:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]  # NumPy gives it no types
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)  # type: ignore[no-untyped-call]  # NumPy gives it no types
        if dtype.hasobject:
            raise ValueError("it holds objects of Python")
        follow = length - file.tell()
    if math.prod(shape) * dtype.itemsize != follow:
        want = f"{follow} bytes, which follow its header"
        raise FormatError(expected(place, want, Unquoted(f"shape {list(shape)} of {dtype}")))
    with opened() as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))  # type: ignore[no-untyped-call]  # same


def entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of a .npz archive by the names of their arrays."""
    return {entry.filename.removesuffix(SUFFIX): entry for entry in archive.infolist()}


def read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: str, length: int, ratio: int = RATIO
) -> NDArray[Any]:
    """The array of one member of an archive of `length` bytes; FormatError where it unpacks to too much.

    ratio: how many times its packed bytes an array may take, as of `check_bytes`.
    """
    check_bytes(place, entry.file_size, min(entry.compress_size, length), ratio)
    return read_array(lambda: archive.open(entry), place, entry.file_size)
