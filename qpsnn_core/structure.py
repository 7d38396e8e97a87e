"""Plain data (JSON, TOML) to frozen dataclasses and back, strictly: no silent conversion, no unknown key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.strategies import configure_tagged_union

from qpsnn_core.errors import ConfigError, QpsnnError, expected

T = TypeVar("T")


def nearest(word: str, valid: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest valid word, or nothing."""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _strict(kind: type, also: tuple[type, ...] = ()) -> Any:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is kind or type(value) in also:
            return kind(value)
        raise ConfigError(f"expected {kind.__name__}, got {value!r}")

    return structure


def converter() -> cattrs.Converter:
    """A converter that forbids unknown keys and takes an int for a float, and nothing else for anything else."""
    strict = cattrs.Converter(forbid_extra_keys=True)
    strict.register_structure_hook(int, _strict(int))
    strict.register_structure_hook(bool, _strict(bool))
    strict.register_structure_hook(str, _strict(str))
    strict.register_structure_hook(float, _strict(float, (int,)))
    return strict


def tag_union(strict: cattrs.Converter, union: Any) -> None:
    """Let `strict` read and write any of the union's classes, told apart by the key `kind`."""
    configure_tagged_union(union, strict, tag_name="kind")


def structure(strict: cattrs.Converter, data: Any, kind: type[T], place: str) -> T:
    """`data` as a `kind`; ConfigError names the field below `place`, what came and what was expected."""
    try:
        return strict.structure(data, kind)
    except (ClassValidationError, IterableValidationError) as error:
        raise _first(error, place, kind) from error
    except QpsnnError as error:
        raise type(error)(f"{place}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{place}: {_plain(error, data)}") from error


def _plain(error: Exception, data: Any) -> str:
    if isinstance(error, KeyError):
        return f"no such key or kind {error.args[0]!r}"
    return f"{error} (in {data!r:.80})"


def _first(error: BaseException, place: str, kind: Any) -> QpsnnError:
    """Follow the first fault of a (nested) group of cattrs errors down to its field."""
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        inner = error.exceptions[0]
        here = place
        for note in getattr(inner, "__notes__", ()):
            name = getattr(note, "name", None)
            index = getattr(note, "index", None)
            here = f"{here}.{name}" if name is not None else f"{here}[{index}]" if index is not None else here
        return _first(inner, here, getattr(error, "cl", kind))
    if isinstance(error, ForbiddenExtraKeysError):
        valid = list(getattr(error.cl, "__dataclass_fields__", {}))
        key = sorted(error.extra_fields)[0]
        return ConfigError(f"{place}: unknown key {key!r}{nearest(key, valid)}; valid keys: {', '.join(valid)}")
    if isinstance(error, KeyError):
        return ConfigError(f"{place}: missing key or unknown kind {error.args[0]!r}")
    if isinstance(error, QpsnnError):
        text = str(error)
        return type(error)(f"{place}: {text}" if text.startswith("expected") else text)
    return ConfigError(expected(place, "a valid value", str(error)))
