"""The loop of training: batches forward, their loss backward through time, an update each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Images, Labels
from qpsnn_core.engine.checks import check_finite
from qpsnn_core.engine.evaluation import answers, measure_model
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.optim.optimizers import Optimizer, State, clip_gradients
from qpsnn_core.optim.schedules import Schedule
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.history import Epoch, Position
from qpsnn_datasets import Augment, Dataset, batches, prefetch


class Plan(NamedTuple):
    """What stays the same during a run. batches: whole ones in an epoch; settings: what a resumed run must repeat."""

    stage: str
    data: Dataset
    validation: Dataset | None
    augment: Augment | None
    config: TrainConfig
    batches: int
    optimizer: Optimizer
    rate: Schedule
    settings: dict[str, Any]
    progress: Listener | None


class Now(NamedTuple):
    """Where the run stands: never changed, but replaced after every batch."""

    model: Model
    optimizer: State
    position: Position
    history: tuple[Epoch, ...]


def run(plan: Plan, now: Now) -> Iterator[Now]:
    """Where the run stands after every batch, and after every epoch; progress is told once that has been taken."""
    config = plan.config
    while now.position.epochs < config.epochs:
        epoch, start = now.position.epochs, now.position.batches
        order = {"seed": config.seed, "epoch": epoch, "start": start}
        began = perf_counter()
        source = batches(plan.data, config.batch, augment=plan.augment, drop_last=True, **order)
        with closing(prefetch(source)) as made:
            for images, labels in made:
                try:
                    now, loss = _step(plan, now, images, labels)
                except NumericsError as error:
                    raise NumericsError(f"epoch {epoch + 1}, batch {now.position.batches + 1}: {error}") from error
                position = replace(now.position, seconds=now.position.seconds + perf_counter() - began)
                now = now._replace(position=position)
                yield now
                if plan.progress:
                    share = position.correct / position.samples
                    told = (plan.stage, epoch + 1, config.epochs, position.batches, plan.batches)
                    plan.progress(Progress(*told, loss, share))
                began = perf_counter()
        now = _epoch_done(plan, now)
        yield now


def _step(plan: Plan, now: Now, images: Images, labels: Labels) -> tuple[Now, float]:
    """One update, and the batch's loss. NumericsError names the array with NaN or infinity."""
    network = now.model.network
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        done = forward(now.model, steps_first(images), train=True, save_for_backward=True)
        if not np.isfinite(done.logits).all():
            raise NumericsError(
                expected(f"{network.readout.name}: logits", "finite numbers", Unquoted("NaN or infinity"))
            )
        loss, gradient = LOSSES[plan.config.loss](done.logits, labels)
        spikes = sum(int(np.count_nonzero(done.values[n.name])) for n in network.neurons)
        gradients = backward(now.model, done, gradient, discard=True)
        check_finite("gradients", gradients)
        if plan.config.clip_norm:
            gradients, _ = clip_gradients(gradients, plan.config.clip_norm)
        rate = plan.rate(now.optimizer.step)
        params, optimizer = plan.optimizer.update(gradients, now.optimizer, now.model.params, rate)
        check_finite("params", params)
        check_finite("state", done.state)
    position = replace(
        now.position,
        batches=now.position.batches + 1,
        samples=now.position.samples + len(labels),
        loss=now.position.loss + loss * len(labels),
        correct=now.position.correct + int((answers(done.logits) == labels).sum()),
        spikes=now.position.spikes + spikes,
    )
    return Now(Model(network, params, done.state), optimizer, position, now.history), loss


def _epoch_done(plan: Plan, now: Now) -> Now:
    """The epoch's place in the history, with the validation's accuracy."""
    network, past = now.model.network, now.position
    number = past.epochs + 1

    def told(progress: Progress) -> None:
        if plan.progress:
            plan.progress(replace(progress, stage="validate", epoch=number, epochs=plan.config.epochs))

    accuracy = measure_model(now.model, plan.validation, progress=told).accuracy if plan.validation else None
    neurons = sum(int(np.prod(network.shape(node.name))) for node in network.neurons)
    epoch = Epoch(
        number,
        past.loss / past.samples,
        past.correct / past.samples,
        accuracy,
        plan.rate(now.optimizer.step - 1),
        past.spikes / max(1, past.samples * network.steps * neurons),
        past.seconds,
    )
    return now._replace(position=Position(past.seed, number, settings=past.settings), history=(*now.history, epoch))
