"""Arrays larger than memory: maps of a file that is gone as soon as nobody refers to them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FileError, Unquoted, expected


@contextmanager
def mapped(shape: tuple[int, ...]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """(name of the file, uint8 zeros of `shape` in it); the name is gone when the block ends, the array stays.

    The file lies in the folder of temporary files (TMPDIR). Raises FileError where the disk has no room for it.
    """
    handle, name = tempfile.mkstemp(suffix=".images")
    try:
        os.close(handle)
        try:
            images: NDArray[np.uint8] = np.memmap(name, np.uint8, "w+", shape=shape)
        except OSError as error:
            want = f"room for {np.prod(shape, dtype=np.int64):,} bytes"
            raise FileError(expected(name, want, Unquoted(error.strerror or str(error)))) from error
        yield name, images
    finally:
        os.unlink(name)
