"""How recordings come into a command: the options of `events import`, `predict` and `stream`, and what they read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.hdf5 import check_recordings, file_kind
from qpsnn_datasets.events import NAMES, REPAIRS, EventStore, Recordings, load_events
from qpsnn_datasets.events.writer import KIND

EventFormat = Annotated[
    str, typer.Option("--format", help=f"One of {', '.join(NAMES)}; guessed where that is beyond doubt.")
]
Sensor = Annotated[str, typer.Option("--sensor", help="WIDTHxHEIGHT, where files do not say it.")]
Repair = Annotated[str, typer.Option("--repair", help=f"What may be mended, of {','.join(REPAIRS)}.")]


class Reading(NamedTuple):
    """These options as `import_events` takes them. sensor: (H, W)."""

    format: str
    sensor: tuple[int, int] | None
    repair: tuple[str, ...]


def reading_of(format: str, sensor: str, repair: str) -> Reading:
    """What the three options say. ConfigError: a sensor that is no WIDTHxHEIGHT."""
    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", sensor)
    if sensor and not size:
        raise ConfigError(expected("--sensor", "WIDTHxHEIGHT, such as 640x480", sensor))
    repairs = tuple(name.strip() for name in repair.split(",") if name.strip())
    return Reading(format, (int(size[2]), int(size[1])) if size else None, repairs)


def recordings_of(path: Path, reading: Reading) -> Recordings | EventStore:
    """What a store, or a file, folder or archive in any format of `events import` holds, read one at a time.

    Raises ConfigError (options that a store does not take), and what `Recordings` and `load_events` raise.
    """
    if _kind(path) != KIND:
        return Recordings(path, **reading._asdict())
    given = [f"--{name}" for name, value in reading._asdict().items() if value]
    if given:
        want = "no options of other formats with a store, whose recordings are as they were imported"
        raise ConfigError(expected(str(path), want, Unquoted(", ".join(given))))
    return load_events(path)


def _kind(path: Path) -> str:
    """Which of our files this is; "" for those of others."""
    check_recordings(path)
    return KIND if path.is_file() and file_kind(path) == KIND else ""
