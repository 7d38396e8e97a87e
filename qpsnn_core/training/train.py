"""Training and fine-tuning: checked before they start; stopped anywhere, they can go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.options import known_options
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.validation import check_kind, check_kinds, check_path
from qpsnn_core.engine.clipping import warn_clipped
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model, with_steps
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_core.training.best import check_best, check_place
from qpsnn_core.training.callbacks import Callback
from qpsnn_core.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qpsnn_core.training.history import Epoch, TrainedOn, best_epoch, digest
from qpsnn_core.training.kept import to_slots
from qpsnn_core.training.logs import check_log, write_log
from qpsnn_core.training.loop import RunSetup, training_states
from qpsnn_core.training.objective import Objective
from qpsnn_core.training.resume import initial_state, resumed_state
from qpsnn_core.training.setup import run_setup
from qpsnn_core.training.tensorboard import epoch_writer
from qpsnn_datasets import Augment, Dataset, Split
from qpsnn_datasets.detection.augment import DetectionAugment
from qpsnn_datasets.detection.schema import DetectionDataset

PathLike = str | os.PathLike[str]


class Trained(NamedTuple):
    """The trained model, what happened in every epoch, and all of it as the checkpoint that was or could be saved."""

    model: Model
    history: tuple[Epoch, ...]
    checkpoint: Checkpoint

    def __repr__(self) -> str:
        last = self.history[-1:]
        validation = [f", validation {one.validation:.2%}" for one in last if one.validation is not None]
        figures = "".join(f", loss {one.loss:.4g}" for one in last)
        figures += "".join(f", train {one.accuracy:.2%}" for one in last if one.accuracy is not None)
        figures += "".join(validation)
        return f"Trained({self.model!r}, {len(self.history)} epochs{figures})"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training. trained: what there is so far, and what its checkpoint holds, if it has one."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.trained = trained


@shows_progress
def train(
    network: Network | Model,
    data: Dataset | Split,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    augment: Augment | DetectionAugment | None = None,
    validation: Dataset | None = None,
    loss: Objective | None = None,
    checkpoint: PathLike | None = None,
    best: PathLike | None = None,
    resume: bool = False,
    every: int = 1,
    progress: Listener | bool | None = None,
    callbacks: Sequence[Callback] = (),
    log: PathLike | None = None,
    tensorboard: PathLike | None = None,
    recipe: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    stage: str = "train",
) -> Trained:
    """Train a network from fresh parameters (drawn from `config.seed`), or a model from those that it has.

    data: of a Split, its validation part, else its test part, is the validation, unless one is given or
    `config.validation` holds out a share of the training part; it is measured after every epoch, with running
    statistics. An epoch takes whole batches only: what is left over of the shuffled set waits for another.
    loss: a function, instead of `config.loss`, of logits, float32 [T, B, K], and labels, integers [B], that gives the
    loss, a number, and its gradient, [T, B, K].
    checkpoint: a file, written after `every` so many epochs, at the end, and on Ctrl-C (`Interrupted`, a
    KeyboardInterrupt that holds what was trained, raised once the file is whole). best: a file that keeps the
    checkpoint of the best epoch on the validation, by `config.monitor`; what is returned is the last. resume: go on
    from `checkpoint`, bit for bit as if nothing had happened; what decided the result must be given as it was. Epochs
    may be added where the schedule gives those that are done the same learning rates. progress: called after every
    batch; `EpochListener` after every epoch, too; True draws bars in a terminal or notebook. callbacks: functions of a
    `RunState`, called after every epoch; one that gives True stops the run. log: a .csv or .jsonl file with a line for
    each epoch. tensorboard: a folder for its figures (needs tensorboardX). recipe, notes: JSON data for the checkpoint,
    on resuming by default those in the file; only a recipe that names a set lets commands load the data again: without
    one, a set that `load_data` or `from_folder` gave is named. `Checkpoint.data` says what they were called. stage: the
    name that progress bears.
    Raises, before anything starts, ShapeError, DataError, LabelError (data), ConfigError (less than one batch, a run
    resumed with other settings), FileError (checkpoint); later NumericsError, which names epoch, batch and array, and
    FileError when the disk is full. Warns, at the start and at the end, of layers whose quantizer clips much of their
    weights (ClippedWeightsWarning).
    """
    resume, every, stage = plain((resume, every, stage))
    progress = listener_of(stage if isinstance(stage, str) else "train", progress)
    if type(every) is not int or every < 1:
        raise ConfigError(expected("every", "a whole number of epochs, at least 1", every))
    check_kind("train.stage", stage, str)
    check_kinds(stage, bool, resume=resume)
    check_kinds(stage, Mapping, recipe=recipe, notes=notes)
    for name, place in (("checkpoint", checkpoint), ("best", best), ("log", log), ("tensorboard", tensorboard)):
        if place is not None:
            check_path(f"{stage}.{name}", place)
    setup = run_setup(stage, network, data, config, augment, validation, loss, progress, callbacks)
    past = _past(checkpoint, resume)
    state = resumed_state(setup, network, past, f"{checkpoint}") if past else initial_state(setup, network)
    if best is not None:
        check_best(f"{stage}.best", best, checkpoint, setup, state.history)
    if log is not None:
        check_log(f"{stage}.log", log)
        check_place(log)
        write_log(log, state.history)
    clipped = warn_clipped(state.usable)
    made_by = dict(recipe) if recipe is not None else past.recipe if past else _made_by(stage, setup)
    trained_on = _trained_on(setup, data)
    said = dict(notes) if notes is not None else past.notes if past else {}

    def save(*places: PathLike | None) -> Checkpoint:
        stand = (state.position, state.history, made_by, said)
        model, optimizer = to_slots(state.model, state.optimizer, state.average, state.accumulated)
        whole = Checkpoint(model, optimizer, *stand, data=trained_on)
        for place in places:
            if place is not None:
                save_checkpoint(place, whole)
        return whole

    try:
        with epoch_writer(f"{stage}.tensorboard", tensorboard, state.position.epochs) as writer:
            for state in training_states(setup, state):  # noqa: B020 - from where it stands to where it stands next
                epochs = state.position.epochs
                if state.position.batches == 0:
                    if log is not None:
                        write_log(log, state.history)
                    if writer is not None:
                        writer.write(state.history[-1])
                    if best is not None and best_epoch(state.history, config.monitor) == epochs:
                        save(best)
                    if epochs % every == 0 and epochs < config.epochs:
                        save(checkpoint)
        warn_clipped(state.usable, known=clipped)
        return Trained(state.usable, state.history, save(checkpoint))
    except KeyboardInterrupt:
        with ignore_sigint():
            stopped = Interrupted(Trained(state.usable, state.history, save(checkpoint)))
        raise stopped from None


@known_options()
def finetune(
    model: Model,
    data: Dataset | Split,
    config: TrainConfig = FinetuneConfig(),  # noqa: B008 - frozen
    *,
    augment: Augment | DetectionAugment | None = None,
    validation: Dataset | None = None,
    loss: Objective | None = None,
    checkpoint: PathLike | None = None,
    best: PathLike | None = None,
    resume: bool = False,
    every: int = 1,
    progress: Listener | bool | None = None,
    callbacks: Sequence[Callback] = (),
    log: PathLike | None = None,
    tensorboard: PathLike | None = None,
    recipe: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    stage: str = "finetune",
) -> Trained:
    """`train` for a model that has been pruned: Adam at 0.001 by default; the same options.

    Of a FinetuneConfig with `steps` the model goes on at that T, with the parameters and running statistics that it
    has. Raises, as well, ConfigError (other steps for a model that reads frames of events, one a step).
    """
    check_kind("finetune.model", model, Model)
    steps = config.steps if isinstance(config, FinetuneConfig) else 0
    if steps:
        model = with_steps(model, steps, "finetune.steps")
    return train(
        model,
        data,
        config,
        augment=augment,
        validation=validation,
        loss=loss,
        checkpoint=checkpoint,
        best=best,
        resume=resume,
        every=every,
        progress=progress,
        callbacks=callbacks,
        log=log,
        tensorboard=tensorboard,
        recipe=recipe,
        notes=notes,
        stage=stage,
    )


def _made_by(stage: str, setup: RunSetup) -> dict[str, Any]:
    """The recipe of a run that was given none: its settings, and the set, where that can be loaded again."""
    origin = dict(setup.data.origin)
    return {stage: asdict(setup.config), **({"data": origin} if origin else {})}


def _trained_on(setup: RunSetup, given: Dataset | Split) -> TrainedOn:
    """What the checkpoint says of the data; of a Split, of all its parts."""
    data, validation = setup.data, setup.validation
    count = len(validation) if validation else None
    parts = given.parts if isinstance(given, Split) else {"train": data}
    known = {id(data): setup.settings["data"], id(validation): setup.settings["validation"]}
    digests = {part: known.get(id(one)) or digest(one) for part, one in parts.items()}
    coding = (data.anchors, data.decode) if isinstance(data, DetectionDataset) else ()
    return TrainedOn(data.name, data.sample_shape, data.classes, len(data), count, digests, data.task, *coding)


def _past(checkpoint: PathLike | None, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; FileError already now where none could be written later."""
    if checkpoint is None:
        if resume:
            raise ConfigError(expected("checkpoint", "the file to resume from", Unquoted("none")))
        return None
    check_place(checkpoint)
    return load_checkpoint(checkpoint) if resume else None


@contextlib.contextmanager
def ignore_sigint() -> Iterator[None]:
    """Ignore further Ctrl-C until the block is done (in the main thread; no other thread receives it)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if old is None else old)
