"""Bars of long work in a terminal or a notebook, drawn by rich: of the command line, and of `progress=True`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from threading import RLock
from typing import TYPE_CHECKING, Any

from qpsnn_core.common.errors import ArgumentError, Unquoted, expected
from qpsnn_core.common.install import missing_extra
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.validation import described

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

WITHOUT_EPOCHS = ("calibrate", "find_learning_rate", "learn", "prune", "recalibrate")
"""Long stages of which a line is written at every tenth."""

TENTHS = 10


def listener_of(place: str, progress: Listener | bool | None) -> Listener | None:
    """What is to be told of progress. ArgumentError: neither a function, True, False nor None."""
    if progress is None or progress is False:
        return None
    if not callable(progress):
        want = "a function of a Progress, True to draw bars, or None"
        raise ArgumentError(expected(f"{place}.progress", want, Unquoted(described(progress))))
    return progress


@contextmanager
def drawn_bars() -> Iterator[BarListener]:
    """A listener that draws on standard error, or in a notebook with ipywidgets; elsewhere it writes lines."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise missing_extra("progress", "rich, which draws bars", "cli", error) from error
    console = Console(stderr=True)
    shown = find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal

    def log(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    with new_bars(console, not shown) as bars:
        yield BarListener(bars, not shown, log)


def new_bars(console: Console, quiet: bool) -> Bars:
    """Bars of one style; they vanish when they are done. quiet: draw none."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Bars(*columns, console=console, disable=quiet, transient=True)


class BarListener:
    """A listener that draws a bar for each stage, or writes a line for each epoch.

    lines: of the epochs that are over. writes: whether they are written as they come, by log.
    """

    def __init__(self, drawn: Bars, writes: bool, log: Callable[[str], None]) -> None:
        self._drawn, self._tasks, self._tenths = drawn, dict[str, Any](), dict[str, int]()
        self._writes, self._log = writes, log
        self._lock, self._compiling, self._compiled = RLock(), 0, 0
        self._notice: Any = None
        self.lines: list[str] = []

    def __call__(self, event: Progress) -> None:
        """Move the stage's bar."""
        total = event.epochs * event.batches
        done = (event.epoch - 1) * event.batches + event.batch
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._drawn.add_task(event.stage, total=total, note="")
        note = f"epoch {event.epoch}/{event.epochs}" if event.epochs > 1 else ""
        if event.loss is not None:
            note += f"  loss {event.loss:.3f}"
        if event.accuracy is not None:
            note += f"  {event.accuracy:.1%}"
        self._drawn.update(self._tasks[event.stage], completed=done, total=total, note=note)
        tenths = TENTHS * done // total
        if self._writes and event.stage in WITHOUT_EPOCHS and tenths > self._tenths.get(event.stage, 0):
            self._log(f"{event.stage}: {done:,} of {total:,}")
        self._tenths[event.stage] = tenths

    def compile_started(self, text: str) -> None:
        """A kernel begins to be compiled, perhaps within another, on any thread: a bar, or a line, the first time."""
        with self._lock:
            self._compiling += 1
            if self._compiling > 1:
                return
            if self._writes and not self._compiled:
                self._log(text)
            self._notice = self._drawn.add_task(text, total=None, completed=self._compiled, note="kernels")

    def compile_ended(self) -> None:
        """It is compiled; the bar goes with the last."""
        with self._lock:
            self._compiling -= 1
            self._compiled += 1
            self._drawn.update(self._notice, completed=self._compiled)
            if not self._compiling:
                self._drawn.remove_task(self._notice)

    def epoch_done(self, stage: str, epochs: int, figures: Any) -> None:
        """Write, or remember, the line of an epoch. figures: the Epoch of training's history."""
        self.lines.append(epoch_line(stage, epochs, figures))
        if self._writes:
            self._log(self.lines[-1])


def epoch_line(stage: str, epochs: int, figures: Any) -> str:
    """An epoch in words, such as "train: epoch 3/10, loss 0.4512, train 84.10%, validation 80.25%, ..."."""
    silent = f", never fired: {', '.join(figures.silent)}" if figures.silent else ""
    told = "" if figures.accuracy is None else f", train {figures.accuracy:.2%}"
    if figures.validation is not None:
        told += f", validation {figures.validation:.2%}"
    elif figures.accuracy is None and figures.validation_loss is not None:
        told += f", validation loss {figures.validation_loss:.4f}"
    return (
        f"{stage}: epoch {figures.epoch}/{epochs}, loss {figures.loss:.4f}{told}, "
        f"lr {figures.lr:.4g}, firing rate {figures.firing_rate:.2%}, {figures.seconds:.1f} s{silent}"
    )
