"""The loop of training: batches forward, their loss backward through time, an update each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.dead_layers import warn_dead_layers
from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Arrays
from qpsnn_core.engine.checks import check_finite
from qpsnn_core.engine.gates import gate_terms
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import Draw, backward, forward
from qpsnn_core.engine.reach import dead_in_model
from qpsnn_core.kernels.counter_random import seed_word
from qpsnn_core.network.model import Model
from qpsnn_core.optim.averages import add_gradients, mean_gradients, moved_average
from qpsnn_core.optim.optimizers import Optimizer, State, clip_gradients
from qpsnn_core.optim.schedules import Schedule
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.callbacks import Callback, RunState, any_stops
from qpsnn_core.training.history import Cursor, Epoch, EpochListener, best_epoch, out_of_patience
from qpsnn_core.training.jobs import Job
from qpsnn_datasets import Augment, Dataset, prefetch
from qpsnn_datasets.detection.augment import DetectionAugment


class RunSetup(NamedTuple):
    """What stays the same during a run. batches: whole ones in an epoch; settings: what a resumed run must repeat."""

    stage: str
    data: Dataset
    validation: Dataset | None
    augment: Augment | DetectionAugment | None
    config: TrainConfig
    batches: int
    optimizer: Optimizer
    rate: Schedule
    job: Job
    callbacks: Sequence[Callback]
    settings: dict[str, Any]
    progress: Listener | None


class TrainState(NamedTuple):
    """The state of a run: never changed, but replaced after every batch.

    average: of the weights, where the run takes one. accumulated: the gradients of batches that wait for an update.
    """

    model: Model
    optimizer: State
    position: Cursor
    history: tuple[Epoch, ...]
    average: Arrays | None = None
    accumulated: Arrays | None = None

    @property
    def usable(self) -> Model:
        """The model to measure and to use: with averaged weights, where the run takes an average."""
        model = self.model
        return model if self.average is None else Model(model.network, self.average, model.state)


def training_states(setup: RunSetup, state: TrainState) -> Iterator[TrainState]:
    """Yield the training state after every batch and every epoch.

    The progress callback, and callbacks, run after the caller has consumed the state.
    """
    config = setup.config
    while state.position.epochs < config.epochs and not _stopped(config, state):
        epoch, start = state.position.epochs, state.position.batches
        began = perf_counter()
        with closing(prefetch(setup.job.batches(epoch, start))) as made:
            for batch in made:
                try:
                    state, loss = _step(setup, state, batch)
                except NumericsError as error:
                    raise NumericsError(f"epoch {epoch + 1}, batch {state.position.batches + 1}: {error}") from error
                position = replace(state.position, seconds=state.position.seconds + perf_counter() - began)
                state = state._replace(position=position)
                yield state
                if setup.progress:
                    share = setup.job.share(position)
                    place = (setup.stage, epoch + 1, config.epochs, position.batches, setup.batches)
                    setup.progress(Progress(*place, loss, share))
                began = perf_counter()
        state = _epoch_done(setup, state)
        yield state
        if isinstance(setup.progress, EpochListener):
            setup.progress.epoch_done(setup.stage, config.epochs, state.history[-1])
        best = best_epoch(state.history, config.monitor)
        stands = RunState(setup.stage, config.epochs, state.history, best, state.usable)
        if any_stops(f"{setup.stage}.callbacks", setup.callbacks, stands):
            return


def _stopped(config: TrainConfig, state: TrainState) -> bool:
    """Whether the run waits for a better epoch no longer; an epoch that has begun is finished."""
    return not state.position.batches and out_of_patience(state.history, config.monitor, config.patience)


def _draw(setup: RunSetup, state: TrainState) -> Draw | None:
    """Of the batch that comes, of all of the run; None where no dropout asks."""
    network, position = state.model.network, state.position
    if network.training_values is network.values:
        return None
    return Draw(seed_word(setup.config.seed), (position.epochs * setup.batches + position.batches) % 2**32)


def _step(setup: RunSetup, state: TrainState, batch: Any) -> tuple[TrainState, float]:
    """One update, and the batch's loss. NumericsError names the array with NaN or infinity."""
    network, config = state.model.network, setup.config
    images, (parts, arithmetic) = steps_first(batch.images), (config.parts, config.arithmetic)
    count = len(batch.images)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        draw = _draw(setup, state)
        done = forward(
            state.model, images, train=True, save_for_backward=True, parts=parts, arithmetic=arithmetic, draw=draw
        )
        for name, logits in done.outputs.items():
            if not np.isfinite(logits).all():
                raise NumericsError(expected(f"{name}: logits", "finite numbers", Unquoted("NaN or infinity")))
        loss, gradient = setup.job.loss(network, done, batch)
        gates = gate_terms(network, done).values()
        loss += sum(term.loss for term in gates)
        spikes = {n.name: int(np.count_nonzero(done.values[n.name])) for n in network.neurons}
        gradients = backward(state.model, done, gradient, discard=True)
        check_finite("gradients", gradients)
        last = state.position.batches + 1 == setup.batches
        params, optimizer, average, accumulated = _updated(setup, state, gradients, last)
        check_finite("state", done.state)
    position = replace(
        state.position,
        batches=state.position.batches + 1,
        samples=state.position.samples + count,
        loss=state.position.loss + loss * count,
        correct=state.position.correct + setup.job.right(done, batch),
        spikes=state.position.spikes + sum(spikes.values()),
        gates_right=state.position.gates_right + sum(term.right for term in gates),
        gates_decided=state.position.gates_decided + sum(term.decided for term in gates),
        fired=tuple(name for name, count in spikes.items() if count or name in state.position.fired),
    )
    model = Model(network, params, done.state)
    return TrainState(model, optimizer, position, state.history, average, accumulated), loss


def _updated(
    setup: RunSetup, state: TrainState, gradients: Arrays, last: bool
) -> tuple[Arrays, State, Arrays | None, Arrays | None]:
    """Parameters, optimizer, average and waiting gradients after a batch. last: of the epoch, which leaves none."""
    config, params = setup.config, state.model.params
    waiting = state.position.batches % config.accumulate
    if state.accumulated is not None:
        gradients = add_gradients(state.accumulated, gradients)
    if waiting + 1 < config.accumulate and not last:
        return params, state.optimizer, state.average, gradients
    if waiting:
        gradients = mean_gradients(gradients, waiting + 1)
    if config.clip_norm:
        gradients, _ = clip_gradients(gradients, config.clip_norm)
    rate = setup.rate(state.optimizer.step)
    params, optimizer = setup.optimizer.update(gradients, state.optimizer, params, rate)
    check_finite("params", params)
    average = state.average if state.average is None else moved_average(state.average, params, config.ema)
    return params, optimizer, average, None


def _epoch_done(setup: RunSetup, state: TrainState) -> TrainState:
    """The epoch's place in the history, with the validation's accuracy; a warning of layers that did not fire once."""
    network, past = state.model.network, state.position
    number = past.epochs + 1

    def on_progress(progress: Progress) -> None:
        if setup.progress:
            setup.progress(replace(progress, stage="validate", epoch=number, epochs=setup.config.epochs))

    found = None
    if setup.validation:
        found = setup.job.measure(state.usable, setup.validation, on_progress, setup.config.arithmetic)
    fired = {node.name: int(node.name in past.fired) for node in network.neurons}
    silent = tuple(name for name, count in fired.items() if not count)
    if silent:
        warn_dead_layers(f"epoch {number}", dead_in_model(state.model, fired, f"{past.samples} training samples"))
    neurons = sum(int(np.prod(network.shape(node.name))) for node in network.neurons)
    epoch = Epoch(
        number,
        past.loss / past.samples,
        setup.job.share(past),
        found and found.score,
        setup.rate(state.optimizer.step - 1),
        past.spikes / max(1, past.samples * network.steps * neurons),
        past.seconds,
        silent,
        found and found.loss,
        past.gates_right / past.gates_decided if past.gates_decided else None,
        dict(found.figures) if found else {},
    )
    return state._replace(position=Cursor(past.seed, number, settings=past.settings), history=(*state.history, epoch))
