"""Reads pickles of plain data without running anything that they name.

The one thing a pickle may call is a stand-in for the few NumPy functions with which arrays are written; a stand-in
only notes what it was given, and the array is built here afterwards, from checked bytes. Everything else is refused.
What is built may not be much more than the pickle: a list that holds one list many times is counted as often.
"""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from .pickle_machine import Machine

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
LEAST, FACTOR = 1 << 16, 4
"""What is built may be so many values and bytes, and for each byte of the pickle so many more."""

SHORT = 64
"""Bytes of a key, which must be there at once."""

_INTEGER = re.compile("[iu][1248]")


def read_pickle(data: bytes, path: Path) -> Any:
    """The lists, dicts, bytes, strings, numbers and integer arrays that a pickle holds; Python 2's strings as bytes.

    Raises FormatError when it holds anything else (which is not run), or is damaged.
    """
    try:
        return _Finish(len(data)).value(Machine(data, _find).run(), 0)
    except Exception as error:  # a damaged pickle raises almost any exception
        want = "a pickle of arrays, bytes, lists and dicts"
        raise FormatError(expected(str(path), want, Unquoted(f"{type(error).__name__}: {error}"))) from error


def _find(module: str, name: str) -> _StandIn:
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
            array.fields = (data, dtype, shape, _text(order) == "F")
            return array
        if self.kind == "encode":
            text, encoding = args
            if isinstance(text, str) and encoding in ("latin1", b"latin1"):
                return text.encode("latin1") if len(text) <= SHORT else _Encoded(text)
        raise pickle.UnpicklingError(f"a call of {self.kind} is refused")


class _Encoded:
    """Many bytes that are a text until they are asked for, so that a text told to encode many times is held once."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _DType:
    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def set_state(self, state: Any) -> None:
        self.order = _text(state[1])


class _Array:
    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: tuple[Any, Any, Any, bool] | None = None

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.fields = (data, dtype, shape, bool(fortran))


class _Finish:
    """Builds the noted arrays and bytes of a pickle of `length` bytes; only plain data passes."""

    def __init__(self, length: int) -> None:
        self._left = LEAST + FACTOR * length

    def value(self, value: Any, depth: int) -> Any:
        """`value` as plain data; UnpicklingError where it is none, or more than there is room for."""
        if depth > MAX_DEPTH:
            raise pickle.UnpicklingError(f"data nested more than {MAX_DEPTH} deep")
        self._spend(1)
        if isinstance(value, _Array):
            return self._array(value)
        if isinstance(value, _Encoded):
            return self._bytes(value)
        if isinstance(value, dict):
            return {self.value(key, depth + 1): self.value(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item, depth + 1) for item in value)
        if value is None or type(value) in (bytes, str, int, float, bool):
            return value
        raise pickle.UnpicklingError(f"a {type(value).__name__.lstrip('_')} is refused")

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise pickle.UnpicklingError("far more data than the file is long: parts of it are used again and again")

    def _bytes(self, noted: _Encoded) -> bytes:
        self._spend(len(noted.text))
        return noted.text.encode("latin1")

    def _array(self, noted: _Array) -> NDArray[Any]:
        if noted.fields is None:
            raise pickle.UnpicklingError("an array without contents")
        data, dtype, shape, fortran = noted.fields
        if (
            not isinstance(dtype, _DType)
            or not _INTEGER.fullmatch(dtype.code)
            or dtype.order not in ("<", ">", "|", "=")
        ):
            raise pickle.UnpicklingError("an array that does not hold integers")
        if isinstance(data, _Encoded):
            data = self._bytes(data)
        whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not whole or type(data) not in (bytes, bytearray):
            raise pickle.UnpicklingError("an array of no proper shape or contents")
        real = np.dtype(dtype.order.replace("|", "=") + dtype.code)
        if len(data) != math.prod(shape) * real.itemsize:
            raise pickle.UnpicklingError(f"an array of shape {shape} with {len(data)} bytes")
        return np.frombuffer(data, dtype=real).reshape(shape, order="F" if fortran else "C")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, str):
        return value
    raise pickle.UnpicklingError(f"a {type(value).__name__} where text must be")
