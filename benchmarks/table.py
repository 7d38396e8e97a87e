"""Tables: in the terminal, and in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table in the terminal: numbers to the right, with as many digits as a reader wants."""
    lines = [list(heads), *([cell if isinstance(cell, str) else _number(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(title)
    for first, *others in lines:
        right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join((first.ljust(widths[0]), *right)).rstrip())


def log(text: str) -> None:
    """A line for the person, on standard error."""
    print(text, file=sys.stderr)


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
