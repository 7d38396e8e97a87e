"""Keyword arguments that a function does not have: a typed error that names the nearest, not Python's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def known_options(
    hint: Callable[[str, Iterable[str]], str] = did_you_mean,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that raises ConfigError for an option that the function lacks; its signature stays as it is.

    hint: of the option and of those that there are, what helps, in brackets; "" where nothing does.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = {name: one.kind is one.KEYWORD_ONLY for name, one in inspect.signature(function).parameters.items()}

        @functools.wraps(function)
        def called(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in known:
                    valid = [one for one, keyword in known.items() if keyword]
                    got = Unquoted(f"{name!r}{hint(name, valid)}")
                    raise ConfigError(expected(function.__name__, f"options, of {', '.join(valid)}", got))
            return function(*args, **options)

        return called

    return decorate
