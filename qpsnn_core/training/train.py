"""Training and fine-tuning: checked before they start; stopped anywhere, they can go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from qpsnn_core.common.errors import ConfigError, DataError, FileError, Unquoted, expected
from qpsnn_core.common.options import known_options
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.validation import check_kind, check_kinds, check_path
from qpsnn_core.engine.checks import check_batch_statistics, check_model
from qpsnn_core.engine.clipping import warn_clipped
from qpsnn_core.engine.evaluation import check_data
from qpsnn_core.engine.memory import check_step
from qpsnn_core.engine.passes import check_model_kind, initialise
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model, with_steps
from qpsnn_core.optim.optimizers import OPTIMIZERS
from qpsnn_core.optim.schedules import SCHEDULES
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_core.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qpsnn_core.training.history import Cursor, Epoch, TrainedOn, digest
from qpsnn_core.training.loop import RunSetup, TrainState, training_states
from qpsnn_datasets import Augment, Dataset, Split, batch_count

PathLike = str | os.PathLike[str]

UNNAMED = "config.arithmetic"
"""What files of older versions do not name: their sums were of neither arithmetic. Such a run goes on under the one
that it is given, and its files go on to name none."""


class Trained(NamedTuple):
    """The trained model, what happened in every epoch, and all of it as the checkpoint that was or could be saved."""

    model: Model
    history: tuple[Epoch, ...]
    checkpoint: Checkpoint

    def __repr__(self) -> str:
        last = self.history[-1:]
        test = [f", test {one.validation:.2%}" for one in last if one.validation is not None]
        figures = "".join(f", loss {one.loss:.4g}, train {one.accuracy:.2%}" for one in last) + "".join(test)
        return f"Trained({self.model!r}, {len(self.history)} epochs{figures})"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training. trained: what there is so far, and what its checkpoint holds, if it has one."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.trained = trained


def train(
    network: Network | Model,
    data: Dataset | Split,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    augment: Augment | None = None,
    validation: Dataset | None = None,
    checkpoint: PathLike | None = None,
    resume: bool = False,
    every: int = 1,
    progress: Listener | None = None,
    recipe: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    stage: str = "train",
) -> Trained:
    """Train a network from fresh parameters (drawn from `config.seed`), or a model from those that it has.

    data: of a Split, its validation part, else its test part, is the validation, unless one is given; it is measured
    after every epoch, with running statistics. An epoch takes whole batches only: what is left over of the shuffled set
    waits for another.
    checkpoint: a file, written after `every` so many epochs, at the end, and on Ctrl-C (`Interrupted`, a
    KeyboardInterrupt that holds what was trained, raised once the file is whole). resume: go on from that file, bit
    for bit as if nothing had happened; what decides the result must be given as it was. progress: called after every
    batch; `EpochListener` after every epoch, too. recipe, notes: JSON data for the checkpoint, on resuming by default
    those in the file; only a recipe that names a set lets commands load the data again: without one, a set that
    `load_data` or `from_folder` gave is named. `Checkpoint.data` says what they were called. stage: the name that
    progress bears.
    Raises, before anything starts, ShapeError, DataError, LabelError (data), ConfigError (less than one batch, a run
    resumed with other settings), FileError (checkpoint); later NumericsError, which names epoch, batch and array, and
    FileError when the disk is full. Warns, at the start and at the end, of layers whose quantizer clips much of their
    weights (ClippedWeightsWarning).
    """
    resume, every, stage = plain((resume, every, stage))
    if type(every) is not int or every < 1:
        raise ConfigError(expected("every", "a whole number of epochs, at least 1", every))
    check_kind("train.stage", stage, str)
    check_kinds(stage, bool, resume=resume)
    check_kinds(stage, Mapping, recipe=recipe, notes=notes)
    if checkpoint is not None:
        check_path(f"{stage}.checkpoint", checkpoint)
    setup = _planned(stage, network, data, config, augment, validation, progress)
    past = _past(checkpoint, resume)
    state = resumed_state(setup, network, past, f"{checkpoint}") if past else initial_state(setup, network)
    clipped = warn_clipped(state.model)
    made_by = dict(recipe) if recipe is not None else past.recipe if past else _made_by(stage, setup)
    trained_on = _trained_on(setup, data)
    said = dict(notes) if notes is not None else past.notes if past else {}

    def save() -> Checkpoint:
        stand = (state.position, state.history, made_by, said)
        whole = Checkpoint(state.model, state.optimizer, *stand, data=trained_on)
        if checkpoint is not None:
            save_checkpoint(checkpoint, whole)
        return whole

    try:
        for state in training_states(setup, state):  # noqa: B020 - from where it stands to where it stands next
            epochs = state.position.epochs
            if state.position.batches == 0 and epochs % every == 0 and epochs < config.epochs:
                save()
        warn_clipped(state.model, known=clipped)
        return Trained(state.model, state.history, save())
    except KeyboardInterrupt:
        with ignore_sigint():
            stopped = Interrupted(Trained(state.model, state.history, save()))
        raise stopped from None


@known_options()
def finetune(
    model: Model,
    data: Dataset | Split,
    config: TrainConfig = FinetuneConfig(),  # noqa: B008 - frozen
    *,
    augment: Augment | None = None,
    validation: Dataset | None = None,
    checkpoint: PathLike | None = None,
    resume: bool = False,
    every: int = 1,
    progress: Listener | None = None,
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
        checkpoint=checkpoint,
        resume=resume,
        every=every,
        progress=progress,
        recipe=recipe,
        notes=notes,
        stage=stage,
    )


def _planned(
    stage: str,
    network: Network | Model,
    data: Dataset | Split,
    config: TrainConfig,
    augment: Augment | None,
    validation: Dataset | None,
    progress: Listener | None,
) -> RunSetup:
    """Everything checked that can be known before the first batch."""
    check_kind(f"{stage}.network" if stage == "train" else f"{stage}.model", network, Network, Model)
    if isinstance(network, Model):
        check_model_kind(f"{stage}.model", network)
    check_kind(f"{stage}.config", config, TrainConfig)
    check_kinds(stage, Augment, augment=augment)
    check_kinds(stage, Dataset, validation=validation)
    dataset = data.train if isinstance(data, Split) else data
    if not isinstance(dataset, Dataset):
        raise DataError(expected("data", "a Dataset or a Split", Unquoted(type(data).__name__)))
    if validation is None and isinstance(data, Split):
        validation = data.test if data.validation is None else data.validation
    graph = network.network if isinstance(network, Model) else network
    for each in (dataset, validation):
        if each is not None:
            check_data(graph, each)
    if len(dataset) < config.batch:
        raise DataError(expected(f"{dataset.name}", f"at least one batch of {config.batch} images", len(dataset)))
    check_batch_statistics(graph, config.batch)
    optimizer = OPTIMIZERS[config.optimizer](config.momentum, config.weight_decay)
    check_step(stage, graph, config.batch, 2 + len(optimizer.init({}).slots))
    count = batch_count(len(dataset), config.batch, drop_last=True)
    settings = {
        "stage": stage,
        "config": asdict(config),
        "augment": asdict(augment or Augment()),
        "data": digest(dataset),
        "validation": digest(validation) if validation else None,
    }
    return RunSetup(
        stage,
        dataset,
        validation,
        augment,
        config,
        count,
        optimizer,
        SCHEDULES[config.schedule](config.lr, count * config.epochs, warmup=count * config.warmup_epochs),
        settings,
        progress,
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
    return TrainedOn(data.name, data.sample_shape, data.classes, len(data), count, digests)


def _past(checkpoint: PathLike | None, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; FileError already now where none could be written later."""
    if checkpoint is None:
        if resume:
            raise ConfigError(expected("checkpoint", "the file to resume from", Unquoted("none")))
        return None
    folder = Path(checkpoint).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(checkpoint).is_dir():
        raise FileError(expected(f"{checkpoint}", "a file in a folder that can be written", Unquoted("no such place")))
    return load_checkpoint(checkpoint) if resume else None


def initial_state(setup: RunSetup, network: Network | Model) -> TrainState:
    """The state before the first batch: fresh parameters, or those of the model, and a fresh optimizer."""
    model = network if isinstance(network, Model) else initialise(network, setup.config.seed)
    check_model(model)
    return TrainState(model, setup.optimizer.init(model.params), Cursor(setup.config.seed, settings=setup.settings), ())


def resumed_state(setup: RunSetup, network: Network | Model, past: Checkpoint, place: str) -> TrainState:
    """The state that a checkpoint holds; ConfigError if it belongs to another run."""
    graph = network.network if isinstance(network, Model) else network
    if past.optimizer is None or past.position is None:
        raise ConfigError(expected(place, "a checkpoint of a run", Unquoted("a model alone")))
    if _undrawn(past.model.network) != _undrawn(graph):
        raise ConfigError(expected(f"{place}: network", past.model.network.digest()[:12], graph.digest()[:12]))
    old, new = (_flat(settings) for settings in (past.position.settings, setup.settings))
    for name in [*new, *old]:
        later = name not in old and (name == UNNAMED or not new[name])  # it came after this run began, and is off
        if old.get(name) != new.get(name) and not later:
            raise ConfigError(expected(f"{place}: {name}", f"{old.get(name)}, as the run began", new.get(name)))
    return TrainState(past.model, past.optimizer, past.position, past.history)


def _undrawn(network: Network) -> Network:
    """Without the gains of fresh weights, which a run that goes on no longer draws, and older files do not have."""
    for node in network.synapses:
        network = network.change(node.name, gain=0.0)
    return network


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


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
