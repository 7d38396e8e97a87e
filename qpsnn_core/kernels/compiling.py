"""Tells when kernels are compiled; machine code that was made before and is only read says nothing.

Where nobody has asked to be told, and standard error is a terminal, a line says it there, once in a process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

EVENT = "numba:compile"
TEXT = "compiling kernels, once: about half a minute"
OURS = __name__.rpartition(".")[0]


class _Hook(event.Listener):
    """Numba's events as two calls."""

    def __init__(self, started: Callable[[], object], ended: Callable[[], object]) -> None:
        self._started, self._ended = started, ended

    def on_start(self, event: event.Event) -> None:
        """A kernel begins to be compiled, perhaps within another."""
        self._started()

    def on_end(self, event: event.Event) -> None:
        """It is compiled, or failed."""
        self._ended()


@contextmanager
def compilations(started: Callable[[], object], ended: Callable[[], object]) -> Iterator[None]:
    """Call `started` and `ended` around every compilation of a kernel, on the thread that compiles it.

    A kernel that calls another is compiled around it, so that calls nest. Nothing is called for what the cache holds.
    """
    _told.append(started)
    try:
        with event.install_listener(EVENT, _Hook(started, ended)):
            yield
    finally:
        _told.remove(started)


class _Terminal(event.Listener):
    """The line of who has not asked. said: whether it was written."""

    said = False

    def on_start(self, event: event.Event) -> None:
        """A function is compiled, of ours or of the user's."""
        if _told or self.said or not _is_ours(event.data) or sys.stderr is None or not sys.stderr.isatty():
            return
        self.said = True
        sys.stderr.write(f"qpsnn: {TEXT}\n")

    def on_end(self, event: event.Event) -> None:
        """Nothing is said."""


def _is_ours(data: Any) -> bool:
    function = getattr((data or {}).get("dispatcher"), "py_func", None)
    return str(getattr(function, "__module__", "")).startswith(OURS)


_told: list[Callable[[], object]] = []
"""Those who are told now."""

terminal = _Terminal()
event.register(EVENT, terminal)
