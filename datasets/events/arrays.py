"""Events in NumPy's own structured arrays, as tonic and most readers give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.errors import FileError, FormatError, Words, expected

from .recording import FIELDS, UNLABELLED, Recording


def from_structured(
    array: NDArray[Any], sensor: tuple[int, int], *, label: int = UNLABELLED, name: str = "events"
) -> Recording:
    """A recording from a structured array `[N]` with the fields x, y, t (microseconds) and p (0 or 1), in any order.

    Raises FormatError (other fields), and DataError as Recording does.
    """
    if not isinstance(array, np.ndarray) or array.dtype.names is None or not set(FIELDS) <= set(array.dtype.names):
        got = f"fields {array.dtype.names}" if isinstance(array, np.ndarray) else type(array).__name__
        raise FormatError(expected(name, "a structured array with the fields x, y, t, p", Words(got)))
    return Recording(**{field: array[field] for field in FIELDS}, sensor=sensor, label=label, name=name)


def read_npy(path: str | Path, sensor: tuple[int, int]) -> Recording:
    """A recording from a .npy file of a structured array; FileError, FormatError, and what `from_structured` raises."""
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise FileError(expected(str(path), "a .npy file", Words("no such file"))) from error
    except (ValueError, EOFError) as error:
        raise FormatError(expected(str(path), "a .npy file of a structured array", Words(error))) from error
    except OSError as error:
        raise FileError(expected(str(path), "a readable .npy file", Words(error.strerror or str(error)))) from error
    return from_structured(array, sensor, name=str(path))
