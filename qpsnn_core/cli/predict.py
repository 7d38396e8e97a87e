"""`qpsnn predict`, from pictures, arrays or recordings to answers, and what `qpsnn simulate` compares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.compared import Compared
from qpsnn_core.cli.event_inputs import EventFormat, Reading, Repair, Sensor, reading_of, recordings_of
from qpsnn_core.cli.inputs import load_any
from qpsnn_core.cli.options import Json
from qpsnn_core.cli.predict_boxes import predict_boxes
from qpsnn_core.cli.predict_samples import answer_samples, asked_of
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.tasks import TASKS
from qpsnn_core.common.validation import check_choice
from qpsnn_core.inference.agreement import agreement
from qpsnn_core.inference.streaming import frames_for, scaled_to
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_datasets import Dataset
from qpsnn_datasets.events import Recording
from qpsnn_datasets.pictures import ENDINGS, RESIZES
from qpsnn_datasets.unlabelled import are_samples

BATCH = 64
"""Recordings whose frames are in memory at a time."""

Labelled = tuple[Path, tuple[str, ...], Recording]


def predict(
    network: Annotated[Path, typer.Argument(help="A checkpoint, or an integer network.")],
    files: Annotated[
        list[Path],
        typer.Argument(help="PNG or JPEG pictures, .npy arrays, folders of them; recordings for a network of events."),
    ],
    backend: Annotated[str, typer.Option("--backend", help="Of integer networks: exact, lava or c.")] = "exact",
    trained: Annotated[
        Path | None,
        typer.Option(
            "--trained", help="The checkpoint of an integer network: names of classes, how pictures are read."
        ),
    ] = None,
    classes: Annotated[str, typer.Option("--classes", help="Names, in order, with commas between.")] = "",
    task: Annotated[str, typer.Option("--task", help=f"What outputs are: {', '.join(TASKS)}.")] = "",
    resize: Annotated[str, typer.Option("--resize", help=f"Pictures of another size: {', '.join(RESIZES)}.")] = "",
    format: EventFormat = "",
    sensor: Sensor = "",
    repair: Repair = "",
    frames: Annotated[str, typer.Option("--frames", help="Of equal time, or of equal count of events.")] = "",
    boxes: Annotated[Path | None, typer.Option("--boxes", help="Find boxes in pictures; draw them here.")] = None,
    json: Json = False,
) -> None:
    """Answer for files: the class and probability of each picture, or what each recording of an event camera is.

    Recordings of another sensor are scaled to the network's. Exit status 1 if a backend's spike or readout differs
    from the exact simulator's. With --boxes, the boxes of a detector in pictures are listed, and drawn into PNG files.
    """
    loaded = load_any(network)
    own = {"--trained": trained, "--classes": classes, "--task": task, "--resize": resize}
    events = {"--format": format, "--sensor": sensor, "--repair": repair, "--frames": frames}
    if boxes is not None:
        _check_unused("to be searched for boxes", {**events, "--classes": classes, "--task": task, "--resize": resize})
        predict_boxes(network, loaded, files, boxes, trained, backend, json)
        return
    if any(events.values()) or not _are_samples(loaded, files):
        _check_unused("recordings", own)
        _predict_events(network, loaded, files, backend, reading_of(format, sensor, repair), frames or "time", json)
        return
    if task:
        check_choice("--task", task, TASKS)
    asked = asked_of(loaded, trained, classes, task, resize)
    answer_samples(network, loaded, files, asked, backend, json)


def _are_samples(loaded: Checkpoint | IntegerNetwork, files: list[Path]) -> bool:
    """Whether all files are pictures or arrays. Arrays are recordings for integers that count events at two places."""
    if isinstance(loaded, IntegerNetwork) and _counts_events(loaded):
        return all(one.suffix.lower() in ENDINGS for one in files)
    return all(are_samples(one) for one in files)


def _counts_events(network: IntegerNetwork) -> bool:
    return network.input.shape[2] == 2 and not network.input.low


def _check_unused(what: str, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise ConfigError(expected(name, f"nothing, as the files are {what}", str(value)))


def _predict_events(
    file: Path,
    loaded: Checkpoint | IntegerNetwork,
    files: list[Path],
    backend: str,
    reading: Reading,
    frames: str,
    json: bool,
) -> None:
    """Answer for recordings in any format of `events import`."""
    if not isinstance(loaded, IntegerNetwork):
        want = "PNG or JPEG pictures, .npy arrays, or folders of them; recordings need integers (`qpsnn lower`)"
        odd = next(one for one in files if not are_samples(one))
        got = "a folder without any" if odd.is_dir() else f"{odd.suffix or 'no ending'} beside the checkpoint {file}"
        raise ConfigError(expected(f"{odd}", want, Unquoted(got)))
    if not _counts_events(loaded):
        got = Unquoted(f"{list(loaded.input.shape)}, integers {loaded.input.low}..{loaded.input.peak}")
        raise ConfigError(expected(f"{file}: input", "frames of events, [H, W, 2], counts from 0", got))
    compared = Compared(loaded, backend)
    found = _all(files, reading)
    rows: list[dict[str, Any]] = []
    while batch := list(islice(found, BATCH)):
        scaled = [scaled_to(loaded, one) for _, _, one in batch]
        images = np.stack([frames_for(loaded, one, loaded.steps, by=frames) for one in scaled], axis=1)
        rows += [_row(*one, readout) for one, readout in zip(batch, compared(images), strict=True)]
    if not rows:
        raise DataError(expected(", ".join(map(str, files)), "a recording with events", Unquoted("none")))
    compared.warn(f"{len(rows)} recordings")
    figures = {**compared.figures, "frames": frames, "accuracy": _accuracy(rows)}
    if json:
        show.print_json({**figures, "recordings": rows})
    else:
        show.table(f"{file} on {backend}", tuple(rows[0]), [tuple(row.values()) for row in rows])
        if figures["accuracy"] is not None:
            show.out.print(f"accuracy {figures['accuracy']:.2%} of those with a label", highlight=False)
        compared.say()
    compared.end()


def _all(files: list[Path], reading: Reading) -> Iterator[Labelled]:
    for file in files:
        found = recordings_of(file, reading)
        for one in found:
            yield file, found.classes, one


def _row(file: Path, classes: tuple[str, ...], one: Recording, readout: Any) -> dict[str, Any]:
    """The label counts where the set has as many classes as the network."""
    return {
        "file": str(file),
        "recording": one.name,
        "events": len(one),
        "sensor": "x".join(map(str, one.sensor[::-1])),
        "answer": int(readout.argmax()),
        "label": one.label if one.label >= 0 and len(classes) == len(readout) else None,
    }


def _accuracy(rows: list[dict[str, Any]]) -> float | None:
    labelled = [row for row in rows if row["label"] is not None]
    return sum(row["answer"] == row["label"] for row in labelled) / len(labelled) if labelled else None


def compare(network: IntegerNetwork, data: Dataset, backend: str, stock: bool = False) -> dict[str, Any]:
    """Accuracy on the backend, and how many of its spikes, membranes and readouts differ from the exact ones.

    stock: Lava's own processes alone, which tell no membranes.
    """
    begun = time.perf_counter()
    figures, measured = agreement(network, data, backend, membranes=not stock, **({"stock": True} if stock else {}))
    return {
        "backend": backend,
        **measured.figures,
        "firing_rate": measured.firing_rate,
        **asdict(figures),
        "seconds": time.perf_counter() - begun,
    }
