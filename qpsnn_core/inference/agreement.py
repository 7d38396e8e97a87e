"""How far two runs of what should be the same network agree: spike for spike, readout for readout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from qpsnn_core.common.types import Array
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network.model import Model
from qpsnn_datasets import Dataset

BATCH = 64


@dataclass(frozen=True)
class Agreement:
    """Of two runs over the same images: how many of all their values differ, and in how many answers.

    spikes: values compared, neurons x steps x images. Membranes are None where the two have no common unit.
    """

    images: int
    spikes: int
    spike_mismatches: int
    membrane_mismatches: int | None
    readout_mismatches: int | None
    answer_mismatches: int


def deviation(model: Model, network: IntegerNetwork, images: Array) -> Agreement:
    """What lowering changed: the trained model against its integer network, over images [N, H, W, C]."""
    spikes = wrong = answers = 0
    for start in range(0, len(images), BATCH):
        x = steps_first(images[start : start + BATCH])
        ours = forward(model, x, save_for_backward=True)
        theirs = simulate(network, x, record="spikes")
        for node in model.network.neurons:
            spikes += theirs.spikes[node.name].size
            wrong += int((ours.values[node.name] != theirs.spikes[node.name]).sum())
        answers += int((ours.logits.sum(0).argmax(1) != theirs.readout.argmax(1)).sum())
    return Agreement(len(images), spikes, wrong, None, None, answers)


def agreement(
    network: IntegerNetwork, data: Dataset, backend: str, *, membranes: bool = True, **options: Any
) -> tuple[Agreement, Evaluation]:
    """A backend against the exact simulator, over all of `data`; and how well the backend did.

    membranes: whether to compare them, too. options: of the backend. The evaluation's answers are the backend's own;
    its spike counts are the exact simulator's.
    """
    from qpsnn_core.integer.backends import get

    images = steps_first(data.images)
    other = get(backend, **options)
    other.check(network)
    record: Record = "all" if membranes else "spikes"
    found = other.run(network, images, record=record)
    exact = simulate(network, images, record=record)
    spikes, readouts = disagreements(found, exact)
    figures = Agreement(
        len(data),
        sum(fired.size for fired in exact.spikes.values()),
        spikes,
        sum(int((found.membranes[name] != own).sum()) for name, own in exact.membranes.items()) if membranes else None,
        readouts,
        int((found.readout.argmax(1) != exact.readout.argmax(1)).sum()),
    )
    answers = found.readout.argmax(1)
    correct = int((answers == data.labels).sum())
    measured = evaluate(network, data)
    return figures, replace(measured, accuracy=correct / len(data), correct=correct, predictions=answers)


def disagreements(found: Run, exact: Run) -> tuple[int, int]:
    """(spikes, readouts) that differ between two runs of one network, with spikes recorded."""
    spikes = sum(int((found.spikes[name] != fired).sum()) for name, fired in exact.spikes.items())
    return spikes, int((found.readout != exact.readout).sum())
