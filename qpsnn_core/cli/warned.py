"""Warnings of qpsnn on the command line: each once, on one line of standard error."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qpsnn_core.common.errors import QpsnnWarning


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print every QpsnnWarning as `warning: text`, the same text of one room only; other warnings as they were."""
    other, said = warnings.showwarning, set()

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if not issubclass(category, QpsnnWarning):
            other(message, category, *rest, **options)
            return
        text = str(message).partition(": ")[2]
        if text not in said:
            said.add(text)
            print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", QpsnnWarning)
        warnings.showwarning = show
        yield
