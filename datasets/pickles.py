"""Reads pickles of plain data without running anything that they name.

The one thing a pickle may call is a stand-in for the few NumPy functions with which arrays are written; a stand-in
only notes what it was given, and the array is built here afterwards, from checked bytes. Everything else is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected

_ALLOWED = {
    "numpy.ndarray": "type",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "empty",
    "numpy._core.multiarray._reconstruct": "empty",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",
}
MAX_DEPTH = 3  # a dict of lists of values is all that is needed
_INTEGER = re.compile("[iu][1248]")


def read_pickle(data: bytes, path: Path) -> Any:
    """The lists, dicts, bytes, strings, numbers and integer arrays that a pickle holds; Python 2's strings as bytes.

    Raises FormatError when it holds anything else (which is not run), or is damaged.
    """
    try:
        return _finished(_Reader(io.BytesIO(data), encoding="bytes").load(), 0)
    except Exception as error:  # a damaged pickle raises almost any exception
        want = "a pickle of arrays, bytes, lists and dicts"
        raise FormatError(expected(str(path), want, Unquoted(f"{type(error).__name__}: {error}"))) from error


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        kind = _ALLOWED.get(f"{module}.{name}")
        if kind is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")
        return _StandIn(kind)


class _StandIn:
    """Called in place of a NumPy function or type; made anew each time, so a pickle cannot alter the next one."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, *args: Any) -> Any:
        if self.kind == "dtype":
            return _DType(_text(args[0]))
        if self.kind == "empty":
            return _Array()
        if self.kind == "frombuffer":
            data, dtype, shape, order = args
            if not isinstance(data, (bytes, bytearray)):
                raise pickle.UnpicklingError("an array of no proper contents")
            array = _Array()
            array.fields = (bytes(data), dtype, shape, _text(order) == "F")
            return array
        if self.kind == "encode":
            text, encoding = args
            if isinstance(text, str) and encoding in ("latin1", b"latin1"):
                return text.encode("latin1")
        raise pickle.UnpicklingError(f"a call of {self.kind} is refused")


class _DType:
    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _Array:
    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: tuple[Any, Any, Any, bool] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.fields = (data, dtype, shape, bool(fortran))


def _array(noted: _Array) -> NDArray[Any]:
    if noted.fields is None:
        raise pickle.UnpicklingError("an array without contents")
    data, dtype, shape, fortran = noted.fields
    if not isinstance(dtype, _DType) or not _INTEGER.fullmatch(dtype.code) or dtype.order not in ("<", ">", "|", "="):
        raise pickle.UnpicklingError("an array that does not hold integers")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or type(data) is not bytes:
        raise pickle.UnpicklingError("an array of no proper shape or contents")
    real = np.dtype(dtype.order.replace("|", "=") + dtype.code)
    if len(data) != math.prod(shape) * real.itemsize:
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(data)} bytes")
    return np.frombuffer(data, dtype=real).reshape(shape, order="F" if fortran else "C")


def _finished(value: Any, depth: int) -> Any:
    """`value` with the noted arrays built; only plain data passes."""
    if depth > MAX_DEPTH:
        raise pickle.UnpicklingError(f"data nested more than {MAX_DEPTH} deep")
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, dict):
        return {_finished(key, depth + 1): _finished(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(item, depth + 1) for item in value)
    if value is None or type(value) in (bytes, str, int, float, bool):
        return value
    raise pickle.UnpicklingError(f"a {type(value).__name__.lstrip('_')} is refused")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, str):
        return value
    raise pickle.UnpicklingError(f"a {type(value).__name__} where text must be")
