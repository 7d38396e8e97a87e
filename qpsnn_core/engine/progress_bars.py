"""`progress=True` of the verbs: bars for their work, and for the kernels that it compiles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from qpsnn_core.common.bars import drawn_bars
from qpsnn_core.kernels.compiling import TEXT, compilations

P = ParamSpec("P")
R = TypeVar("R")


def shows_progress(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator: while the function runs with `progress=True`, its events move bars."""

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> R:
        if options.get("progress") is not True:
            return function(*args, **options)
        with drawn_bars() as listener, compilations(lambda: listener.compile_started(TEXT), listener.compile_ended):
            options["progress"] = listener
            return function(*args, **options)

    return called
