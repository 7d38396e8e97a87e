"""The history of a run as a file that other programs read: CSV, or a line of JSON for each epoch."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from qpsnn_core.common.atomic import save_bytes
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.training.history import Epoch

PathLike = str | os.PathLike[str]


def check_log(place: str, path: PathLike) -> None:
    """ConfigError unless the name of the file says its format."""
    if Path(path).suffix not in LOGS:
        raise ConfigError(expected(place, f"a file that ends in {' or '.join(LOGS)}", os.fspath(path)))


def write_log(path: PathLike, history: Sequence[Epoch]) -> None:
    """Write all epochs, whole or not at all, so that a run that goes on has no line twice. FileError: a full disk.

    Columns, and keys, are the fields of Epoch; in CSV what is None is empty, and names are separated by spaces.
    """
    text = LOGS[Path(path).suffix](history)
    save_bytes(path, text.encode())


def _csv(history: Sequence[Epoch]) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    rows.writeheader()
    for epoch in history:
        rows.writerow({**asdict(epoch), "silent": " ".join(epoch.silent)})
    return text.getvalue()


def _json_lines(history: Sequence[Epoch]) -> str:
    return "".join(json.dumps(asdict(epoch)) + "\n" for epoch in history)


LOGS: Mapping[str, Callable[[Sequence[Epoch]], str]] = {".csv": _csv, ".jsonl": _json_lines}
