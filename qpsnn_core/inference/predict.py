"""What a network answers for images: labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL, REGRESSION, TASKS
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.common.validation import check_choice, check_kind, whole
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.evaluation import MEMORY, bytes_of, check_outputs
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.measures import MEASURES, outputs
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.inference.samples import graph_of, images_of
from qpsnn_core.integer.backends import get
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.model import Model
from qpsnn_datasets import Dataset, Split


class Prediction(NamedTuple):
    """Of N images: labels int64 [N], the class of the largest logit; probabilities float64 [N, K], each row sums to 1.

    logits: float64 [N, K], means over T; the probabilities are their softmax. classes: the names, where a set has told
    them. Where task is "multilabel", labels are uint8 [N, K], 1 where the probability, a sigmoid, is above 1/2; where
    it is "regression", labels are the logits, the predicted numbers, and there are no probabilities.
    """

    labels: npt.NDArray[Any]
    probabilities: Doubles | None
    logits: Doubles
    classes: tuple[str, ...] = ()
    task: str = CLASSIFICATION

    def __repr__(self) -> str:
        count, classes = self.logits.shape
        return f"Prediction({count:,} images, {classes} classes)"

    @property
    def names(self) -> tuple[Any, ...]:
        """The class of each image by its name; by its number where names are not known. Of several labels a tuple each.

        Raises DataError where numbers are predicted.
        """
        if self.task == REGRESSION:
            raise DataError(expected("prediction.names", "classes or labels", Unquoted(self.task)))
        if self.task == MULTILABEL:
            every = self.classes or tuple(map(str, range(self.logits.shape[1])))
            return tuple(tuple(every[k] for k in np.flatnonzero(row)) for row in self.labels)
        return tuple(self.classes[label] if self.classes else str(label) for label in self.labels.tolist())


@shows_progress
def predict(
    model: Model | IntegerNetwork,
    images: Dataset | Split | Array,
    *,
    backend: str = "exact",
    batch: int = 256,
    task: str = "",
    classes: Sequence[str] = (),
    progress: Listener | bool | None = None,
) -> Prediction:
    """Answer for images [N, H, W, C] or frames [N, T, H, W, C], or a set (of a Split: the test part).

    backend: what runs an integer network, by its name in qpsnn_backends. batch: images at a time, fewer where they
    would take too much memory; it changes no answer. task: what the outputs are, "classification", "multilabel" or
    "regression"; else as the set has it, and of arrays classes. classes: the names of the outputs, in order, such as
    `data.train.classes`; else those of the set, where it has as many. progress: called after every batch, as stage
    "predict".
    Raises ArgumentError, ShapeError, DataError, NumericsError (images), ConfigError (batch, backend, classes),
    NetworkError (readouts that give no classes), and what the backend raises.
    """
    network = graph_of("predict.model", model)
    progress = listener_of("predict", progress)
    backend, batch = plain(backend), whole("predict.batch", batch, 1)
    check_kind("predict.backend", backend, str)
    samples = images_of("predict.images", network, images)
    data = images.test if isinstance(images, Split) else images
    task = plain(task)
    check_kind("predict.task", task, str)
    task = task or (data.task if isinstance(data, Dataset) else CLASSIFICATION)
    check_choice("predict.task", task, TASKS)
    check_outputs("predict", network, task)
    names = _names(network.classes, classes, data.classes if isinstance(data, Dataset) else ())
    size = max(1, min(batch, MEMORY // bytes_of(network)))
    parts = [samples[start : start + size] for start in range(0, len(samples), size)]
    run = _of_integers(model, backend) if isinstance(model, IntegerNetwork) else _of_model(model, backend)
    found = []
    for done, part in enumerate(parts, 1):
        found.append(run(steps_first(part)))
        if progress:
            progress(Progress("predict", 1, 1, done, len(parts), None, None))
    return prediction_of(found, task, names)


def prediction_of(parts: Sequence[Array], task: str, classes: tuple[str, ...]) -> Prediction:
    """What logits `[T or 1, B, K]` of some batches answer. classes: the names of the K outputs, or none."""
    labels = [MEASURES[task].answer(logits) for logits in parts]
    means = [one.mean(0).astype(np.float64) if task == CLASSIFICATION else outputs(one) for one in parts]
    joined = np.concatenate(means)
    likely = {CLASSIFICATION: softmax, MULTILABEL: sigmoid}.get(task)
    return Prediction(np.concatenate(labels), likely and likely(joined), joined, classes, task)


def logits_of(network: IntegerNetwork, readout: Array) -> Array:
    """The readouts `[B, K]` of an integer network in the unit of logits, `[1, B, K]`."""
    found: Array = (readout * network.readout.unit(network.steps))[None]
    return found


def softmax(logits: Doubles) -> Doubles:
    """`exp(x) / sum exp(x)` of each row, [N, K]."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    found: Doubles = exponentials / exponentials.sum(1, keepdims=True)
    return found


def sigmoid(logits: Doubles) -> Doubles:
    """`1 / (1 + exp(-x))` of each logit."""
    smaller = np.exp(-np.abs(logits))
    found: Doubles = np.where(logits >= 0, 1.0, smaller) / (1 + smaller)
    return found


def _names(count: int, given: Sequence[str], of_set: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the outputs that were given, else those of the set; ConfigError: not as many as there are outputs."""
    given = plain(given)
    if not isinstance(given, (tuple, list)) or not all(isinstance(one, str) for one in given):
        raise ConfigError(expected("predict.classes", "names, in order", given))
    if given and len(given) != count:
        raise ConfigError(expected("predict.classes", f"{count} names, one for each output", len(given)))
    return tuple(given) or (of_set if len(of_set) == count else ())


def _of_model(model: Model, backend: str) -> Any:
    if backend != "exact":
        raise ConfigError(expected("backend", "'exact' for a network that is not lowered to integers", backend))
    check_model(model, "predict.model")
    check_fits("predict: one sample", kept_bytes(model.network, 1))
    return lambda images: forward(model, images).logits


def _of_integers(network: IntegerNetwork, backend: str) -> Any:
    chosen = get(backend)
    chosen.check(network)
    return lambda images: logits_of(network, chosen.run(network, images, record="none").readout)
