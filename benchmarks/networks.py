"""The networks that are compared: from the zoo, at full width, each with a batch of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import qpsnn_core as qp
from qpsnn_core.common.types import Shape
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF

NAMES = ("vgg_small", "vgg9", "vgg16", "resnet20")
TRANSFORMERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "spikingformer_4_384": ("spikingformer_4_384", {}),
    "spikingformer_small": ("spikingformer_4_384", {"widths": (16, 32, 48, 64, 64, 192), "depth": 2, "heads": 4}),
}
"""Measured where they are asked for by name, against SpikingJelly; snnTorch's twin lacks their surrogate."""

STEPS = (2, 4)
SHAPE = (32, 32, 3)
BATCH = 16


class Case(NamedTuple):
    """One network at one T, and a batch: images uint8 [B, H, W, C], labels int64 [B].

    rate: spikes per neuron and step in a training pass, and rates: by LIF; resting: the rate in inference.
    """

    name: str
    model: Model
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    rate: float = 0.0
    resting: float = 0.0
    rates: dict[str, float] = {}  # noqa: RUF012 - a NamedTuple's default, never changed

    @property
    def steps(self) -> int:
        """T."""
        return self.model.network.steps


def build(name: str, shape: Shape, classes: int, steps: int) -> Network:
    """The network of that name, of the zoo or of TRANSFORMERS."""
    zoo, options = TRANSFORMERS.get(name, (name, {}))
    return qp.build(zoo, shape, classes, steps=steps, **options)


def case(name: str, model: Model, steps: int, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Case:
    """The model at T = `steps`: its parameters do not depend on T."""
    network = build(name, model.network.input.shape, model.network.classes, steps)
    return Case(name, Model(network, model.params, model.state), images, labels.astype(np.int64))


def calibrated(case: Case, images: npt.NDArray[np.uint8]) -> Case:
    """The case with running statistics of its T: those of a short training would leave inference nearly silent."""
    return case._replace(model=qp.recalibrate(case.model, images, batches=2, batch=len(case.images)))


def measured(case: Case) -> Case:
    """The case with its firing rates."""
    rate, rates = _rates(case, train=True)
    return case._replace(rate=rate, rates=rates, resting=_rates(case, train=False)[0])


def _rates(case: Case, train: bool) -> tuple[float, dict[str, float]]:
    done = qp.forward(case.model, case.images, train=train, save_for_backward=True)
    spikes = {node.name: done.values[node.name] for node in case.model.network.of(LIF)}
    counts = {name: (int(np.count_nonzero(values)), values.size) for name, values in spikes.items()}
    total = sum(count for count, _ in counts.values()) / sum(size for _, size in counts.values())
    return total, {name: count / size for name, (count, size) in counts.items()}
