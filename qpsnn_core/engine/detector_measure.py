"""How well a detector does on a set: its maps decoded, its boxes counted in all three conventions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.arithmetic import PORTABLE
from qpsnn_core.common.detection import DetectionHead
from qpsnn_core.common.errors import DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Array, Floats, Images
from qpsnn_core.engine.average_precision import CONVENTIONS, AveragePrecision, mean_average_precision
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.detection import DetectionLimits, Detections, detect, joined
from qpsnn_core.engine.evaluation import MEMORY, bytes_of, summed
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import Ordered
from qpsnn_core.optim.detection_losses import DetectionGains, detection_loss
from qpsnn_datasets import batch_count
from qpsnn_datasets.detection import DetectionDataset, detection_batches

MapsRunner = Callable[[Images], tuple[list[Array], dict[str, Array]]]
"""From images to the maps of the head's levels, and each node's spikes summed over images and steps."""


@dataclass(frozen=True, eq=False)
class DetectorEvaluation:
    """What came out over a set of N images.

    precisions: average precision by convention. loss: the mean over images of the loss, each its own batch of one.
    detections: of every image, in its own pixels. spikes, neurons, steps: as of `Evaluation`.
    """

    precisions: Mapping[str, AveragePrecision]
    loss: float
    detections: Detections
    spikes: dict[str, npt.NDArray[np.float64]]
    neurons: tuple[str, ...]
    steps: int

    def __repr__(self) -> str:
        """The figures, not the arrays."""
        figures = "; ".join(str(one) for one in self.precisions.values())
        return f"DetectorEvaluation({len(self.detections):,} images; {figures}; loss {self.loss:.4g})"

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and step, over all LIF."""
        total = float(sum(self.spikes[name].sum() for name in self.neurons))
        return total / (self.steps * max(1, sum(self.spikes[name].size for name in self.neurons)))


def levels_of(network: Ordered[Any], head: DetectionHead) -> tuple[str, ...]:
    """The readouts that give the head's maps, the finest first. Raises ShapeError: none has a map's shape, or several.

    ConfigError: a side of the input that a stride does not divide.
    """
    height, width, _ = network.shape(network.input.name)
    given = {node.name: tuple(network.shape(node.name)) for node in network.readouts}
    found = []
    for level in range(len(head.strides)):
        want = (*head.shape(level, height, width), head.channels(level))
        names = [name for name, shape in given.items() if shape == want]
        if len(names) != 1:
            shapes = ", ".join(f"{name} {list(shape)}" for name, shape in given.items())
            place = f"network: the map of stride {head.strides[level]}"
            raise ShapeError(expected(place, f"one readout of shape {list(want)}", Unquoted(shapes)))
        found += names
    if len(given) != len(found):
        raise ShapeError(expected("network.readouts", f"{len(found)}, one for each stride", Unquoted(f"{len(given)}")))
    return tuple(found)


def mean_maps(outputs: Mapping[str, Floats], names: tuple[str, ...]) -> list[Floats]:
    """The maps of a pass, means over T, float32 `[B, H, W, K]`, the finest first."""
    found = [add_steps(outputs[name].astype(np.float64)) / len(outputs[name]) for name in names]
    return [one.astype(np.float32) for one in found]


def check_detection_data(network: Ordered[Any], head: DetectionHead, dataset: DetectionDataset) -> None:
    """Images of the Input's shape and range, classes of the head, maps of its shapes: ShapeError, DataError."""
    shape, steps, given = network.input.shape, network.steps, dataset.images.shape[1:]
    if given not in (shape, (steps, *shape)):
        want = f"{list(shape)} or {[steps, *shape]} (from {network.input.name})"
        raise ShapeError(expected(f"{dataset.name}.images", want, list(given)))
    node = network.input
    if node.peak is not None and (node.low != 0 or (node.peak < 255 and int(dataset.images.max()) > node.peak)):
        got = Unquoted(f"0 to {int(dataset.images.max())}")
        raise DataError(expected(f"{dataset.name}.images", f"integers {node.low}..{node.peak} (from {node.name})", got))
    if len(dataset.classes) != head.classes:
        raise ShapeError(expected(f"{dataset.name}.classes", f"{head.classes}, as the head has", len(dataset.classes)))
    levels_of(network, head)


def measure_detector(
    model: Model,
    dataset: DetectionDataset,
    head: DetectionHead,
    *,
    gains: DetectionGains | None = None,
    limits: DetectionLimits | None = None,
    batch: int = 32,
    progress: Listener | None = None,
    arithmetic: str = PORTABLE,
) -> DetectorEvaluation:
    """Run a set through a trained detector with its running statistics; fewer images at a time where memory is short.

    gains: of the loss, those of the published code scaled to the images unless given. Raises ShapeError, DataError,
    NumericsError, ConfigError.
    """
    network = model.network
    check_detection_data(network, head, dataset)
    check_model(model)
    names = [name for name, value in network.values.items() if value.kind == "spikes"]
    levels = levels_of(network, head)

    def run(images: Images) -> tuple[list[Array], dict[str, Array]]:
        done = forward(model, images, save_for_backward=True, arithmetic=arithmetic)
        spikes = {name: summed(done.values[name], network.steps) for name in names}
        return list(mean_maps(done.outputs, levels)), spikes

    check_fits("evaluate: one sample", kept_bytes(network, 1))
    batch = max(1, min(batch, MEMORY // bytes_of(network)))
    neurons = tuple(node.name for node in network.neurons)
    return count_detections(run, neurons, network.steps, dataset, head, gains, limits, batch, progress=progress)


def count_detections(
    run: MapsRunner,
    neurons: tuple[str, ...],
    steps: int,
    dataset: DetectionDataset,
    head: DetectionHead,
    gains: DetectionGains | None,
    limits: DetectionLimits | None,
    batch: int,
    *,
    units: tuple[float, ...] | None = None,
    progress: Listener | None = None,
) -> DetectorEvaluation:
    """Count what `run` gives. units: of integer maps, what one is worth. Raises ConfigError (batch), DataError."""
    count = batch_count(len(dataset), batch)
    own = DetectionGains().scaled(head, max(dataset.image_shape[:2])) if gains is None else gains
    found: list[Detections] = []
    losses: list[float] = []
    totals: dict[str, Array] = {}
    for index, (images, _, indices) in enumerate(detection_batches(dataset, batch), 1):
        maps, spikes = run(steps_first(images))
        found.append(detect(maps, head, units=units, limits=limits, letterboxes=dataset.letterboxes.take(indices)))
        real = maps if units is None else [one * unit for one, unit in zip(maps, units, strict=True)]
        for image in range(len(indices)):
            alone = [one[image : image + 1] for one in real]
            one, _ = detection_loss(alone, dataset.targets(indices[image : image + 1]), head, own)
            losses.append(one.total)
        for name, counts in spikes.items():
            totals[name] = totals.get(name, 0) + counts
        if progress:
            progress(Progress("evaluate", 1, 1, index, count, math.fsum(losses[-len(indices) :]) / len(indices), None))
    detections = joined(found)
    precisions = {
        name: mean_average_precision(name, detections, dataset.boxes, dataset.classes) for name in CONVENTIONS
    }
    spikes_of = {name: total / len(dataset) for name, total in totals.items()}
    return DetectorEvaluation(precisions, math.fsum(losses) / len(losses), detections, spikes_of, neurons, steps)
