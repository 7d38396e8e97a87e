"""`qpsnn predict` of pictures and arrays: the class of each, and its probability, by a checkpoint or its integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.compared import Compared
from qpsnn_core.cli.inputs import recipe_of
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL, REGRESSION
from qpsnn_core.engine.evaluation import check_data, check_outputs
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.inference.predict import Prediction, logits_of, prediction_of
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_datasets import Dataset
from qpsnn_datasets.unlabelled import Wanted, samples_of

BATCH = 64
"""Samples that are in memory at a time."""


class Asked(NamedTuple):
    """How samples are read and their answers called. data: of the recipe of a checkpoint; task: of the outputs."""

    data: DataConfig
    classes: tuple[str, ...]
    task: str


def answer_samples(
    file: Path, loaded: Checkpoint | IntegerNetwork, files: Sequence[Path], asked: Asked, backend: str, json: bool
) -> None:
    """Answer for pictures and arrays, print a table or JSON. Exit status 1 if a backend differs from the simulator."""
    network = loaded if isinstance(loaded, IntegerNetwork) else loaded.model.network
    if isinstance(loaded, Checkpoint) and backend != "exact":
        want = "an integer network (`qpsnn lower` makes one), as a backend runs nothing else"
        raise ConfigError(expected(f"{file}: --backend {backend}", want, Unquoted("a checkpoint")))
    if asked.classes and len(asked.classes) != network.classes:
        want = f"{network.classes}, one for each output of {file}"
        raise ConfigError(expected("classes", want, Unquoted(f"{len(asked.classes)}: {', '.join(asked.classes)}")))
    check_outputs(str(file), network, asked.task)
    compared = Compared(loaded, backend) if isinstance(loaded, IntegerNetwork) else None
    rows: list[dict[str, Any]] = []
    wanted = Wanted(_shape(network, asked.data), _unit(network, asked.data), asked.data.resize, asked.data.channels)
    for names, data in samples_of(files, wanted._replace(series=asked.data.series), BATCH):
        images = _coded(data, network.steps, asked.data)
        check_data(network, images)
        if compared is None:
            assert isinstance(loaded, Checkpoint)  # noqa: S101 - what has no integers
            found = qp.predict(loaded.model, images, task=asked.task)._replace(classes=asked.classes)
        else:
            assert isinstance(loaded, IntegerNetwork)  # noqa: S101 - likewise
            found = prediction_of([logits_of(loaded, compared(steps_first(images.images)))], asked.task, asked.classes)
        rows += [_row(name, found, index) for index, name in enumerate(names)]
    if compared is not None:
        compared.warn(f"{len(rows)} samples")
    _show(file, rows, compared, asked, network.classes, backend, json)


def _show(
    file: Path,
    rows: list[dict[str, Any]],
    compared: Compared | None,
    asked: Asked,
    count: int,
    backend: str,
    json: bool,
) -> None:
    if json:
        figures = {} if compared is None else compared.figures
        show.print_json({**figures, "task": asked.task, "classes": _called(asked.classes, count), "samples": rows})
    elif asked.task == CLASSIFICATION:
        cells = [(row["file"], row["class"], row["probability"]) for row in rows]
        show.table(f"{file} on {backend}", ("file", "class", "probability"), cells)
    else:
        heads = _called(asked.classes, count)
        figure = "probabilities" if asked.task == MULTILABEL else "values"
        show.table(f"{file} on {backend}", ("file", *heads), [(row["file"], *row[figure]) for row in rows])
    if compared is not None:
        if not json:
            compared.say()
        compared.end()


def _row(name: str, found: Prediction, index: int) -> dict[str, Any]:
    """What is said of one sample."""
    if found.task == REGRESSION or found.probabilities is None:
        return {"file": name, "values": found.labels[index].tolist()}
    likely = found.probabilities[index].tolist()
    if found.task == MULTILABEL:
        return {"file": name, "labels": list(found.names[index]), "probabilities": likely}
    label = int(found.labels[index])
    said = {"file": name, "class": found.names[index], "probability": likely[label]}
    return {**said, "answer": label, "probabilities": likely}


def _called(classes: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The names of the outputs, or their numbers."""
    return classes or tuple(map(str, range(count)))


def _shape(network: Any, data: DataConfig) -> tuple[int, int, int]:
    """Of the samples before they are coded: changes of a series have two channels for each."""
    height, width, channels = network.input.shape
    return height, width, channels // 2 if data.coding == "delta" else channels


def _unit(network: Any, data: DataConfig) -> InputRange | None:
    """What an integer of the samples stands for; None: it is a count of events."""
    node = network.input
    if data.coded is not None:
        return InputRange(0, 255, 1 / 255)
    if node.peak is None or getattr(node, "spikes", False):
        return None
    return InputRange(node.low, node.peak, node.scale or 1 / node.peak)


def _coded(data: Dataset, steps: int, config: DataConfig) -> Dataset:
    """As the recipe codes its set; each sample as if it were the first, so that no answer depends on other samples."""
    options = config.coded
    if options is None:
        return data
    chosen: dict[str, Any] = {**options, **({} if config.coding == "delta" else {"steps": steps})}
    coded = [qp.encode(data.images[k : k + 1], config.coding, **chosen) for k in range(len(data))]
    return replace(data, images=np.concatenate(coded), scale=None)


def asked_of(loaded: Checkpoint | IntegerNetwork, trained: Path | None, classes: str, task: str, resize: str) -> Asked:
    """What a checkpoint says, the loaded one or the one that integers were lowered from, and options that say more.

    Raises ConfigError: a second checkpoint beside a checkpoint, a name that is none of its kind.
    """
    if trained is not None and isinstance(loaded, Checkpoint):
        want = "nothing, as the first file is a checkpoint itself"
        raise ConfigError(expected("--trained", want, str(trained)))
    source = loaded if isinstance(loaded, Checkpoint) else qp.load_checkpoint(trained) if trained else None
    data = DataConfig() if source is None else recipe_of(source).data
    if resize:
        data = replace(data, resize=resize)
    past = None if source is None else source.data
    names = tuple(one.strip() for one in classes.split(",")) if classes else () if past is None else past.classes
    return Asked(data, names, task or (CLASSIFICATION if past is None else past.task))
