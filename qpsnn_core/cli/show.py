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
from rich.progress import Progress as Bars
from rich.table import Table

from qpsnn_core.common.bars import BarListener
from qpsnn_core.common.bars import new_bars as bars_of
from qpsnn_core.training.history import Epoch, best_epoch

out = Console()
err = Console(stderr=True)

FIRST_EPOCHS, LAST_EPOCHS = 5, 25
"""How many of a longer history a table shows."""


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
    """Bars on standard error, not drawn where that is no terminal."""
    return bars_of(err, quiet or not err.is_terminal)


class Told(BarListener):
    """The listener of a command; where there is no terminal, it writes a line for each epoch."""

    def __init__(self, drawn: Bars, quiet: bool) -> None:
        super().__init__(drawn, not quiet and not err.is_terminal, log)


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
    named = tuple(history[-1].figures) if history else ()
    heads = (
        "epoch",
        "loss",
        *(("validation loss",) if numbers else ("train", "validation")),
        *named,
        "lr",
        "firing rate",
        "seconds",
        "never fired",
    )
    rows: list[tuple[Any, ...]] = []
    for e in history:
        figures = (e.figures.get(name) for name in named)
        silent = ", ".join(e.silent) or "-"
        rows.append((str(e.epoch), e.loss, *_scores(e), *figures, e.lr, e.firing_rate, e.seconds, silent))
    out_of_sight = len(rows) - FIRST_EPOCHS - LAST_EPOCHS
    if out_of_sight > 1:
        rows[FIRST_EPOCHS:-LAST_EPOCHS] = [("...", *[""] * (len(heads) - 1))]
    table(title, heads, rows, data)
    if out_of_sight > 1:
        text = f"{out_of_sight} of {len(history)} epochs are left out; {everything}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    if named and (best := best_epoch(history, "accuracy")):
        for word, one in (("best", history[best - history[0].epoch]), ("last", history[-1])):
            said = ", ".join(f"{name} {value:.4f}" for name, value in one.figures.items())
            out.print(f"{word} epoch ({one.epoch}): {said}", highlight=False, markup=False, soft_wrap=True)


def _scores(epoch: Epoch) -> tuple[float | None, ...]:
    """Accuracies; where real numbers are predicted, the loss of the test part."""
    return (epoch.validation_loss,) if epoch.accuracy is None else (epoch.accuracy, epoch.validation)
