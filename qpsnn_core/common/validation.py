"""Checks of single values, and of the fields of a dataclass: each message names the place."""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import did_you_mean

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


def check_name(name: str) -> None:
    """ConfigError unless `name` can name a node, and a part of a file."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        raise ConfigError(expected("node.name", "a letter, then letters, digits, '_' or '.'", name))


def check_at_least(place: str, value: int, least: int) -> None:
    """ConfigError unless `value` is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise ConfigError(expected(place, f"an integer of at least {least}", value))


def is_positive(value: float) -> bool:
    """Finite and above 0."""
    return 0 < value < math.inf


def check_number(place: str, value: float, want: str, valid: Callable[[float], bool]) -> None:
    """ConfigError unless `value` is a number (a truth value or a word is none) that is `valid`, as `want` says."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not valid(value):
        raise ConfigError(expected(place, want, value))


def check_choice(place: str, value: str, valid: tuple[str, ...]) -> None:
    """ConfigError, with the nearest valid word, unless `value` is one of them."""
    if value not in valid:
        raise ConfigError(expected(place, f"one of {', '.join(valid)}", value) + did_you_mean(value, valid))


def whole(place: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`; ConfigError otherwise (a bool is not a number here)."""
    want = f"a whole number of at least {least}"
    if isinstance(value, bool):
        raise ConfigError(expected(place, want, value))
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the TypeError is the check
    except TypeError:
        raise ConfigError(expected(place, want, value)) from None
    if number < least:
        raise ConfigError(expected(place, want, number))
    return number


def number(place: str, value: object, low: float, high: float) -> float:
    """`value` if it is a number from `low` to `high`; ConfigError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(expected(place, f"a number from {low:g} to {high:g}", value))
    return value
