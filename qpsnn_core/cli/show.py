"""What a command shows: tables, JSON, and bars with the time that remains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from qpsnn_core.common.progress import Listener, Progress

out = Console()
err = Console(stderr=True)


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


@contextmanager
def bars(quiet: bool = False) -> Iterator[Listener]:
    """A listener that draws one bar for each stage; nothing where standard error is no terminal."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as drawn:
        tasks: dict[str, TaskID] = {}

        def listen(event: Progress) -> None:
            total = event.epochs * event.batches
            done = (event.epoch - 1) * event.batches + event.batch
            if event.stage not in tasks:
                tasks[event.stage] = drawn.add_task(event.stage, total=total, note="")
            note = f"epoch {event.epoch}/{event.epochs}" if event.epochs > 1 else ""
            if event.loss is not None:
                note += f"  loss {event.loss:.3f}"
            if event.accuracy is not None:
                note += f"  {event.accuracy:.1%}"
            drawn.update(tasks[event.stage], completed=done, total=total, note=note)

        yield listen
