"""Tells when kernels are compiled; machine code that was made before and is only read says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

EVENT = "numba:compile"


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
    with event.install_listener(EVENT, _Hook(started, ended)):
        yield
