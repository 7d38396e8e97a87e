"""What a dataclass checks of its own fields: each message names the class and the field."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from qpsnn_core.errors import ConfigError, expected
from qpsnn_core.network.values import check_at_least, check_choice

PLAIN = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def place(owner: Any, name: str) -> str:
    """`Class.field`; `structure` puts the whole place in a recipe for the class's name."""
    return f"{type(owner).__name__}.{name}"


def check(owner: Any, name: str, valid: bool, want: str) -> None:
    """ConfigError unless `valid`."""
    if not valid:
        raise ConfigError(expected(place(owner, name), want, getattr(owner, name)))


def typed(owner: Any) -> None:
    """Every field that is a plain number, word or truth value holds one."""
    for field in dataclasses.fields(owner):
        kinds = PLAIN.get(str(field.type))
        if kinds is not None:
            value = getattr(owner, field.name)
            check(owner, field.name, type(value) in kinds, f"a value of type {field.type}")


def choices(owner: Any, **valid: tuple[str, ...]) -> None:
    """Each of these fields is one of its words."""
    for name, words in valid.items():
        check_choice(place(owner, name), getattr(owner, name), words)


def least(owner: Any, **bounds: int) -> None:
    """Each of these fields is an integer of at least its bound."""
    for name, bound in bounds.items():
        check_at_least(place(owner, name), getattr(owner, name), bound)


def positive(owner: Any, *names: str) -> None:
    """Each of these fields is a finite number above 0."""
    for name in names:
        check(owner, name, 0 < getattr(owner, name) < math.inf, "a positive number")
