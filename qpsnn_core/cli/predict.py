"""`qpsnn predict`, from the files of event cameras to a backend's answers, and what `qpsnn simulate` compares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.event_inputs import EventFormat, Reading, Repair, Sensor, reading_of, recordings_of
from qpsnn_core.cli.options import Json
from qpsnn_core.common.dead_layers import warn_dead_layers
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.inference.agreement import agreement, disagreements
from qpsnn_core.inference.streaming import frames_for, scaled_to
from qpsnn_core.integer.dead import dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_datasets import Dataset
from qpsnn_datasets.events import Recording

BATCH = 64
"""Recordings whose frames are in memory at a time."""

Labelled = tuple[Path, tuple[str, ...], Recording]


def predict(
    network: Annotated[Path, typer.Argument(help="An integer network for frames of events.")],
    files: Annotated[list[Path], typer.Argument(help="Stores, or files, folders and archives of recordings.")],
    backend: Annotated[str, typer.Option("--backend", help="exact, lava or c.")] = "exact",
    format: EventFormat = "",
    sensor: Sensor = "",
    repair: Repair = "",
    frames: Annotated[str, typer.Option("--frames", help="Of equal time, or of equal count of events.")] = "time",
    json: Json = False,
) -> None:
    """Answer for recordings in any format of `events import`, on a backend, spike for spike as the exact simulator.

    Events of another sensor are scaled to the network's. Exit status 1 if a spike or a readout differs.
    """
    from qpsnn_core.integer.backends import get

    loaded = qp.load_integer(network)
    if loaded.input.shape[2] != 2 or loaded.input.low:
        got = Unquoted(f"{list(loaded.input.shape)}, integers {loaded.input.low}..{loaded.input.peak}")
        raise ConfigError(expected(f"{network}: input", "frames of events, [H, W, 2], counts from 0", got))
    chosen = get(backend)
    chosen.check(loaded)
    found = _all(files, reading_of(format, sensor, repair))
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {"backend": backend, "frames": frames, "spike_mismatches": 0, "readout_mismatches": 0}
    fired = dict.fromkeys((node.name for node in loaded.of(IntLIF)), 0)
    while batch := list(islice(found, BATCH)):
        scaled = [scaled_to(loaded, one) for _, _, one in batch]
        images = np.stack([frames_for(loaded, one, loaded.steps, by=frames) for one in scaled], axis=1)
        run = chosen.run(loaded, images, record="spikes")
        exact = run if backend == "exact" else qp.simulate(loaded, images, record="spikes")
        fired = {name: fired[name] + int(one.any()) for name, one in exact.spikes.items()}
        spikes, readouts = disagreements(run, exact)
        figures["spike_mismatches"] += spikes
        figures["readout_mismatches"] += readouts
        rows += [_row(*one, readout) for one, readout in zip(batch, run.readout, strict=True)]
    if not rows:
        raise DataError(expected(", ".join(map(str, files)), "a recording with events", Unquoted("none")))
    warn_dead_layers("predict", dead_integers(loaded, fired, f"{len(rows)} recordings"))
    figures["accuracy"] = _accuracy(rows)
    if json:
        show.print_json({**figures, "recordings": rows})
    else:
        show.table(f"{network} on {backend}", tuple(rows[0]), [tuple(row.values()) for row in rows])
        if figures["accuracy"] is not None:
            show.out.print(f"accuracy {figures['accuracy']:.2%} of those with a label", highlight=False)
        said = f"{figures['spike_mismatches']} spikes and {figures['readout_mismatches']} readouts"
        show.out.print(f"{said} differ from the exact simulator's", highlight=False)
    if figures["spike_mismatches"] or figures["readout_mismatches"]:
        raise typer.Exit(1)


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
