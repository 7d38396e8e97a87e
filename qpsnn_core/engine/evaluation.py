"""How well something that gives logits does on a set, and how much its neurons fire: the counting."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.arithmetic import PORTABLE
from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import (
    ConfigError,
    DataError,
    DimImagesWarning,
    LabelError,
    ShapeError,
    Unquoted,
    expected,
)
from qpsnn_core.common.input_range import UNSIGNED
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL
from qpsnn_core.common.types import Array, Images
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.detector_head import head_of
from qpsnn_core.engine.gates import gated_additions
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.measures import MEASURES
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import Input
from qpsnn_core.network.ordered_graph import Ordered, sources_of
from qpsnn_datasets import Dataset, batch_count, batches
from qpsnn_datasets.detection.schema import DetectionDataset

Runner = Callable[[Images], tuple[Array, dict[str, Array]]]
"""From images to logits [T or 1, B, K], and each node's spikes summed over images and steps."""


MEMORY = 2**29
"""Bytes that one batch may take; a batch that would take more is made smaller."""

SOME = 256
"""Images that are looked at first, before all are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out over a set of N images.

    task: what its labels are, as of a Dataset. figures: by name: "accuracy"; of several labels "accuracy" (of single
    labels), "exact" (samples with all labels right), "f1"; of real numbers "r2", "mse", "mae". loss: of the mean of
    logits over T (an integer network's readouts, times their scale): cross-entropy in nats, binary or not, or squares.
    predictions: in the set's order, int64 [N], the class; of several labels uint8 [N, K]; of real numbers float64 [N,
    K]; of boxes float32 [M], the scores (`DetectorEvaluation`). counts: int64 [K, K], the `confusion`. spikes: of every
    node that gives spikes, the count over all T steps, mean over images, float64 [H, W, C], in stored integers (an
    AvgPool's are sums); of LIF alone where a backend tells no more; of gated synapses additions. neurons: the names of
    the LIF. frames: whether each step had an image of its own.
    """

    figures: dict[str, float]
    images: int
    loss: float
    predictions: npt.NDArray[Any]
    counts: npt.NDArray[np.int64] | None
    spikes: dict[str, npt.NDArray[np.float64]]
    neurons: tuple[str, ...]
    steps: int
    frames: bool = False
    task: str = CLASSIFICATION

    def __repr__(self) -> str:
        """The figures, not the arrays."""
        name, figure = next(iter(self.figures.items()))
        first = f"{figure:.2%}" if name == "accuracy" else f"{name} {figure:.4g}"
        return (
            f"Evaluation({first} of {self.images:,} images, loss {self.loss:.4g}, "
            f"firing rate {self.firing_rate:.2%} of {len(self.neurons)} LIF)"
        )

    @property
    def accuracy(self) -> float:
        """The share of answers that are right, 0 to 1. Raises DataError where none is right or wrong."""
        if "accuracy" not in self.figures:
            want = f"a set with classes or labels; of {self.task} there are .figures ({', '.join(self.figures)})"
            raise DataError(expected("evaluation.accuracy", want, Unquoted(self.task)))
        return self.figures["accuracy"]

    @property
    def correct(self) -> int:
        """How many answers are right. Raises as `accuracy`."""
        return round(self.accuracy * self.predictions.size)

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Int64 [K, K], rows the true class, columns the predicted one. Raises DataError where there are no classes."""
        if self.counts is None:
            want = "a set of which each sample has one class"
            raise DataError(expected("evaluation.confusion", want, Unquoted(self.task)))
        return self.counts

    @property
    def rates(self) -> dict[str, npt.NDArray[np.float64]]:
        """`spikes` per step."""
        return {name: count / self.steps for name, count in self.spikes.items()}

    @property
    def firing_rates(self) -> dict[str, float]:
        """Of each LIF: spikes per neuron and step, 0 to 1."""
        return {name: float(self.spikes[name].mean()) / self.steps for name in self.neurons}

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and step, over all LIF."""
        return self.spikes_per_image / (self.steps * max(1, sum(self.spikes[name].size for name in self.neurons)))

    @property
    def spikes_per_image(self) -> float:
        """Spikes of all LIF over all T steps."""
        return float(sum(self.spikes[name].sum() for name in self.neurons))


def measure_model(
    model: Model,
    dataset: Dataset,
    *,
    batch: int = 256,
    progress: Listener | None = None,
    arithmetic: str = PORTABLE,
) -> Evaluation:
    """Run a set through a trained model with its running statistics; fewer images at a time where memory is short.

    arithmetic: of `forward`. Raises ShapeError, DataError, LabelError, NumericsError (model or data), ConfigError
    (batch).
    """
    network = model.network
    check_data(network, dataset)
    check_model(model)
    names = [name for name, value in network.values.items() if value.kind == "spikes"]

    def run(images: Images) -> tuple[Array, dict[str, Array]]:
        done = forward(model, images, save_for_backward=True, arithmetic=arithmetic)
        spikes = {name: summed(done.values[name], network.steps) for name in names}
        return done.logits, {**spikes, **gated_additions(network, done.values)}

    check_fits("evaluate: one sample", kept_bytes(network, 1))
    if batch > 0:
        batch = max(1, min(batch, MEMORY // bytes_of(network)))
    return measure(run, network, tuple(node.name for node in network.neurons), dataset, batch, progress)


def measure(
    run: Runner,
    network: Ordered[Any],
    neurons: tuple[str, ...],
    dataset: Dataset,
    batch: int,
    progress: Listener | None = None,
) -> Evaluation:
    """Count what `run` gives for a set that fits the network. neurons: the names of the LIF. ConfigError: batch."""
    count = batch_count(len(dataset), batch)
    measures = MEASURES[dataset.task]
    totals: dict[str, Array] = {}
    predictions: list[Array] = []
    losses: list[float] = []
    right = 0
    for index, (images, labels) in enumerate(batches(dataset, batch), 1):
        logits, spikes = run(steps_first(images))
        own = measures.losses(logits, labels).tolist()
        losses += own
        part = math.fsum(own) / len(own)
        predictions.append(measures.answer(logits))
        now = measures.right(labels, predictions[-1])
        for name, counts in spikes.items():
            totals[name] = totals.get(name, 0) + counts
        if progress:
            done = min(index * batch, len(dataset)) * measures.of(network.classes)
            right += now or 0
            progress(Progress("evaluate", 1, 1, index, count, part, None if now is None else right / done))
    predicted = np.concatenate(predictions)
    return Evaluation(
        measures.figures(dataset.labels, predicted),
        len(dataset),
        math.fsum(losses) / len(dataset),
        predicted,
        confusion_counts(dataset, predicted, network.classes),
        {name: total / len(dataset) for name, total in totals.items()},
        neurons,
        network.steps,
        dataset.images.ndim == 5,
        dataset.task,
    )


def check_data(network: Ordered[Any], dataset: Dataset) -> None:
    """Images of the Input's shape and range, labels that are classes: ShapeError, DataError, LabelError otherwise."""
    shape, steps = network.input.shape, network.steps
    if dataset.sample_shape not in (shape, (steps, *shape)):
        want = f"{list(shape)} or {[steps, *shape]} (from {network.input.name})"
        raise ShapeError(expected(f"{dataset.name}.images", want, list(dataset.sample_shape)))
    if isinstance(dataset, DetectionDataset):
        head_of(network, dataset)
        _check_range(network.input, dataset)
        return
    if dataset.task != CLASSIFICATION and len(dataset.classes) != network.classes:
        want = f"{network.classes}, an output for each (from {network.readout.name})"
        raise ShapeError(expected(f"{dataset.name}.classes", want, len(dataset.classes)))
    wrong = np.flatnonzero(dataset.labels >= network.classes) if dataset.task == CLASSIFICATION else np.empty(0)
    if wrong.size:
        want = f"0 to {network.classes - 1} (from {network.readout.name})"
        raise LabelError(expected(f"{dataset.name}.labels[{wrong[0]}]", want, int(dataset.labels[wrong[0]])))
    check_outputs(dataset.name, network, dataset.task)
    _check_range(network.input, dataset)


def check_outputs(place: str, network: Ordered[Any], task: str) -> None:
    """ConfigError where the network's outputs cannot be what the task reads: counts are never below 0.

    A label is there where its logit is above 0, which has a probability above 1/2.
    """
    source = sources_of(network.readout)[0]
    if task == MULTILABEL and network.values[source].kind in ("spikes", "counts"):
        want = f"a readout of currents or membranes for {MULTILABEL} (end with Linear, or Linear and Readout(...))"
        got = Unquoted(f"counts of spikes (from {source}), whose probabilities are all 1/2 or more")
        raise ConfigError(expected(f"{place}: {network.readout.name}", want, got))


def _check_range(node: Any, dataset: Dataset) -> None:
    """Images of the node's sign, range and unit."""
    if node.peak is None:
        return
    place, span = f"{dataset.name}.images", dataset.input_range
    signed = dataset.images.dtype == np.int8
    remedy = "build or sequential(..., input_range=data.train.input_range) makes a network for such images"
    if signed != (node.low < 0):
        want = f"integers {node.low}..{node.peak} (from {node.name})"
        raise DataError(expected(place, want, Unquoted(f"{dataset.images.dtype} ({remedy})")))
    held = np.iinfo(dataset.images.dtype)
    narrow = node.low > held.min or node.peak < held.max
    low, high = (int(dataset.images.min()), int(dataset.images.max())) if narrow else (node.low, node.peak)
    if low < node.low or high > node.peak:
        want = f"integers {node.low}..{node.peak} (from {node.name})"
        raise DataError(expected(place, want, Unquoted(f"{low if low < node.low else high}")))
    if span is not None and span.scale != (unit := node.scale or 1 / node.peak):
        want = f"units of {unit!r} (from {node.name})"
        got = f"units of {span.scale!r} (from_arrays(..., scale={unit!r}) makes images for this network; {remedy})"
        raise DataError(expected(place, want, Unquoted(got)))
    intensities = span is None and isinstance(node, Input) and not node.spikes and node.peak == UNSIGNED[1]
    if intensities and dataset.images[:SOME].max() <= 1 and dataset.images.max() <= 1:
        text = f"{place}: expected intensities up to {node.peak} (from {node.name}), got 0 and 1 alone, which are dim"
        remedy = "spikes want Input(..., peak=1, scale=1.0, spikes=True), which build(..., events=True) gives"
        warnings.warn(DimImagesWarning(f"{text}; {remedy}"), stacklevel=users_level())


def summed(counts: Array, steps: int) -> Array:
    """Array [T or 1, B, H, W, C] over images and all steps, int64 [H, W, C]."""
    total: Array = counts.sum((0, 1), dtype=np.int64) * (steps // len(counts))
    return total


def bytes_of(network: Ordered[Any]) -> int:
    """About what one sample takes: each value once as spikes and once as sums."""
    return 6 * network.steps * sum(int(np.prod(value.shape)) for value in network.values.values())


def confusion_counts(dataset: Dataset, predicted: Array, classes: int) -> npt.NDArray[np.int64] | None:
    """How many samples of each class (rows) got each class (columns), [K, K]; None where there are no classes."""
    if dataset.task != CLASSIFICATION:
        return None
    counts = np.bincount(dataset.labels * classes + predicted, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)
