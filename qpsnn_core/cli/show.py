"""What a command shows: tables, JSON, and bars with the time that remains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from qpsnn_core.common.progress import Progress
from qpsnn_core.training.history import Epoch

out = Console()
err = Console(stderr=True)

FIRST_EPOCHS, LAST_EPOCHS = 5, 25
"""How many of a longer history a table shows."""

WITHOUT_EPOCHS = ("calibrate", "learn", "prune", "recalibrate")
"""Long stages of which a line is written at every tenth."""

TENTHS = 10


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], data: object = "") -> None:
    """A table; numbers to the right, the first column to the left. Not folded where the output is a file.

    data: what its figures were taken on, in words, said below it.
    """
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, head in enumerate(heads):
        shown.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, str) else number(cell) for cell in row))
    (out if out.is_terminal else Console(width=200)).print(shown)
    if data:
        out.print(f"data: {data}", highlight=False, markup=False, soft_wrap=True)


def number(value: Any) -> str:
    """A number with as many digits as a reader wants."""
    if value is None:
        return "-"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"


def print_json(data: Mapping[str, Any] | Sequence[Any]) -> None:
    """Figures for a program, on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, default=plain) + "\n")


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays as JSON has them."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON data")


def log(text: str) -> None:
    """A line for the person, on standard error, so that `--json` stays clean."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


def settings(stage: str, values: Any, origin: str, quiet: bool = False) -> None:
    """A line, before a stage begins, with every setting that it takes and where they come from."""
    plain_values = asdict(values) if is_dataclass(values) and not isinstance(values, type) else dict(values)
    if not quiet:
        log(f"{stage}: {', '.join(f'{name} {value}' for name, value in plain_values.items())} ({origin})")


@dataclass
class Board:
    """What is drawn on standard error now. quiet: the command was asked to draw nothing."""

    bars: Bars | None = None
    quiet: bool = False


board = Board()


def new_bars(quiet: bool = False) -> Bars:
    """Bars of one style; they vanish when they are done, and are not drawn where standard error is no terminal."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Bars(*columns, console=err, disable=quiet or not err.is_terminal, transient=True)


class Told:
    """A listener that draws a bar for each stage; where there is no terminal, it writes a line for each epoch.

    lines: of the epochs that are over.
    """

    def __init__(self, drawn: Bars, quiet: bool) -> None:
        self._drawn, self._tasks, self._tenths = drawn, dict[str, TaskID](), dict[str, int]()
        self._writes = not quiet and not err.is_terminal
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
            log(f"{event.stage}: {done:,} of {total:,}")
        self._tenths[event.stage] = tenths

    def epoch_done(self, stage: str, epochs: int, figures: Epoch) -> None:
        """Write, or remember, the line of an epoch."""
        self.lines.append(epoch_line(stage, epochs, figures))
        if self._writes:
            log(self.lines[-1])


def epoch_line(stage: str, epochs: int, figures: Epoch) -> str:
    """An epoch in words, such as "train: epoch 3/10, loss 0.4512, train 84.10%, test 80.25%, ..."."""
    silent = f", never fired: {', '.join(figures.silent)}" if figures.silent else ""
    told = "" if figures.accuracy is None else f", train {figures.accuracy:.2%}"
    if figures.validation is not None:
        told += f", test {figures.validation:.2%}"
    elif figures.accuracy is None and figures.validation_loss is not None:
        told += f", test loss {figures.validation_loss:.4f}"
    return (
        f"{stage}: epoch {figures.epoch}/{epochs}, loss {figures.loss:.4f}{told}, "
        f"lr {figures.lr:.4g}, firing rate {figures.firing_rate:.2%}, {figures.seconds:.1f} s{silent}"
    )


@contextmanager
def bars(quiet: bool = False) -> Iterator[Told]:
    """A listener for one command (`Told`). Ctrl-C, which takes the bars away, leaves a line for each whole epoch."""
    before = board.bars, board.quiet
    with new_bars(quiet) as drawn:
        told = Told(drawn, quiet)
        board.bars, board.quiet = drawn, quiet
        try:
            yield told
        except KeyboardInterrupt:
            drawn.stop()
            if err.is_terminal and not quiet:
                for line in told.lines:
                    log(line)
            raise
        finally:
            board.bars, board.quiet = before


def epochs(title: str, history: Sequence[Epoch], everything: str, data: object) -> None:
    """A table of epochs; of very many the first and the last, and a line that says how many it leaves out.

    everything: where all of them are, in words.
    """
    numbers = bool(history) and history[-1].accuracy is None
    heads = (
        "epoch",
        "loss",
        *(("test loss",) if numbers else ("train", "test")),
        "lr",
        "firing rate",
        "seconds",
        "never fired",
    )
    rows: list[tuple[Any, ...]] = [
        (str(e.epoch), e.loss, *_scores(e), e.lr, e.firing_rate, e.seconds, ", ".join(e.silent) or "-") for e in history
    ]
    out_of_sight = len(rows) - FIRST_EPOCHS - LAST_EPOCHS
    if out_of_sight > 1:
        rows[FIRST_EPOCHS:-LAST_EPOCHS] = [("...", *[""] * (len(heads) - 1))]
    table(title, heads, rows, data)
    if out_of_sight > 1:
        text = f"{out_of_sight} of {len(history)} epochs are left out; {everything}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


def _scores(epoch: Epoch) -> tuple[float | None, ...]:
    """Accuracies; where real numbers are predicted, the loss of the test part."""
    return (epoch.validation_loss,) if epoch.accuracy is None else (epoch.accuracy, epoch.validation)
