"""Sizes in pixels, one for both axes or (rows, columns): of kernels, strides and paddings."""

from __future__ import annotations

from typing import Any

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Pair
from qpsnn_core.common.validation import check_at_least


def both(value: Pair) -> tuple[int, int]:
    """(rows, columns)."""
    return value if isinstance(value, tuple) else (value, value)


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
    rows, columns = (int(one) for one in value)
    return rows if rows == columns else (rows, columns)


def check_below(place: str, value: Pair, what: str, limit: Pair) -> None:
    """ConfigError unless `value` is less than `limit`, which is the `what`, along both axes."""
    if any(one >= most for one, most in zip(both(value), both(limit), strict=True)):
        raise ConfigError(expected(place, f"less than the {what} ({limit})", value))
