"""The networks that are compared: from the zoo, at full width, each with a batch of images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import qpsnn_core as qp
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF

NAMES = ("vgg_small", "vgg9", "vgg16", "resnet20")
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


def case(name: str, model: Model, steps: int, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Case:
    """The model at T = `steps`: its parameters do not depend on T."""
    network = qp.build(name, model.network.input.shape, model.network.classes, steps=steps)
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
