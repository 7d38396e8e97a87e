"""Says that kernels are being compiled, which takes the first command on a machine half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from rich.progress import Progress as Bars
from rich.progress import TaskID

from qpsnn_core.cli import show
from qpsnn_core.kernels.compiling import TEXT, compilations


class Notice:
    """A bar that counts compiled kernels while one is being compiled; one line where there is no terminal.

    It joins the bars that are drawn already, as a terminal can have no others. Compilations nest, and come from any
    thread.
    """

    def __init__(self) -> None:
        self._lock, self._depth, self._compiled, self._said = RLock(), 0, 0, False
        self._bars: Bars | None = None
        self._task = TaskID(0)

    def started(self) -> None:
        """A kernel begins to be compiled."""
        with self._lock:
            self._depth += 1
            if self._depth == 1 and not show.board.quiet:
                self._show()

    def ended(self) -> None:
        """It is compiled."""
        with self._lock:
            self._depth -= 1
            self._compiled += 1
            if self._bars is not None:
                self._bars.update(self._task, completed=self._compiled)
                if self._depth == 0:
                    self._hide(self._bars)

    def _show(self) -> None:
        if not show.err.is_terminal:
            if not self._said:
                show.log(TEXT)
            self._said = True
            return
        self._bars = show.board.bars or show.new_bars()
        self._task = self._bars.add_task(TEXT, total=None, completed=self._compiled, note="kernels")
        if self._bars is not show.board.bars:
            self._bars.start()

    def _hide(self, bars: Bars) -> None:
        bars.remove_task(self._task)
        if bars is not show.board.bars:
            bars.stop()
        self._bars = None


@contextmanager
def notice() -> Iterator[None]:
    """Say it, if it happens, until the block ends."""
    told = Notice()
    with compilations(told.started, told.ended):
        yield
