"""`qpsnn predict`, from the files of event cameras to a backend's answers, and what `qpsnn simulate` compares."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import recording_of
from qpsnn_core.cli.options import Json
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.inference.agreement import agreement, disagreements
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_datasets import Dataset
from qpsnn_datasets.events import frames_in_bins, resize


def predict(
    network: Annotated[Path, typer.Argument(help="An integer network for frames of events.")],
    files: Annotated[list[Path], typer.Argument(help="Recordings, a file each.")],
    backend: Annotated[str, typer.Option("--backend", help="exact or lava.")] = "exact",
    format: Annotated[str, typer.Option("--format", help="As of `events import`; else guessed.")] = "",
    frames: Annotated[str, typer.Option("--frames", help="Of equal time, or of equal count of events.")] = "time",
    repair: Annotated[str, typer.Option("--repair", help="As of `events import`: sort,drop,...")] = "",
    json: Json = False,
) -> None:
    """Answer for recordings in any format of `events import`, on a backend, spike for spike as the exact simulator.

    Events of another sensor are scaled to the network's. Exit status 1 if a spike or a readout differs.
    """
    from qpsnn_core.integer.backends import get

    loaded = qp.load_integer(network)
    height, width, channels = loaded.input.shape
    if channels != 2:
        raise ConfigError(expected(f"{network}: input", "frames of events, [H, W, 2]", list(loaded.input.shape)))
    chosen = get(backend)
    chosen.check(loaded)
    found = [recording_of(file, loaded, format, repair) for file in files]
    scaled = [one if one.sensor == (height, width) else resize(one, height, width) for one in found]
    images = np.stack([frames_in_bins(one, loaded.steps, by=frames) for one in scaled], axis=1)
    run = chosen.run(loaded, images, record="spikes")
    exact = run if backend == "exact" else qp.simulate(loaded, images, record="spikes")
    spikes, readouts = disagreements(run, exact)
    answers = run.readout.argmax(1)
    rows = [
        (str(file), len(one), "x".join(map(str, one.sensor[::-1])), int(answer))
        for file, one, answer in zip(files, found, answers, strict=True)
    ]
    figures = {"backend": backend, "frames": frames, "spike_mismatches": spikes, "readout_mismatches": readouts}
    if json:
        keys = ("file", "events", "sensor", "answer")
        show.print_json({**figures, "recordings": [dict(zip(keys, row, strict=True)) for row in rows]})
    else:
        show.table(f"{network} on {backend}", ("recording", "events", "sensor", "answer"), rows)
        show.out.print(f"{spikes} spikes and {readouts} readouts differ from the exact simulator's", highlight=False)
    if spikes or readouts:
        raise typer.Exit(1)


def compare(network: IntegerNetwork, data: Dataset, backend: str, stock: bool = False) -> dict[str, Any]:
    """Accuracy on the backend, and how many of its spikes, membranes and readouts differ from the exact ones.

    stock: Lava's own processes alone, which tell no membranes.
    """
    begun = time.perf_counter()
    figures, measured = agreement(network, data, backend, membranes=not stock, **({"stock": True} if stock else {}))
    return {
        "backend": backend,
        "accuracy": measured.accuracy,
        "firing_rate": measured.firing_rate,
        **asdict(figures),
        "seconds": time.perf_counter() - begun,
    }
