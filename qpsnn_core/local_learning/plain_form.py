"""Descriptions of local learning as plain data and back: formats are written "Q1.6", what is not there "none"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import cattrs

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.common.serialization import converter, structure, tag_union
from qpsnn_core.local_learning.decolle import LocalConv, LocalDense
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_core.recipes.recipe import with_data

T = TypeVar("T")

NONE = "none"
"""TOML has no null."""


def local_converter() -> cattrs.Converter:
    """As `converter`, with formats as text."""
    strict = with_data(converter())
    strict.register_structure_hook(FixedPoint, _format)
    strict.register_unstructure_hook(FixedPoint, str)
    tag_union(strict, LocalConv | LocalDense)
    return strict


def _format(value: Any, _: Any) -> FixedPoint:
    try:
        return FixedPoint.parse(value)
    except ConfigError as error:  # structure writes the place
        raise ConfigError(f"expected {str(error).partition('expected ')[2]}") from error


_convert = local_converter()


def to_plain(value: Any) -> dict[str, Any]:
    """A frozen description as tables of numbers, words and lists."""
    found: dict[str, Any] = json.loads(json.dumps(_worded(_convert.unstructure(value)), allow_nan=False))
    return found


def from_plain(data: Any, kind: type[T], place: str = "") -> T:
    """The description; ConfigError names the field, below `place`."""
    return structure(_convert, _unworded(data), kind, place)


def _worded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _worded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_worded(one) for one in value]
    return NONE if value is None else value


def _unworded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _unworded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unworded(one) for one in value]
    return None if value == NONE else value
