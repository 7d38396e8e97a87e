"""Where a run begins, or goes on: the state before its next batch, and what may change between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.passes import initialise
from qpsnn_core.network.differences import first_difference
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.optim.schedules import SCHEDULES, Schedule
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_core.training.history import Cursor, what_differs
from qpsnn_core.training.kept import from_slots
from qpsnn_core.training.loop import RunSetup, TrainState
from qpsnn_datasets import Augment

UNNAMED = "config.arithmetic"
"""What files of older versions do not name: their sums were of neither arithmetic. Such a run goes on under the one
that it is given, and its files go on to name none."""

EPOCHS = "config.epochs"
SETS = ("data", "validation")
"""Settings that are digests of sets."""

FREE = ("config.patience", "config.monitor")
"""They decide when a run ends and which epoch is kept, not what an epoch does: a run goes on with others."""


def schedule_of(config: TrainConfig, batches: int) -> Schedule:
    """The learning rate of each update. batches: whole ones in an epoch; `accumulate` of them make an update."""
    updates = -(-batches // config.accumulate)
    total, warmup = updates * config.epochs, updates * config.warmup_epochs
    return SCHEDULES[config.schedule](config.lr, total, warmup=warmup)


def initial_state(setup: RunSetup, network: Network | Model) -> TrainState:
    """The state before the first batch: fresh parameters, or those of the model, and a fresh optimizer."""
    model = network if isinstance(network, Model) else setup.job.begun(initialise(network, setup.config.seed))
    check_model(model)
    cursor = Cursor(setup.config.seed, settings=setup.settings)
    average = model.params if setup.config.ema else None
    return TrainState(model, setup.optimizer.init(model.params), cursor, (), average)


def resumed_state(setup: RunSetup, network: Network | Model, past: Checkpoint, place: str) -> TrainState:
    """The state that a checkpoint holds; ConfigError if it belongs to another run."""
    graph = network.network if isinstance(network, Model) else network
    if past.optimizer is None or past.position is None:
        raise ConfigError(expected(place, "a checkpoint of a run", Unquoted("a model alone")))
    apart = first_difference(_undrawn(past.model.network), _undrawn(graph))
    if apart is not None:
        want = Unquoted(apart.new)
        raise ConfigError(expected(f"{place}: network: {apart.place}", f"{apart.old}, as the run began", want))
    old, new = (flat(settings) for settings in (past.position.settings, setup.settings))
    for name in [*new, *old]:
        later = name not in old and (name == UNNAMED or not new[name] or new[name] == DEFAULTS.get(name))
        if name in FREE or later or old.get(name) == new.get(name):  # later: it came after this run began, and is off
            continue
        refusal = f"{old.get(name)}, as the run began"
        if name == EPOCHS:
            refusal = _why_not_extended(setup, past.position.epochs, past.optimizer.step, old[EPOCHS])
        if name in SETS and (one := getattr(setup, name)) is not None and old.get(name):
            part = "train" if name == "data" else name
            got = Unquoted(f"{new[name]}: {what_differs(past.data, part, one)}")
            raise ConfigError(expected(f"{place}: {name}", f"SHA-256 {refusal}", got))
        if refusal:
            raise ConfigError(expected(f"{place}: {name}", refusal, new.get(name)))
    settings = dict(past.position.settings)
    if "config" in settings:
        chosen = {name.partition(".")[2]: new[name] for name in (EPOCHS, *FREE) if name in new}
        settings["config"] = {**settings["config"], **chosen}
    position = replace(past.position, settings=settings)
    model, optimizer, average, accumulated = from_slots(past.model, past.optimizer)
    return TrainState(model, optimizer, position, past.history, average, accumulated)


def _why_not_extended(setup: RunSetup, done: int, updates: int, epochs: int) -> str:
    """What was expected instead of another number of epochs; "" where what is done would have been done the same."""
    before = f"{epochs}, as the run began"
    if setup.config.epochs < done:
        return f"at least the {done} that are done"
    rate = schedule_of(replace(setup.config, epochs=epochs), setup.batches)
    for update in range(updates):
        if rate(update) != setup.rate(update):
            schedule = setup.config.schedule
            return f"{before} (over another number, the {schedule} schedule gives update {update + 1} another rate)"
    return ""


def _undrawn(network: Network) -> Network:
    """Without the gains of fresh weights, which a run that goes on no longer draws, and older files do not have."""
    for node in network.synapses:
        network = network.change(node.name, gain=0.0)
    return network


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One level of tables as `table.key`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


DEFAULTS = flat({"config": asdict(TrainConfig()), "augment": asdict(Augment())})
"""What a setting that a file does not name must be."""
