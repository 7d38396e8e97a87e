"""Checks of single values, and of the fields of a dataclass: each message names the place."""

from __future__ import annotations

import dataclasses
import math
import operator
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.plain import plain, plain_fields
from qpsnn_core.common.serialization import did_you_mean

PLAIN = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}

GIVEN_BY: Mapping[str, str] = {
    "Checkpoint": "train(...).checkpoint or load_checkpoint(path)",
    "Dataset": "load_data(...).train or Dataset.from_arrays(...).train",
    "ForwardPass": "forward(model, images, save_for_backward=True)",
    "IntegerNetwork": "lower(model).network or load_integer(path)",
    "Model": "initialise(network), train(...).model or load_model(path)",
    "Network": "build(name, shape, classes)",
    "Scores": "score(model, images)",
    "InputRange": "the input_range of a Dataset",
    "Split": "load_data(...) or Dataset.from_arrays(...)",
    "TrainConfig": "TrainConfig(epochs=...)",
}
"""What gives a thing of each type that verbs take."""

HOLDERS = ("model", "network", "checkpoint", "train")
"""Attributes under which a result holds what another verb takes."""


def check_kind(place: str, value: object, *kinds: type) -> None:
    """ArgumentError unless `value` is of one of these types: it says what came, and what gives the right thing."""
    if isinstance(value, kinds):
        return
    want = " or ".join(_with_article(kind.__name__) + _given_by(kind.__name__) for kind in kinds)
    held = [name for name in HOLDERS if not isinstance(value, type) and isinstance(getattr(value, name, None), kinds)]
    hint = f" (its .{held[0]} is one)" if held else ""
    raise ArgumentError(expected(place, want, Unquoted(described(value) + hint)))


def check_kinds(verb: str, *kinds: type, **values: object) -> None:
    """`check_kind` of several arguments of one verb; those that are None are not given."""
    for name, value in values.items():
        if value is not None:
            check_kind(f"{verb}.{name}", value, *kinds)


def check_path(place: str, path: object) -> None:
    """ArgumentError unless `path` is a string or a path object."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(expected(place, "a path, as a string or a pathlib.Path", Unquoted(described(path))))
    if not os.fspath(path):
        raise ConfigError(expected(place, "a path", path))


def numbers_of(place: str, values: object) -> npt.NDArray[Any]:
    """`values` as an array; DataError unless they are numbers or truth values."""
    try:
        found = np.asarray(values)
    except (TypeError, ValueError):
        found = np.empty(0, object)
    if found.dtype.kind not in "biuf":
        raise DataError(expected(place, "an array of numbers", Unquoted(described(values))))
    return found


def described(value: object) -> str:
    """What a thing is, in a few words: "None", "a list", "an ndarray [3, 4]"."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {list(value.shape)}"
    text = f" {value!r}" if isinstance(value, (str, os.PathLike)) and len(str(value)) <= 80 else ""
    return _with_article(type(value).__name__) + text


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in tuple("aeiou") else f"a {noun}"


def _given_by(name: str) -> str:
    return f" ({GIVEN_BY[name]} gives one)" if name in GIVEN_BY else ""


def _shown(value: Any) -> Any:
    """The value; with its type, if it is NumPy's scalar, which prints as the plain number that is expected."""
    scalar = isinstance(value, np.generic)
    return Unquoted(f"{value} of type {type(value).__name__}") if scalar else value


def place(owner: Any, name: str) -> str:
    """`Class.field`; `structure` puts the whole place in a recipe for the class's name."""
    return f"{type(owner).__name__}.{name}"


def check(owner: Any, name: str, valid: bool, want: str) -> None:
    """ConfigError unless `valid`."""
    if not valid:
        raise ConfigError(expected(place(owner, name), want, _shown(getattr(owner, name))))


def typed(owner: Any) -> None:
    """Every field that is a plain number, word or truth value holds one; NumPy's become Python's."""
    plain_fields(owner)
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
        raise ConfigError(expected(place, f"an integer of at least {least}", _shown(value)))


def check_at_most(place: str, value: int, most: int) -> None:
    """ConfigError unless the integer `value` is `most` at most."""
    if value > most:
        raise ConfigError(expected(place, f"at most {most:,}", value))


def is_positive(value: float) -> bool:
    """Finite and above 0."""
    return 0 < value < math.inf


def check_number(place: str, value: float, want: str, valid: Callable[[float], bool]) -> None:
    """ConfigError unless `value` is a number (a truth value or a word is none) that is `valid`, as `want` says."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not valid(value):
        raise ConfigError(expected(place, want, _shown(value)))


def check_choice(place: str, value: str, valid: tuple[str, ...]) -> None:
    """ConfigError, with the nearest valid word, unless `value` is one of them."""
    if not isinstance(value, str) or value not in valid:
        words = ", ".join(one or '""' for one in valid)
        raise ConfigError(expected(place, f"one of {words}", value) + did_you_mean(value, valid))


def whole(place: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`; ConfigError otherwise (a bool is not a number here)."""
    want = f"a whole number of at least {least}"
    value = plain(value)
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
    """`value`, as Python's number, if it is one from `low` to `high`; ConfigError otherwise."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(expected(place, f"a number from {low:g} to {high:g}", value))
    return value
