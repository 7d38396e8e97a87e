"""Boxes in pictures, by a trained detector or by its integer network on a backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Images
from qpsnn_core.engine.detection import DetectionLimits, Detections, detect
from qpsnn_core.engine.detector_head import Coded, head_of, levels_of, mean_maps, units_of
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference.agreement import disagreements
from qpsnn_core.integer.backends import get
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network.model import Model
from qpsnn_datasets.detection.letterbox import Letterboxes

SHOWN = DetectionLimits(confidence=0.25, overlap=0.45, several=False)
"""What is drawn, as YOLOv5 draws it; an evaluation takes far more (`DetectionLimits`)."""


class Found(NamedTuple):
    """detections: in the pixels of the pictures. spike_mismatches, readout_mismatches: against the exact simulator."""

    detections: Detections
    spike_mismatches: int = 0
    readout_mismatches: int = 0


def find_boxes(
    model: Model | IntegerNetwork,
    images: Images,
    letterboxes: Letterboxes,
    coded: Coded,
    *,
    backend: str = "exact",
    limits: DetectionLimits = SHOWN,
) -> Found:
    """The boxes in images, uint8 `[N, H, W, C]`, that lie in letterboxes.

    coded: classes, anchors and decode of the set that the detector was trained on. backend: of an integer network,
    compared with the exact simulator, spike for spike. Raises ShapeError, DataError, and what the backend raises.
    """
    if isinstance(model, Model):
        network = model.network
        maps: Sequence[Array] = mean_maps(network, forward(model, steps_first(images)).outputs)
        return Found(detect(maps, head_of(network, coded), limits=limits, letterboxes=letterboxes))
    chosen, head = get(backend), head_of(model, coded)
    chosen.check(model)
    run = chosen.run(model, steps_first(images), record="spikes")
    maps = [run.readouts[name] for name in levels_of(model)]
    found = detect(maps, head, units=units_of(model), limits=limits, letterboxes=letterboxes)
    wrong = (0, 0) if backend == "exact" else disagreements(run, simulate(model, steps_first(images), record="spikes"))
    return Found(found, *wrong)


def texts_of(found: Detections, image: int, classes: Sequence[str]) -> list[str]:
    """Of each box of an image, its class and score: "ship 0.87"."""
    rows = found.of(image)
    pairs = zip(found.classes[rows].tolist(), found.scores[rows].tolist(), strict=True)
    return [f"{classes[kind]} {np.float32(score):.2f}" for kind, score in pairs]
