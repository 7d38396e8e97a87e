"""NumPy's scalars as Python's own numbers: what users compute settings with becomes what files can hold."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

KINDS = "biufU"
"""Kinds of NumPy scalar that Python has, too: truth values, integers, real numbers, words."""


def plain(value: T) -> T:
    """`value` with Python's number, truth value or word for a NumPy scalar or an array without axes.

    Likewise what is in a list, a tuple or a table. Values stay what they are: of `np.float32(0.1)` 0.10000000149011612,
    of `np.float64(2)` the real number 2.0, of `np.bool_` a truth value. Anything else is itself.
    """
    return _plain(value)  # type: ignore[no-any-return]  # a NumPy scalar is annotated as the number that it stands for


def plain_fields(owner: Any) -> None:
    """Make the fields of a frozen dataclass `plain`, as it is made."""
    for field in dataclasses.fields(owner):
        given = getattr(owner, field.name)
        found = plain(given)
        if found is not given:
            object.__setattr__(owner, field.name, found)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.item() if value.ndim == 0 and value.dtype.kind in KINDS else value
    if type(value) is dict:
        return {_plain(key): _plain(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        found = type(value)(_plain(one) for one in value)
        return found if any(new is not old for new, old in zip(found, value, strict=True)) else value
    return value
