"""DECOLLE networks, from a recipe to a file: training that goes on where it was stopped, and accuracy."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Doubles, Images, Longs
from qpsnn_core.experiments.local_runs import check_same_recipe
from qpsnn_core.experiments.runs import check_classes
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.local_learning.decolle import LocalTraining
from qpsnn_core.local_learning.decolle_file import DecolleCheckpoint, load_decolle, save_decolle
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, decolle_memory_bits
from qpsnn_core.local_learning.decolle_lsuv import lsuv
from qpsnn_core.local_learning.decolle_model import DecolleModel, initialise_decolle, quantized_decolle
from qpsnn_core.local_learning.decolle_recipe import DecolleRecipe
from qpsnn_core.local_learning.decolle_run import first_moments, learn_windows, respond_windows
from qpsnn_core.training.history import digest
from qpsnn_datasets import Dataset, epoch_order
from qpsnn_datasets.seeding import AUGMENT, bit_stream

AT_ONCE = 64
"""Samples whose states are in memory while a network is tested."""

SECONDS = 60
"""Between two writes of the file, at least."""


@dataclass(frozen=True)
class DecolleScore:
    """accuracies: of each layer's readout, the class that it gives most often, 0 to 1. lost: Q, P, R and V that left
    their ranges.
    """

    accuracies: tuple[float, ...]
    images: int
    lost: tuple[int, int, int, int]
    memory_bits: int

    @property
    def accuracy(self) -> float:
        """Of the last layer."""
        return self.accuracies[-1]


def new_decolle(recipe: DecolleRecipe, data: Dataset) -> DecolleModel:
    """The recipe's network for these frames, as it begins, after LSUV. ConfigError, DataError (no frames of events)."""
    check_classes("learning", data)
    if len(data.sample_shape) != 4 or data.input_range is not None:
        want = "frames of counted events"
        raise DataError(expected(f"{data.name}.images", want, Unquoted(f"{data.images.dtype} {data.images.shape}")))
    if data.sample_shape[0] != recipe.frames.steps:
        raise ConfigError(expected("frames.steps", f"{data.sample_shape[0]}, as {data.name} has", recipe.frames.steps))
    network = recipe.decolle.build(data.image_shape, len(data.classes))
    some = data.limited(recipe.frames.lsuv_samples).images[:, : recipe.train.steps]
    model = lsuv(initialise_decolle(network, recipe.train.seed), some, recipe.train)
    return quantized_decolle(model, recipe.formats)


def train_decolle(
    recipe: DecolleRecipe,
    data: Dataset,
    path: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Listener | None = None,
) -> DecolleCheckpoint:
    """Train as the recipe says and write the file `path`, also now and then, and on Ctrl-C.

    With `resume` training goes on from there and gives the same weights as if it had never stopped. Raises ConfigError
    (a file of another recipe or other samples), and what `learn_windows` and `load_decolle` raise.
    """
    training, count, written = recipe.train, len(data), time.monotonic()
    notes = {"data": {"train": digest(data)}}
    if resume:
        state = load_decolle(path)
        check_same_recipe(os.fspath(path), state.recipe, recipe.to_dict(), free=("data", "qspinn"))
        if state.notes.get("data") != notes["data"]:
            raise ConfigError(expected(f"{path}: data", "the samples that the run began with", Unquoted("others")))
    else:
        model = new_decolle(recipe, data)
        state = DecolleCheckpoint(model, first_moments(model.network), recipe=recipe.to_dict(), notes=notes)
    batches = -(-count // training.batch)
    try:
        while state.moments is not None and state.model.seen < training.epochs * count:
            epoch, done = divmod(state.model.seen, count)
            batch = done // training.batch
            state, loss = _batch(state, data, training, epoch, batch)
            if progress is not None:
                progress(Progress("train", epoch + 1, training.epochs, batch + 1, batches, loss, None))
            if time.monotonic() - written > SECONDS:
                save_decolle(path, state)
                written = time.monotonic()
    except KeyboardInterrupt:
        save_decolle(path, state)
        raise
    state = replace(state, moments=None)
    save_decolle(path, state)
    return state


def _batch(
    state: DecolleCheckpoint, data: Dataset, training: LocalTraining, epoch: int, batch: int
) -> tuple[DecolleCheckpoint, float]:
    order = epoch_order(len(data), training.seed, epoch)
    chosen = order[batch * training.batch : (batch + 1) * training.batch]
    windows = random_windows(data, chosen, training, epoch, batch)
    assert state.moments is not None  # noqa: S101 - who calls this has looked
    model, moments, losses = learn_windows(
        state.model, state.moments, windows, data.labels[chosen], training, training.rate(epoch)
    )
    mean = losses.mean(0)
    history = _with_batch(state.losses, mean, batch)
    return replace(state, model=model, moments=moments, losses=history), float(mean.sum())


def _with_batch(losses: tuple[tuple[float, ...], ...], mean: Doubles, batch: int) -> tuple[tuple[float, ...], ...]:
    """The mean losses of epochs, with another batch of the last."""
    if batch == 0:
        return (*losses, tuple(float(one) for one in mean))
    last = tuple((old * batch + float(one)) / (batch + 1) for old, one in zip(losses[-1], mean, strict=True))
    return (*losses[:-1], last)


def random_windows(data: Dataset, chosen: Longs, training: LocalTraining, epoch: int, batch: int) -> Images:
    """A window of each sample, which begins at a frame drawn by (seed, epoch, batch)."""
    room = data.sample_shape[0] - training.steps + 1
    drawn = bit_stream(training.seed, AUGMENT, epoch, batch).random_raw(len(chosen)) % np.uint64(room)
    return np.stack(
        [data.images[one, int(at) : int(at) + training.steps] for one, at in zip(chosen, drawn, strict=True)]
    )


def measure_decolle(
    model: DecolleModel, data: Dataset, training: LocalTraining, progress: Listener | None = None
) -> DecolleScore:
    """Accuracy of each layer's readout on the first `test_steps` frames of each sample. Raises as `respond_windows`."""
    check_classes("learning", data)
    layers, lost = len(model.network.layers), np.zeros(4, np.int64)
    right = np.zeros(layers, np.int64)
    parts = -(-len(data) // AT_ONCE)
    for part in range(parts):
        at = slice(part * AT_ONCE, (part + 1) * AT_ONCE)
        windows = np.asarray(data.images[at, : training.test_steps])
        real, first = model.formats == DECOLLE_FLOAT, TESTED + part * AT_ONCE
        found = respond_windows(model, windows, training, filtered=real, first=first)
        right += (found.votes(model.network.classes) == data.labels[at, None]).sum(0)
        lost += found.lost.sum(0)
        if progress is not None:
            progress(Progress("evaluate", 1, 1, part + 1, parts, None, None))
    return DecolleScore(
        accuracies=tuple(int(one) / len(data) for one in right),
        images=len(data),
        lost=(int(lost[0]), int(lost[1]), int(lost[2]), int(lost[3])),
        memory_bits=decolle_memory_bits(model.network, model.formats),
    )
