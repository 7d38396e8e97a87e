"""A recipe's network from a Python function of the user's: the one place that imports code which a file names."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Any

from qpsnn_core.common.errors import ConfigError, QpsnnError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import described
from qpsnn_core.network.graph import Network
from qpsnn_core.recipes.network import NetworkConfig

PLACE = "network.function"

NOT_THEIRS = ("qpsnn_core", "importlib", "_frozen_importlib", "_frozen_importlib_external")
"""Packages whose lines a message about the user's code does not name."""


def own_network(
    config: NetworkConfig, shape: Shape, classes: int, *, events: bool, input_range: InputRange | None = None
) -> Network:
    """What `make(shape, classes, steps=steps)` gives; `config.function` is "module:make".

    input_range: of data made of real numbers; only for these `make` gets it, as `input_range=`.
    The module is looked for in the working directory, then where Python looks. The caller must have been given the
    recipe by its user: a checkpoint's recipe never comes here.
    Raises ConfigError: no such module or function, an error in it (with its file and line), a result that is no
    Network, or one of other images, classes or steps (also ShapeError).
    """
    module, _, name = config.function.partition(":")
    with _named(config.function):
        found = _imported(module)
    if not callable(made := getattr(found, name, None)):
        raise ConfigError(expected(PLACE, f"a function of {found.__file__}", config.function))
    spans = {} if input_range is None else {"input_range": input_range}
    _check_called(config.function, made, (shape, classes), {"steps": config.steps, **spans})
    with _named(config.function):
        network = made(shape, classes, steps=config.steps, **spans)
    if not isinstance(network, Network):
        want = f"{config.function} to give a Network (sequential(...) makes one)"
        raise ConfigError(expected(PLACE, want, Unquoted(described(network))))
    return config.checked(PLACE, network, shape, classes, events=events)


def _check_called(function: str, made: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any]) -> None:
    """ConfigError where the user's function does not take what it is called with."""
    try:
        taken = signature(made)
    except (TypeError, ValueError):  # one that Python cannot look into
        return
    try:
        taken.bind(*given, **options)
    except TypeError:
        why = ", as the data are real numbers, whose range its input needs" if "input_range" in options else ""
        want = f"a function that is called as make(shape, classes, {', '.join(f'{name}=...' for name in options)}){why}"
        raise ConfigError(expected(f"{PLACE}: {function}", want, Unquoted(f"make{taken}"))) from None


def _imported(module: str) -> ModuleType:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise  # the module is there, and lacks another
        raise ConfigError(expected(PLACE, f"a module of {folder} or that Python finds", module)) from error
    finally:
        sys.path.remove(folder)


@contextmanager
def _named(function: str) -> Iterator[None]:
    """Whatever the user's code raises, with the file and line that it comes from."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ConfigError) and str(error).startswith(f"{PLACE}: expected"):
            raise
        place = f"{PLACE}: {function}: {_place_of(error)}"
        if isinstance(error, QpsnnError):
            raise type(error)(f"{place}: {error}") from error
        raise ConfigError(f"{place}: {type(error).__name__}: {error}") from error


def _place_of(error: Exception) -> str:
    """The file and line of the user's code that an error comes from: the last that is not ours or Python's own."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    walked = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [one for one in walked if one[0].f_globals.get("__name__", "").partition(".")[0] not in NOT_THEIRS]
    frame, line = (own or walked)[-1]
    return f"{frame.f_code.co_filename}:{line}"
