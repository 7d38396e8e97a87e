"""What is remembered of every epoch of training, and where a run was left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from qpsnn_core.common.progress import Progress
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.tasks import CLASSIFICATION
from qpsnn_datasets import Dataset


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 1: means over its samples.

    loss: nats, or what the loss is of; accuracy, validation (None: none was asked for): 0 to 1, None where real numbers
    are predicted; of boxes accuracy is None, validation COCO's mean average precision; lr: of the last update;
    firing_rate: spikes per neuron and step, over all LIF; seconds: training alone, without the validation. silent: the
    LIF that did not fire once. validation_loss: of the mean logits, as `Evaluation.loss`. gate_accuracy: of channel
    gates, the share of decisions that are those of their targets; None without such gates, whose losses are part of
    `loss`. figures: of boxes, the mean average precisions of the validation in each convention, by name.
    """

    epoch: int
    loss: float
    accuracy: float | None
    validation: float | None
    lr: float
    firing_rate: float
    seconds: float
    silent: tuple[str, ...] = field(default=(), metadata=ADDED_LATER)
    validation_loss: float | None = field(default=None, metadata=ADDED_LATER)
    gate_accuracy: float | None = field(default=None, metadata=ADDED_LATER)
    figures: dict[str, float] = field(default_factory=dict, metadata=ADDED_LATER)


def best_epoch(history: Sequence[Epoch], monitor: str) -> int:
    """The number of the epoch with the highest accuracy, or lowest loss, on the validation; of equal ones the first.

    0: no epoch was validated. An epoch that an older version wrote has no loss there, and is never the best by it.
    """
    best, number = -math.inf, 0
    for epoch in history:
        figure = epoch.validation if monitor == "accuracy" else epoch.validation_loss
        if figure is not None and (score := figure if monitor == "accuracy" else -figure) > best:
            best, number = score, epoch.epoch
    return number


def out_of_patience(history: Sequence[Epoch], monitor: str, patience: int) -> bool:
    """Whether `patience` epochs have passed without a better one than before; never, if it is 0."""
    return bool(patience and history) and history[-1].epoch - best_epoch(history, monitor) >= patience


@runtime_checkable
class EpochListener(Protocol):
    """A listener of progress that also wants each epoch's figures once it is over, validation included."""

    def __call__(self, event: Progress) -> object:
        """As every listener."""

    def epoch_done(self, stage: str, epochs: int, figures: Epoch) -> object:
        """An epoch of so many `epochs` is over."""


@dataclass(frozen=True)
class Cursor:
    """Where a run stands: whole `epochs` are done, and `batches` of the next, with their sums over samples.

    Batches are made anew from (seed, epoch, batch), so this is all of the random state. spikes: of all LIF. fired:
    those that have fired in this epoch. gates_right, gates_decided: of channel gates.
    settings: what the run was started with, as JSON data; a run that goes on must have the same.
    """

    seed: int
    epochs: int = 0
    batches: int = 0
    samples: int = 0
    loss: float = 0.0
    correct: int = 0
    spikes: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    fired: tuple[str, ...] = field(default=(), metadata=ADDED_LATER)
    gates_right: int = field(default=0, metadata=ADDED_LATER)
    gates_decided: int = field(default=0, metadata=ADDED_LATER)


@dataclass(frozen=True)
class TrainedOn:
    """The data of a run, as the arrays say it: what they are called is no set that could be loaded again.

    shape: of a sample. train, validation: how many samples; None: there was no validation. task: what labels are.
    anchors, decode: of boxes, as of `DetectionDataset`. digests: SHA-256 of each part of the set, by name, as `digest`
    gives it.
    """

    name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    train: int
    validation: int | None = None
    digests: dict[str, str] = field(default_factory=dict, metadata=ADDED_LATER)
    task: str = field(default=CLASSIFICATION, metadata=ADDED_LATER)
    anchors: tuple[tuple[float, float], ...] = field(default=(), metadata=ADDED_LATER)
    decode: str = field(default="v5", metadata=ADDED_LATER)

    def __str__(self) -> str:
        """Such as "'mine': 1,000 samples [8, 8, 1], 10 classes"."""
        outputs = f"{len(self.classes)} {'classes' if self.task == CLASSIFICATION else f'outputs of {self.task}'}"
        return f"{self.name!r}: {self.train:,} samples {list(self.shape)}, {outputs}"


def what_differs(known: TrainedOn | None, part: str, now: Dataset) -> str:
    """In words, how a part of a set is other than the one that a checkpoint knows, whose digest differs."""
    if known is None:
        return "images, unit or labels differ"
    counts = {"train": known.train, "validation": known.validation}
    figures = {
        "samples": (counts.get(part), len(now)),
        "shape": (list(known.shape), list(now.sample_shape)),
        "classes": (list(known.classes), list(now.classes)),
        "task": (known.task, now.task),
    }
    for name, (old, new) in figures.items():
        if old is not None and old != new:
            return f"{name} {new}, not {old}"
    return "as many samples of the same shape, whose numbers, unit or labels differ"


def digest(dataset: Dataset) -> str:
    """SHA-256 of the images, their unit and the labels; of a set with boxes, of all that belongs to these."""
    unit = "" if dataset.scale is None else f" {dataset.images.dtype} {dataset.scale!r}"
    total = sha256(f"{dataset.images.shape}{unit}".encode())
    total.update(dataset.images.data)
    for array in dataset.annotations:
        total.update(array.data)
    return total.hexdigest()
