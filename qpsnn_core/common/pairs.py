"""Sizes in pixels, one for both axes or (rows, columns): of kernels, strides and paddings."""

from __future__ import annotations

from typing import Any

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Pair
from qpsnn_core.common.validation import check_at_least


def both(value: Pair) -> tuple[int, int]:
    """(rows, columns)."""
    return value if isinstance(value, tuple) else (value, value)


def tidy_pair(value: Any) -> Any:
    """Two equal numbers as one, a list of two as a tuple; anything else as it is, for `checked_pair` to refuse."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return value[0] if value[0] == value[1] else tuple(value)
    return value


def checked_pair(place: str, value: Any, least: int) -> Pair:
    """A whole number of at least `least`, or two that differ; two that are equal are one.

    So a square window has one text, whatever it was given as. Raises ConfigError, naming `place`.
    """
    if not isinstance(value, (tuple, list)):
        check_at_least(place, value, least)
        return int(value)
    if len(value) != 2:
        raise ConfigError(expected(place, "a whole number, or two: (rows, columns)", value))
    for one in value:
        check_at_least(place, one, least)
    found: Pair = tidy_pair([int(one) for one in value])
    return found


def check_below(place: str, value: Pair, what: str, limit: Pair) -> None:
    """ConfigError unless `value` is less than `limit`, which is the `what`, along both axes."""
    if any(one >= most for one, most in zip(both(value), both(limit), strict=True)):
        raise ConfigError(expected(place, f"less than the {what} ({limit})", value))
