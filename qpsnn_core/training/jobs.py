"""What a run does with the samples of a set: its batches, their loss, and what is measured after an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from qpsnn_core.common.detection import DetectionHead
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.tasks import REGRESSION
from qpsnn_core.common.types import Floats
from qpsnn_core.engine.detector_head import levels_of, mean_maps, with_start_bias
from qpsnn_core.engine.detector_measure import FIRST, measure_detector
from qpsnn_core.engine.evaluation import measure_model
from qpsnn_core.engine.measures import MEASURES
from qpsnn_core.engine.passes import ForwardPass
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.optim.detection_losses import DetectionGains, detection_loss
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.history import Cursor
from qpsnn_core.training.objective import Objective
from qpsnn_datasets import Augment, Dataset, Mixed, batches, mixed
from qpsnn_datasets.detection.augment import DetectionAugment
from qpsnn_datasets.detection.batches import DetectionBatch, detection_batches
from qpsnn_datasets.detection.schema import DetectionDataset

Gradient = Floats | Mapping[str, Floats]
"""By the logits, or by those of each readout."""


class Measured(NamedTuple):
    """Of a validation. score: the figure by which an epoch is the best, None where none is; figures: by name."""

    score: float | None
    loss: float
    figures: Mapping[str, float]


class Job(Protocol):
    """What differs between sets with labels and sets with boxes."""

    def begun(self, model: Model) -> Model:
        """A fresh model, with what its outputs begin with."""

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch from `start` on; each has `images`."""

    def loss(self, network: Network, done: ForwardPass, batch: Any) -> tuple[float, Gradient]:
        """The loss of a batch, and its gradient by the outputs of the pass."""

    def right(self, done: ForwardPass, batch: Any) -> int:
        """How many answers are right; 0 where none is right or wrong."""

    def share(self, position: Cursor) -> float | None:
        """The share of answers in this epoch that are right; None where none is right or wrong."""

    def measure(self, model: Model, data: Any, progress: Listener, arithmetic: str) -> Measured:
        """How well a model does on the validation."""


@dataclass(frozen=True)
class LabelJob:
    """Sets with labels: logits of the only readout."""

    data: Dataset
    augment: Augment | None
    config: TrainConfig
    objective: Objective

    def begun(self, model: Model) -> Model:
        """As it is."""
        return model

    def batches(self, epoch: int, start: int) -> Iterator[Mixed]:
        """Mixed, where the run asks for it."""
        config = self.config
        order = {"seed": config.seed, "epoch": epoch, "start": start}
        source = batches(self.data, config.batch, augment=self.augment, drop_last=True, **order)
        for number, (images, labels) in enumerate(source, start):
            if config.mixup:
                yield mixed(images, labels, config.mixup, config.seed, epoch, number)
            else:
                yield Mixed(images, labels, labels, 1.0)

    def loss(self, network: Network, done: ForwardPass, batch: Mixed) -> tuple[float, Gradient]:
        """Of the logits of the only readout."""
        return mixed_loss(self.objective, done.logits, batch)

    def right(self, done: ForwardPass, batch: Mixed) -> int:
        """As the task measures it."""
        measures = MEASURES[self.data.task]
        return measures.right(batch.labels, measures.answer(done.logits)) or 0

    def share(self, position: Cursor) -> float | None:
        """Of all answers."""
        of = position.samples * MEASURES[self.data.task].of(len(self.data.classes))
        return None if self.data.task == REGRESSION else position.correct / of

    def measure(self, model: Model, data: Dataset, progress: Listener, arithmetic: str) -> Measured:
        """Accuracy and loss."""
        found = measure_model(model, data, progress=progress, arithmetic=arithmetic)
        return Measured(found.figures.get("accuracy"), found.loss, {})


def mixed_loss(objective: Objective, logits: Floats, batch: Mixed) -> tuple[float, Floats]:
    """The loss and its gradient; of mixed images, of both labels in their shares."""
    loss, gradient = objective(logits, batch.labels)
    if batch.share == 1:
        return loss, gradient
    other, slope = objective(logits, batch.others)
    share, rest = np.float32(batch.share), np.float32(1 - batch.share)
    return batch.share * loss + (1 - batch.share) * other, share * gradient + rest * slope


@dataclass(frozen=True)
class BoxJob:
    """Sets with boxes: maps of several readouts, their means over T."""

    data: DetectionDataset
    augment: DetectionAugment | None
    config: TrainConfig
    head: DetectionHead
    gains: DetectionGains

    def begun(self, model: Model) -> Model:
        """With the bias of a detector's maps."""
        return with_start_bias(model, self.head)

    def batches(self, epoch: int, start: int) -> Iterator[DetectionBatch]:
        """Changed as `augment` says."""
        order = {"seed": self.config.seed, "epoch": epoch, "start": start}
        return detection_batches(self.data, self.config.batch, augment=self.augment, drop_last=True, **order)

    def loss(self, network: Network, done: ForwardPass, batch: DetectionBatch) -> tuple[float, Gradient]:
        """The sum of the parts of `detection_loss`, of the means over T; published code multiplies it by the batch.

        As other losses, it is a mean: a learning rate means the same for any batch.
        """
        maps = mean_maps(network, done.outputs)
        found, slopes = detection_loss(maps, batch.targets, self.head, self.gains)
        count = len(batch.images)
        gradients = {}
        for name, slope in zip(levels_of(network), slopes, strict=True):
            steps = len(done.outputs[name])
            own = slope / np.float32(steps * count)
            gradients[name] = np.ascontiguousarray(np.broadcast_to(own, (steps, *own.shape)))
        return found.total / count, gradients

    def right(self, done: ForwardPass, batch: DetectionBatch) -> int:
        """None is right or wrong."""
        return 0

    def share(self, position: Cursor) -> float | None:
        """None is right or wrong."""
        return None

    def measure(self, model: Model, data: DetectionDataset, progress: Listener, arithmetic: str) -> Measured:
        """Mean average precision of COCO is the score; the figures are those of all conventions."""
        found = measure_detector(model, data, progress=progress, arithmetic=arithmetic)
        return Measured(found.figures[FIRST], found.loss, found.figures)
