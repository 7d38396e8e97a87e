"""Plain data (JSON, TOML) to frozen dataclasses and back, strictly: no silent conversion, no unknown key."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_origin

import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_tagged_union

from qpsnn_core.common.errors import ConfigError, QpsnnError, expected
from qpsnn_core.common.types import Pair

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]
TAG = "kind"
ADDED_LATER = {"added_later": True}
"""Metadata of a field that the format did not always have: at its default it is not written, so that what is as it
always was has the text and the digest that it always had. With `FORMERLY`, that value is left out instead."""
FORMERLY = "formerly"
"""Key of a field's metadata: what a file that lacks the field means, where that is not the default of the code."""
WORDS: dict[Callable[[Any], Any], str] = {int: "an integer", bool: "true or false", str: "a string", float: "a number"}


def did_you_mean(word: object, valid: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest valid word; nothing for a path, or for what is no word at all."""
    if not isinstance(word, str) or any(mark in word for mark in "/\\"):
        return ""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def converter() -> cattrs.Converter:
    """A converter that forbids unknown keys and takes an int for a float, and nothing else for anything else."""
    strict = cattrs.Converter(forbid_extra_keys=True)
    for kind in WORDS:
        strict.register_structure_hook(kind, _scalar(kind))
    strict.register_structure_hook(Pair, _pair)
    strict.register_structure_hook_factory(is_dataclass, lambda kind: _table(strict, kind))
    strict.register_unstructure_hook_factory(is_dataclass, lambda kind: _written(strict, kind))
    strict.register_structure_hook_factory(_is_tuple, lambda kind: _tuple(strict, kind))
    return strict


def tag_union(strict: cattrs.Converter, union: Any) -> None:
    """Let `strict` read and write any of the union's classes, told apart by the key `kind`."""
    configure_tagged_union(union, strict, tag_name=TAG)
    read = strict.get_structure_hook(union)
    names = [kind.__name__ for kind in get_args(union)]

    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ConfigError(expected_here("a table of keys", value))
        name = value.get(TAG)
        if name not in names:
            hint = did_you_mean(name, names) if isinstance(name, str) else ""
            raise ConfigError(expected_here(f"the key {TAG!r} to be one of {', '.join(names)}", name) + hint)
        return read(value, kind)

    strict.register_structure_hook(union, structure)


def structure(strict: cattrs.Converter, data: Any, kind: type[T], place: str = "") -> T:
    """`data` as a `kind`; ConfigError names the field below `place`, what came and what was expected.

    A check of a dataclass's own may write its place as `classname.field`: the whole place is put for the class's name.
    """
    try:
        return strict.structure(data, kind)
    except (QpsnnError, ClassValidationError, IterableValidationError) as error:
        raise _first(error, place, kind) from error


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML text of named tables of plain values: numbers, strings, lists, and dicts within a table as inline tables."""
    parts = []
    for name, table in tables.items():
        parts.append("\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]))
    return "\n\n".join(parts) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def expected_here(want: str, got: Any) -> str:
    """`expected want, got got`: for a hook, which does not know the place; `structure` puts it in front."""
    return f"expected {want}, got {'nothing' if got is None else f'{got!r:.80}'}"


def _pair(value: Any, _: Any) -> Any:
    """A whole number, or two as a tuple; which they may be, the owner checks."""
    if type(value) is int:
        return value
    if type(value) in (list, tuple) and len(value) == 2 and all(type(one) is int for one in value):
        return tuple(value)
    raise ConfigError(expected_here("an integer, or two: [rows, columns]", value))


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _scalar(kind: Callable[[Any], Any]) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is kind or (kind is float and type(value) is int):
            return kind(value)
        raise ConfigError(expected_here(WORDS[kind], value))

    return structure


def _table(strict: cattrs.Converter, kind: Any) -> Hook:
    read = make_dict_structure_fn(kind, strict, _cattrs_forbid_extra_keys=True)
    formerly = _formerly(kind)

    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, Mapping):
            made = read(value, kind)
            missing = {name: meant for name, meant in formerly.items() if name not in value}
            return replace(made, **missing) if missing else made
        raise ConfigError(expected_here("a table of keys", value))

    return structure


def _formerly(kind: Any) -> dict[str, Any]:
    return {field.name: field.metadata[FORMERLY] for field in fields(kind) if FORMERLY in field.metadata}


def _written(strict: cattrs.Converter, kind: Any) -> Callable[[Any], dict[str, Any]]:
    later = [field.name for field in fields(kind) if field.metadata.get("added_later")]
    formerly = {name: meant for name, meant in _formerly(kind).items() if name in later}
    options: Any = {name: override(omit_if_default=True) for name in later if name not in formerly}
    write: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(kind, strict, **options)
    if not formerly:
        return write

    def unstructure(value: Any) -> dict[str, Any]:
        omitted = {name for name, meant in formerly.items() if getattr(value, name) == meant}
        return {name: plain for name, plain in write(value).items() if name not in omitted}

    return unstructure


def _tuple(strict: cattrs.Converter, kind: Any) -> Hook:
    entries = get_args(kind)
    fixed = len(entries) if entries[-1] is not Ellipsis else None

    def structure(value: Any, _: Any) -> Any:
        if type(value) not in (list, tuple):
            raise ConfigError(expected_here("a list", value))
        if fixed is not None and len(value) != fixed:
            raise ConfigError(expected_here(f"{fixed} entries", value))
        done = []
        for index, item in enumerate(value):
            try:
                done.append(strict.structure(item, entries[index if fixed else 0]))
            except (QpsnnError, ClassValidationError, IterableValidationError) as error:
                raise at_index(error, index) from error
        return tuple(done)

    return structure


def at_index(error: Exception, index: int | str) -> IterableValidationError:
    """The error of one entry of a list or table, for a hook to raise: `structure` writes `[index]` or `.index`."""
    note = IterableValidationNote(f"entry {index}", index, None)
    error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined]  # typed from Python 3.11 on
    return IterableValidationError("an entry", [error], tuple)


def _first(error: BaseException, place: str, kind: Any) -> QpsnnError:
    """Follow the first fault of a (nested) group of cattrs errors down to its field."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            place = _below(place, note.name)
        elif isinstance(note, IterableValidationNote):
            place = _below(place, note.index) if isinstance(note.index, str) else f"{place}[{note.index}]"
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        return _first(error.exceptions[0], place, getattr(error, "cl", None) or kind)
    if isinstance(error, ForbiddenExtraKeysError):
        valid = list(getattr(error.cl, "__dataclass_fields__", {}))
        key = sorted(error.extra_fields)[0]
        where = f"{place}: " if place else ""
        return ConfigError(f"{where}unknown key {key!r}{did_you_mean(key, valid)}; valid keys: {', '.join(valid)}")
    if isinstance(error, KeyError):
        return ConfigError(f"{place}: expected a value, got nothing")
    if not isinstance(error, QpsnnError):
        return ConfigError(expected(place, "a valid value", str(error)))
    text = str(error)
    if text.startswith("expected "):
        return type(error)(f"{place}: {text}" if place else text)
    owner, dot, rest = text.partition(".")
    if dot and owner.lower() == getattr(kind, "__name__", "").lower():
        return type(error)(_below(place, rest))
    return type(error)(text)


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
