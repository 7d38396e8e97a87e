"""What `qpsnn predict --boxes` does: pictures in, pictures with boxes out, and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import load_trained
from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.tasks import DETECTION
from qpsnn_core.inference.boxes import find_boxes, texts_of
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_core.training.history import TrainedOn
from qpsnn_datasets.detection.drawing import draw_boxes, save_picture
from qpsnn_datasets.detection.loading import read_picture


def predict_boxes(
    network: Path,
    loaded: Checkpoint | IntegerNetwork,
    files: list[Path],
    folder: Path,
    trained: Path | None,
    backend: str,
    json: bool,
) -> None:
    """Find and draw the boxes of each picture; status 1 if a spike or a readout differs from the exact simulator's.

    loaded: what the file `network` holds. trained: the checkpoint that an integer network was lowered from, whose
    classes and anchors it needs. folder: of the drawn pictures, which have the names of the files, ending in .png.
    """
    model: Any = loaded if isinstance(loaded, IntegerNetwork) else loaded.model
    coded = _coded(network, loaded, trained)
    names = [file.stem for file in files]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(expected("files", "names of their own, as their pictures are called so", name))
    height, width, _ = model.input.shape if isinstance(model, IntegerNetwork) else model.network.input.shape
    target = writable_folder(folder)
    rows: list[dict[str, Any]] = []
    wrong = [0, 0]
    for file, name in zip(files, names, strict=True):
        picture, image, letterboxes = read_picture(file, (height, width))
        found = find_boxes(model, image[np.newaxis], letterboxes, coded, backend=backend)
        wrong = [sum(pair) for pair in zip(wrong, found[1:], strict=True)]
        boxes, texts = found.detections.boxes, texts_of(found.detections, 0, coded.classes)
        save_picture(target / f"{name}.png", draw_boxes(picture, boxes, found.detections.classes, texts))
        for edges, kind, score in zip(boxes.tolist(), found.detections.classes, found.detections.scores, strict=True):
            box = dict(zip(("left", "top", "right", "bottom"), (round(edge, 1) for edge in edges), strict=True))
            rows.append({"file": str(file), "class": coded.classes[int(kind)], "score": float(score), **box})
    figures = {"backend": backend, "spike_mismatches": wrong[0], "readout_mismatches": wrong[1]}
    if json:
        show.print_json({**figures, "pictures": str(target), "boxes": rows})
    else:
        heads = ("file", "class", "score", "left", "top", "right", "bottom")
        show.table(f"{network} on {backend}", heads, [tuple(row.values()) for row in rows])
        show.out.print(f"{len(rows)} boxes in {len(files)} pictures, drawn in {target}", highlight=False, markup=False)
        if backend != "exact":
            said = f"{wrong[0]} spikes and {wrong[1]} readouts differ from the exact simulator's"
            show.out.print(said, highlight=False)
    if any(wrong):
        raise typer.Exit(1)


def _coded(network: Path, loaded: Checkpoint | IntegerNetwork, trained: Path | None) -> TrainedOn:
    """Classes and anchors of a detector. ConfigError: nothing says them."""
    source = load_trained(trained) if trained is not None else loaded
    data = source.data if isinstance(source, Checkpoint) else None
    if data is None or data.task != DETECTION:
        want = "the checkpoint of a detector, which knows classes and anchors (--trained names it)"
        got = "an integer network" if isinstance(source, IntegerNetwork) else f"one trained on {data}"
        raise ConfigError(expected(str(trained or network), want, Unquoted(got)))
    return data
