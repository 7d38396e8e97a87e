"""How far two runs of what should be the same network agree: spike for spike, readout for readout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from qpsnn_core.common.tasks import CLASSIFICATION, REGRESSION
from qpsnn_core.common.types import Array, Images
from qpsnn_core.engine.detector_head import levels_of, units_of
from qpsnn_core.engine.detector_measure import count_boxes
from qpsnn_core.engine.evaluation import Evaluation, confusion_counts, summed
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.measures import MEASURES
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network.model import Model
from qpsnn_datasets import Dataset
from qpsnn_datasets.detection.schema import DetectionDataset

BATCH = 64


@dataclass(frozen=True)
class Agreement:
    """Of two runs over the same images: how many of all their values differ, and in how many answers.

    spikes: values compared, neurons x steps x images. Membranes are None where the two have no common unit, answers
    where they are real numbers.
    """

    images: int
    spikes: int
    spike_mismatches: int
    membrane_mismatches: int | None
    readout_mismatches: int | None
    answer_mismatches: int | None


def deviation(model: Model, network: IntegerNetwork, images: Array, task: str = CLASSIFICATION) -> Agreement:
    """What lowering changed: the trained model against its integer network, over images [N, H, W, C].

    task: what the outputs are, as of a Dataset; of real numbers, or no classes, no answers are compared.
    """
    spikes = wrong = 0
    answers: int | None = None
    for start in range(0, len(images), BATCH):
        x = steps_first(images[start : start + BATCH])
        ours = forward(model, x, save_for_backward=True)
        theirs = simulate(network, x, record="spikes")
        for node in model.network.neurons:
            spikes += theirs.spikes[node.name].size
            wrong += int((ours.values[node.name] != theirs.spikes[node.name]).sum())
        differ = different_answers(task, ours.logits.sum(0), theirs.readout) if network.classifies else None
        answers = None if differ is None else (answers or 0) + differ
    return Agreement(len(images), spikes, wrong, None, None, answers)


def different_answers(task: str, ours: Array, theirs: Array) -> int | None:
    """In how many samples two runs answer differently, of sums over T [B, K]; None where answers are real numbers."""
    if task == REGRESSION:
        return None
    answer = MEASURES[task].answer
    differ = answer(ours[None]) != answer(theirs[None])
    return int(differ.sum() if differ.ndim == 1 else differ.any(1).sum())


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
        different_answers(data.task, found.readout, exact.readout) if network.classifies else None,
    )
    if isinstance(data, DetectionDataset):
        return figures, of_maps(network, data, found, exact)
    measures, scale = MEASURES[data.task], network.readout.unit(network.steps)
    answered = measures.answer((found.readout * scale)[None])
    told, counts = measures.figures(data.labels, answered), confusion_counts(data, answered, network.classes)
    return figures, replace(evaluate(network, data), figures=told, predictions=answered, counts=counts)


def of_maps(network: IntegerNetwork, data: DetectionDataset, found: Run, exact: Run) -> Evaluation:
    """The evaluation of a detector from two runs over all of `data`: boxes of the first, spikes of the second."""
    levels = levels_of(network)
    neurons = tuple(exact.spikes)

    def run(images: Images) -> tuple[Sequence[Array], dict[str, Array]]:
        return [found.readouts[name] for name in levels], exact.counts or {
            name: summed(spikes, network.steps) for name, spikes in exact.spikes.items()
        }

    return count_boxes(run, network, neurons, data, len(data), units=units_of(network))


def disagreements(found: Run, exact: Run) -> tuple[int, int]:
    """(spikes, readouts) that differ between two runs of one network, with spikes recorded."""
    spikes = sum(int((found.spikes[name] != fired).sum()) for name, fired in exact.spikes.items())
    return spikes, sum(int((found.readouts[name] != own).sum()) for name, own in exact.readouts.items())
