"""`qpsnn stream`: an integer network on a stream of events, with the time that each window's answer takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.event_inputs import EventFormat, Reading, Repair, Sensor, reading_of, recordings_of
from qpsnn_core.cli.options import Json
from qpsnn_core.common.errors import ConfigError, DataError, FileError, Unquoted, expected
from qpsnn_core.inference.streaming import Answer, end_to_end, one_after_the_other, scaled_to
from qpsnn_datasets.digits import load_digits
from qpsnn_datasets.events import Recording, Recordings
from qpsnn_datasets.events.saccades import CAMERA
from qpsnn_datasets.events.sets import Seen

SET = "digits-events"

SHOWN = 20
"""Windows that the table has; the figures are of all."""


def stream(
    network: Annotated[Path, typer.Argument(help="An integer network for frames of events.")],
    data: Annotated[
        str, typer.Option("--data", help="digits-events, a store, or recordings in any format of `events import`.")
    ] = "",
    format: EventFormat = "",
    sensor: Sensor = "",
    repair: Repair = "",
    window: Annotated[
        int, typer.Option("--window-us", min=1, help="Microseconds that one answer is for.")
    ] = CAMERA.duration,
    steps: Annotated[
        int, typer.Option("--steps", min=0, help="Time steps of a window; 0: the network's T, or 1 with --keep.")
    ] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Membranes go on from window to window.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many windows; 0: all.")] = 0,
    json: Json = False,
) -> None:
    """Run an integer network over a stream of events, an answer for every window, and say how long each took."""
    loaded = qp.load_integer(network)
    if not data:
        want = "digits-events, a store, or recordings in any format of `events import`"
        raise ConfigError(expected(f"{network}: an integer network names no data; give --data", want, Unquoted("none")))
    source = _source(data, reading_of(format, sensor, repair), window)
    recordings = (scaled_to(loaded, one) for one in source.recordings)
    answers = qp.stream(loaded, recordings, window, steps=steps or None, keep=keep, start=source.start)
    rows = [_row(index, one, source.classes) for index, one in enumerate(islice(answers, limit or None))]
    if not rows:
        raise DataError(expected(data, "at least one event", Unquoted("none")))
    figures = _figures(rows, window)
    if json:
        used = {"name": data, "path": ""} if data == SET else {"name": "events", "path": data}
        show.print_json({"data": used, "figures": figures, "windows": rows})
        return
    heads = ("window", "begins, us", "events", "answer", "label", "latency, ms")
    show.table(f"{network} on {data}", heads, [tuple(row.values()) for row in rows[:SHOWN]])
    if len(rows) > SHOWN:
        show.out.print(f"and {len(rows) - SHOWN} windows more: --json has them all")
    show.table("in all", ("figure", "value"), list(figures.items()))


class Source(NamedTuple):
    """Recordings that are one stream, the number of their classes, and where the first window begins (None: there)."""

    recordings: Iterable[Recording]
    classes: int
    start: int | None


def _source(data: str, reading: Reading, window: int) -> Source:
    """One recording is the stream as it is; of several, each begins with a window of its own."""
    if data == SET:
        images = load_digits().test
        seen = Seen(images)
        one_by_one = (seen[index] for index in range(len(seen)))
        return Source(one_after_the_other(one_by_one, CAMERA.duration), len(images.classes), 0)
    if not Path(data).exists():
        raise FileError(expected("--data", f"{SET}, or a file of events", data))
    found = recordings_of(Path(data), reading)
    if len(found) == 1 and isinstance(found, Recordings):
        return Source(found, len(found.classes), None)
    return Source(end_to_end(found, window), len(found.classes), 0)


def _row(index: int, one: Answer, classes: int) -> dict[str, Any]:
    """The label counts where the set has as many classes as the network."""
    label = one.window.events.label
    return {
        "window": index,
        "begin_us": one.window.begin,
        "events": len(one.window.events),
        "answer": one.answer,
        "label": label if label >= 0 and classes == one.run.readout.shape[1] else None,
        "latency_ms": 1e3 * one.seconds,
    }


def _figures(rows: list[dict[str, Any]], window: int) -> dict[str, Any]:
    latency = [row["latency_ms"] for row in rows]
    labelled = [row for row in rows if row["label"] is not None]
    right = sum(row["answer"] == row["label"] for row in labelled)
    return {
        "windows": len(rows),
        "window_ms": window / 1e3,
        "events": sum(row["events"] for row in rows),
        "accuracy": right / len(labelled) if labelled else None,
        "latency_min_ms": min(latency),
        "latency_median_ms": statistics.median(latency),
        "latency_max_ms": max(latency),
        "times_real_time": len(rows) * window / 1e3 / sum(latency),
    }
