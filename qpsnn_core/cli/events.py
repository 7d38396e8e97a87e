"""`qpsnn events`: files of event cameras into a store; what is in a store; a recording as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.text import Text

from qpsnn_core.cli import show
from qpsnn_core.cli.event_inputs import EventFormat, Repair, Sensor, reading_of
from qpsnn_core.cli.options import Json, Quiet
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.hdf5 import check_recordings
from qpsnn_core.common.install import missing_extra
from qpsnn_core.common.progress import Progress
from qpsnn_datasets.events import REPAIRS, SPLITS, EventStore, Recording, import_events, load_events
from qpsnn_datasets.events import pictures as event_pictures

app = typer.Typer(
    help="Recordings of event cameras: import them, look at them.", no_args_is_help=True, rich_markup_mode=None
)

Store = Annotated[Path, typer.Argument(help="A store that `qpsnn events import` wrote.")]


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="A file, a zip archive, or a folder, with class and split folders or not.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The store to write.")] = Path("events.h5"),
    format: EventFormat = "",
    sensor: Sensor = "",
    repair: Repair = "",
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="At most so many of each split, classes in proportion; 0: all.")
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read recordings into one store; a fault that no --repair names ends it, and leaves nothing."""
    check_recordings(path)
    reading = reading_of(format, sensor, repair)
    with show.bars(quiet) as listen:
        done = import_events(
            path,
            out,
            **reading._asdict(),
            limit=limit or None,
            progress=lambda batch, batches: listen(Progress("import", 1, 1, batch, batches, None, None)),
        )
    figures = {
        "store": str(out),
        "format": done.format,
        "recordings": done.recordings,
        "events": done.events,
        "splits": done.splits,
        "bytes": out.stat().st_size,
    }
    if json:
        show.print_json({**figures, "repairs": _repairs(done.repairs)})
        return
    show.table(str(out), ("figure", "value"), [(name, _words(value)) for name, value in figures.items()])
    for name, (recordings, amount) in done.repairs.items():
        show.out.print(f"{name}: {amount:,} in {recordings:,} recordings ({REPAIRS[name]})", highlight=False)


@app.command()
def info(store: Store, json: Json = False) -> None:
    """What is in a store: recordings, events, rates, times, sensors, ranges, classes. It reads all events' places."""
    with load_events(store) as opened:
        figures, classes = _figures(opened), _classes(opened)
    if json:
        show.print_json({**figures, "classes": classes})
        return
    rows = [(name, _words(value)) for name, value in figures.items()]
    show.table(str(store), ("figure", "value"), rows)
    if classes:
        splits = [split for split in SPLITS if any(split in row for row in classes)]
        heads = ("class", *splits, "events, mean", "seconds, mean")
        cells = [
            (row["class"], *(row.get(split, 0) for split in splits), row["events_mean"], row["seconds_mean"])
            for row in classes
        ]
        show.table("classes", heads, cells)


@app.command("show")
def show_(
    store: Store,
    index: Annotated[int, typer.Argument(help="Which recording, from 0.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .png or .gif to write; else in the terminal.")
    ] = None,
    slices: Annotated[
        int, typer.Option("--slices", min=0, help="Pictures of equal time; 0: 6 (.png), 40 (.gif), 1.")
    ] = 0,
    begin: Annotated[float, typer.Option("--begin", min=0.0, help="Milliseconds after its first event.")] = 0.0,
    end: Annotated[float, typer.Option("--end", min=0.0, help="Milliseconds after its first event; 0: its end.")] = 0.0,
    fps: Annotated[int, typer.Option("--fps", min=1, max=50, help="Pictures a second of a .gif.")] = 15,
) -> None:
    """Draw a recording: ON events blue, OFF events orange."""
    with load_events(store) as opened:
        recording = _window(opened, index, begin, end)
        title, origin = f"{index}: {recording.name}{_class(opened, recording)}", int(opened.first[index])
    if not len(recording):
        raise DataError(expected(title, "an event between --begin and --end", Unquoted("none")))
    if out is None:
        _print(title, recording, slices or 1, origin)
        return
    if out.suffix.lower() not in (".png", ".gif"):
        raise ConfigError(expected("--out", "a file .png or .gif", str(out)))
    try:
        from qpsnn_core.experiments.plots import events as plot_events
    except ImportError as error:
        raise missing_extra("show", "matplotlib, which draws", "plot", error) from error
    if out.suffix.lower() == ".png":
        plot_events.still(out, recording, slices or 6, origin)
    else:
        plot_events.moving(out, recording, slices or 40, fps, origin)
    show.out.print(str(out), highlight=False, soft_wrap=True)


def _window(store: EventStore, index: int, begin: float, end: float) -> Recording:
    if not -len(store) <= index < len(store):
        raise ConfigError(expected("INDEX", f"a recording, 0 to {len(store) - 1}", index))
    first, last = int(store.first[index]), int(store.last[index])
    start = first + round(begin * 1000)
    stop = first + round(end * 1000) if end else max(start, last + 1)
    return store[index] if not begin and not end else store.window(index, start, stop)


def _class(store: EventStore, recording: Recording) -> str:
    return f" ({store.classes[recording.label]})" if recording.label >= 0 else ""


def _figures(store: EventStore) -> dict[str, Any]:
    counts, spans = store.counts, (store.last - store.first) / 1e6
    events, seconds = int(counts.sum()), float(spans.sum())
    ranges = store.ranges()
    sizes, times = np.unique(np.stack((store.widths, store.heights), 1), axis=0, return_counts=True)
    size = store.path.stat().st_size
    held = counts > 0
    return {
        "recordings": len(store),
        "events": events,
        "events_per_recording": _spread(counts),
        "on_share": float(store.on.sum() / events) if events else None,
        "seconds": seconds,
        "seconds_per_recording": _spread(spans),
        "events_per_second": events / seconds if seconds else None,
        "t": [int(store.first[held].min()), int(store.last[held].max())] if held.any() else None,
        "x": ranges["x"],
        "y": ranges["y"],
        "sensors": {f"{width}x{height}": int(n) for (width, height), n in zip(sizes.tolist(), times, strict=True)},
        "splits": {split: int((store.splits == split).sum()) for split in SPLITS if (store.splits == split).any()},
        "unlabelled": int((store.labels < 0).sum()),
        "bytes": size,
        "bytes_per_event": size / events if events else None,
        **store.notes,
        "repairs": _repairs(store.notes.get("repairs", {})),
    }


def _repairs(done: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {name: {"recordings": recordings, "amount": amount} for name, (recordings, amount) in done.items()}


def _spread(values: Any) -> dict[str, float] | None:
    if not len(values):
        return None
    return {"least": float(values.min()), "mean": float(values.mean()), "most": float(values.max())}


def _classes(store: EventStore) -> list[dict[str, Any]]:
    rows = []
    for label, name in enumerate(store.classes):
        of_class = store.labels == label
        row: dict[str, Any] = {"class": name, "recordings": int(of_class.sum())}
        row |= {split: n for split in SPLITS if (n := int((of_class & (store.splits == split)).sum()))}
        spans = (store.last - store.first)[of_class] / 1e6
        row["events_mean"] = float(store.counts[of_class].mean()) if of_class.any() else None
        row["seconds_mean"] = float(spans.mean()) if of_class.any() else None
        rows.append(row)
    return rows


def _words(value: Any) -> str:
    if isinstance(value, dict):
        inner = (
            (name, f"({_words(each)})" if isinstance(each, dict) else _words(each)) for name, each in value.items()
        )
        return ", ".join(f"{name}: {words}" for name, words in inner) or "none"
    if isinstance(value, (list, tuple)):
        return " to ".join(_words(each) for each in value)
    return value if isinstance(value, str) else show.number(value)


def _print(title: str, recording: Recording, slices: int, origin: int) -> None:
    """Each slice in half blocks, as large as the terminal takes it, and the rate over all its columns."""
    width, height = show.out.size
    size = event_pictures.picture_size(recording, 2 * max(4, height - 6), width)
    times = event_pictures.edges(recording, slices)
    counted = event_pictures.counts(recording, times, size)
    pictures = event_pictures.colours(counted, event_pictures.SCREEN)
    show.out.print(f"{title}: {len(recording):,} events, {recording.duration / 1e6:.4g} s", highlight=False)
    events = counted.sum(1)
    least = (
        1 if show.out.color_system else max(1.0, float(np.percentile(events, 95)) / 4)
    )  # where only shape can say it
    for picture, there, begin in zip(pictures, events >= least, times, strict=False):
        if slices > 1:
            show.out.print(f"from {(begin - origin) / 1000:,.1f} ms", highlight=False)
        for row in range(0, size[0], 2):
            show.out.print(_line(picture[row : row + 2], there[row : row + 2]), no_wrap=True)
    rate = event_pictures.rate(recording, min(width, 80)).sum(0)
    levels = np.minimum(7, 8 * rate / max(1.0, rate.max())).astype(int)
    show.out.print("".join("▁▂▃▄▅▆▇█"[level] for level in levels), highlight=False)
    show.out.print(f"at most {show.number(float(rate.max()))} events/s", highlight=False)


def _line(colours: Any, there: Any) -> Text:
    """Two rows of pixels as one of characters; without colour, their shape still says where events are."""
    line = Text()
    plain = show.out.color_system is None
    if len(colours) == 1:
        colours, there = np.concatenate((colours, 0 * colours)), np.concatenate((there, there & False))
    for upper, lower, above, below in zip(*colours, *there, strict=True):
        if above and below:
            line.append("█" if plain else "▀", f"rgb({','.join(map(str, upper))}) on rgb({','.join(map(str, lower))})")
        elif above or below:
            line.append("▀" if above else "▄", f"rgb({','.join(map(str, upper if above else lower))})")
        else:
            line.append(" ")
    return line
