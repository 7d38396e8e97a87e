"""How well a model, trained or lowered to integers, does on a set, and how much its neurons fire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends import get
from qpsnn_core.arrays import check_model
from qpsnn_core.engine import forward
from qpsnn_core.errors import ConfigError, DataError, LabelError, ShapeError, Words, expected
from qpsnn_core.inputs import steps_first
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.loss import LOSSES
from qpsnn_core.model import Model
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF
from qpsnn_core.progress import Listener, Progress
from qpsnn_datasets import Dataset, Split, batch_count, batches

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Counts = npt.NDArray[Any]
MEMORY = 2**29
"""Bytes that one batch may take; a batch that would take more is made smaller."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out over a set of N images.

    loss: nats, of the logits' mean over T (an integer network's readouts, times their scale). predictions: int64 [N],
    in the set's order; confusion: int64 [K, K], rows the true class, columns the predicted one. spikes: of every node
    that gives spikes, the count over all T steps, mean over images, float64 [H, W, C], in stored integers (an
    AvgPool's are sums); of LIF alone where a backend tells no more. neurons: the names of the LIF.
    """

    accuracy: float
    images: int
    correct: int
    loss: float
    predictions: npt.NDArray[np.int64]
    confusion: npt.NDArray[np.int64]
    spikes: dict[str, npt.NDArray[np.float64]]
    neurons: tuple[str, ...]
    steps: int

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


def evaluate(
    model: Model | IntegerNetwork,
    data: Dataset | Split,
    *,
    batch: int = 256,
    limit: int | None = None,
    backend: str = "exact",
    progress: Listener | None = None,
) -> Evaluation:
    """Run a set (of a Split: the test part) through a model: a trained one with its running statistics, or integers.

    batch: images at a time, fewer where they would take too much memory; it changes no result. limit: at most so many
    images, each class in its proportion. backend: what runs an integer network, by its name in qpsnn_backends; each
    batch is one run of it. progress: called after every batch.
    Raises ShapeError, DataError, LabelError, NumericsError (model or data), ConfigError (batch, limit, backend), and
    what the backend raises.
    """
    network = model.network if isinstance(model, Model) else model
    chosen = data.test if isinstance(data, Split) else data
    if not isinstance(chosen, Dataset):
        raise DataError(expected("data", "a Dataset or a Split", Words(type(data).__name__)))
    dataset = chosen.limited(limit)
    check_data(network, dataset)
    run = _runner(model, backend)
    if isinstance(model, Model) and batch > 0:
        batch = max(1, min(batch, MEMORY // bytes_of(network)))
    count = batch_count(len(dataset), batch)
    totals: dict[str, Counts] = {}
    predictions: list[npt.NDArray[np.int64]] = []
    loss, correct = 0.0, 0
    for index, (images, labels) in enumerate(batches(dataset, batch), 1):
        logits, spikes = run(steps_first(images))
        part, _ = LOSSES["mean"](logits, labels)
        predictions.append(answers(logits))
        loss += part * len(labels)
        correct += int((predictions[-1] == labels).sum())
        for name, counts in spikes.items():
            totals[name] = totals.get(name, 0) + counts
        if progress:
            progress(Progress("evaluate", 1, 1, index, count, part, correct / (min(index * batch, len(dataset)))))
    predicted = np.concatenate(predictions)
    return Evaluation(
        correct / len(dataset),
        len(dataset),
        correct,
        loss / len(dataset),
        predicted,
        _confusion(dataset.labels, predicted, network.classes),
        {name: total / len(dataset) for name, total in totals.items()},
        tuple(node.name for node in _neurons(network)),
        network.steps,
    )


def check_data(network: Network | IntegerNetwork, dataset: Dataset) -> None:
    """Images of the Input's shape and range, labels that are classes: ShapeError, DataError, LabelError otherwise."""
    shape, steps = network.input.shape, network.steps
    if dataset.sample_shape not in (shape, (steps, *shape)):
        want = f"{list(shape)} or {[steps, *shape]} (from {network.input.name})"
        raise ShapeError(expected(f"{dataset.name}.images", want, list(dataset.sample_shape)))
    wrong = np.flatnonzero(dataset.labels >= network.classes)
    if wrong.size:
        want = f"0 to {network.classes - 1} (from {network.readout.name})"
        raise LabelError(expected(f"{dataset.name}.labels[{wrong[0]}]", want, int(dataset.labels[wrong[0]])))
    peak = network.input.peak
    if peak is not None and peak < 255 and int(dataset.images.max()) > peak:
        want = f"integers 0..{peak} (from {network.input.name})"
        raise DataError(expected(f"{dataset.name}.images", want, Words(f"{dataset.images.max()}")))


def _neurons(network: Network | IntegerNetwork) -> tuple[LIF, ...] | tuple[IntLIF, ...]:
    return network.neurons if isinstance(network, Network) else network.of(IntLIF)


def answers(logits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class [B] with the largest mean over T of logits [T, B, K]; of equal ones, the first."""
    chosen: npt.NDArray[np.int64] = logits.mean(0).argmax(1)
    return chosen


def _runner(model: Model | IntegerNetwork, backend: str) -> Callable[[Images], tuple[Counts, dict[str, Counts]]]:
    """A function from images to logits [T or 1, B, K], and each node's spikes summed over images and steps."""
    if isinstance(model, IntegerNetwork):
        return _integer_runner(model, backend)
    if backend != "exact":
        raise ConfigError(expected("backend", "'exact' for a network that is not lowered to integers", backend))
    check_model(model)
    names = [name for name, value in model.network.values.items() if value.kind == "spikes"]
    steps = model.network.steps

    def run(images: Images) -> tuple[Counts, dict[str, Counts]]:
        done = forward(model, images, keep=True)
        return done.logits, {name: _summed(done.values[name], steps) for name in names}

    return run


def _integer_runner(network: IntegerNetwork, backend: str) -> Callable[[Images], tuple[Counts, dict[str, Counts]]]:
    chosen = get(backend)
    chosen.check(network)
    scale = network.readout.scale / network.steps

    def run(images: Images) -> tuple[Counts, dict[str, Counts]]:
        done = chosen.run(network, images, record="none" if backend == "exact" else "spikes")
        counts = done.counts or {name: _summed(spikes, network.steps) for name, spikes in done.spikes.items()}
        return (done.readout * scale)[None], counts

    return run


def _summed(counts: Counts, steps: int) -> Counts:
    """Counts [T or 1, B, H, W, C] over images and all steps, int64 [H, W, C]."""
    total: Counts = counts.sum((0, 1), dtype=np.int64) * (steps // len(counts))
    return total


def bytes_of(network: Network | IntegerNetwork) -> int:
    """About what one sample takes: each value once as spikes and once as sums."""
    return 6 * network.steps * sum(int(np.prod(value.shape)) for value in network.values.values())


def _confusion(labels: Counts, predicted: Counts, classes: int) -> npt.NDArray[np.int64]:
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)
