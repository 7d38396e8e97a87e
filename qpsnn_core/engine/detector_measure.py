"""How well a detector does on a set: its maps decoded, its boxes counted in all three conventions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qpsnn_core.common.arithmetic import PORTABLE
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.tasks import DETECTION
from qpsnn_core.common.types import Array, Images
from qpsnn_core.engine.average_precision import CONVENTIONS, AveragePrecision, mean_average_precision
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.detection import DetectionLimits, Detections, detect, joined
from qpsnn_core.engine.detector_head import head_of, mean_maps
from qpsnn_core.engine.evaluation import MEMORY, Evaluation, bytes_of, check_data, summed
from qpsnn_core.engine.gates import gated_additions
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import Ordered
from qpsnn_core.optim.detection_losses import DetectionGains, detection_loss
from qpsnn_datasets import batch_count
from qpsnn_datasets.detection.batches import detection_batches
from qpsnn_datasets.detection.schema import DetectionDataset

MapsRunner = Callable[[Images], tuple[Sequence[Array], dict[str, Array]]]
"""From images to the maps, the finest first, and each node's spikes summed over images and steps."""

FIRST = "coco mAP@0.5:0.95"
"""The figure that is shown first, and by which an epoch is the best."""


@dataclass(frozen=True, eq=False, repr=False)
class DetectorEvaluation(Evaluation):
    """An Evaluation of boxes; made by `measure_detector`, or by `evaluate`.

    figures: "coco mAP@0.5:0.95", "coco mAP@0.5", "voc mAP@0.5", "yolo mAP@0.5:0.95", "yolo mAP@0.5". loss: the mean
    over images of the loss, each a batch of its own, with the gains of the published code. predictions: the scores.
    detections: of every image, in its own pixels. precisions: of each convention.
    """

    detections: Detections | None = None
    precisions: tuple[AveragePrecision, ...] = ()


def measure_detector(
    model: Model,
    dataset: DetectionDataset,
    *,
    batch: int = 32,
    progress: Listener | None = None,
    arithmetic: str = PORTABLE,
    limits: DetectionLimits | None = None,
) -> DetectorEvaluation:
    """Run a set through a trained detector with its running statistics; fewer images at a time where memory is short.

    Raises ShapeError, DataError, NumericsError (model or data), ConfigError.
    """
    network = model.network
    check_data(network, dataset)
    check_model(model)
    names = [name for name, value in network.values.items() if value.kind == "spikes"]

    def run(images: Images) -> tuple[Sequence[Array], dict[str, Array]]:
        done = forward(model, images, save_for_backward=True, arithmetic=arithmetic)
        spikes = {name: summed(done.values[name], network.steps) for name in names}
        return mean_maps(network, done.outputs), {**spikes, **gated_additions(network, done.values)}

    check_fits("evaluate: one sample", kept_bytes(network, 1))
    size = max(1, min(batch, MEMORY // bytes_of(network)))
    neurons = tuple(node.name for node in network.neurons)
    return count_boxes(run, network, neurons, dataset, size, progress=progress, limits=limits)


def count_boxes(
    run: MapsRunner,
    network: Ordered[Any],
    neurons: tuple[str, ...],
    dataset: DetectionDataset,
    batch: int,
    *,
    units: Sequence[float] | None = None,
    progress: Listener | None = None,
    limits: DetectionLimits | None = None,
) -> DetectorEvaluation:
    """Count what `run` gives for a set that fits the network. units: of integer maps, what one is worth."""
    count = batch_count(len(dataset), batch)
    head = head_of(network, dataset)
    gains = DetectionGains().scaled(head, max(dataset.image_shape[:2]))
    found: list[Detections] = []
    losses: list[float] = []
    totals: dict[str, Array] = {}
    for index, (images, _, indices) in enumerate(detection_batches(dataset, batch), 1):
        maps, spikes = run(steps_first(images))
        letterboxes = dataset.letterboxes.take(indices)
        found.append(detect(maps, head, units=units, limits=limits, letterboxes=letterboxes))
        real = maps if units is None else [one * np.float64(unit) for one, unit in zip(maps, units, strict=True)]
        own = []
        for place in range(len(indices)):
            alone = [one[place : place + 1] for one in real]
            own.append(detection_loss(alone, dataset.targets(indices[place : place + 1]), head, gains)[0].total)
        losses += own
        for name, counts in spikes.items():
            totals[name] = totals.get(name, 0) + counts
        if progress:
            progress(Progress("evaluate", 1, 1, index, count, math.fsum(own) / len(own), None))
    detections = joined(found)
    precisions = [mean_average_precision(name, detections, dataset.boxes, dataset.classes) for name in CONVENTIONS]
    named = dict(zip(CONVENTIONS, precisions, strict=True))
    return DetectorEvaluation(
        {
            FIRST: named["coco"].mean,
            "coco mAP@0.5": named["coco"].at(0.5),
            "voc mAP@0.5": named["voc"].at(0.5),
            "yolo mAP@0.5:0.95": named["yolo"].mean,
            "yolo mAP@0.5": named["yolo"].at(0.5),
        },
        len(dataset),
        math.fsum(losses) / len(losses),
        detections.scores,
        None,
        {name: total / len(dataset) for name, total in totals.items()},
        neurons,
        network.steps,
        dataset.images.ndim == 5,
        DETECTION,
        detections,
        tuple(precisions),
    )
