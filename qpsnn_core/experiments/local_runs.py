"""Networks that learn locally, from a recipe to a file: learning that goes on where it was stopped, and accuracy."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Labels
from qpsnn_core.experiments.runs import check_classes
from qpsnn_core.local_learning.file import LocalCheckpoint, load_local, save_local
from qpsnn_core.local_learning.formats import memory_bits
from qpsnn_core.local_learning.labels import label_neurons, learn_ngrams
from qpsnn_core.local_learning.model import LocalModel, dequantized, initialise
from qpsnn_core.local_learning.present import AT_ONCE, Responses, learn, respond
from qpsnn_core.local_learning.recipe import LocalRecipe, local_recipe_from_dict
from qpsnn_core.training.history import digest
from qpsnn_core.training.resume import flat
from qpsnn_datasets import Dataset, epoch_order

FREE = ("data", "qspinn")
"""Tables that may change: images are told by their digest, and a search does not change how a network learns."""

SAVED = 20
"""Parts of AT_ONCE samples between two writes of the file."""


@dataclass(frozen=True)
class LocalScore:
    """accuracy: 0 to 1. spikes: per sample. saturated: membranes, thresholds and weights that left their ranges."""

    accuracy: float
    images: int
    spikes: float
    saturated: tuple[int, int, int]
    memory_bits: int


def new_model(recipe: LocalRecipe, data: Dataset) -> LocalModel:
    """The recipe's network for these images, as it begins. ConfigError, DataError (frames of events)."""
    check_classes("learning", data)
    if len(data.sample_shape) != 3 or data.input_range is not None:
        want = "images of bytes, which become spikes by their brightness"
        raise DataError(expected(f"{data.name}.images", want, Unquoted(f"{data.images.dtype} {data.images.shape}")))
    network = recipe.diehl_cook.build(int(np.prod(data.image_shape)))
    return initialise(network, recipe.formats, recipe.learn.seed)


def learn_recipe(
    recipe: LocalRecipe,
    data: Dataset,
    path: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Listener | None = None,
) -> LocalCheckpoint:
    """Learn from the training images as the recipe says, name the neurons, and write the file `path`.

    It is also written now and then, and on Ctrl-C; with `resume` learning goes on from there and gives the same bits
    as if it had never stopped. Raises ConfigError (a file of another recipe or other images), and what `learn` and
    `load_local` raise.
    """
    about = {"data": {"train": digest(data)}}
    begun = LocalCheckpoint(new_model(recipe, data), recipe=recipe.to_dict(), notes=about)
    if resume:
        begun = _resumed(begun, load_local(path), os.fspath(path))
    if begun.named is not None:
        return begun
    total, batches = recipe.learn.epochs * len(data), -(-len(data) // AT_ONCE)
    model, at, history = begun.model, 0, list(begun.notes.get("history", []))
    try:
        while model.seen < total:
            epoch, start = divmod(model.seen, len(data))
            order = epoch_order(len(data), recipe.learn.seed if recipe.learn.shuffle else None, epoch)
            model, found = learn(model, data.images[order[start : start + AT_ONCE]])
            history.append(_moment(model, found))
            at += 1
            if progress is not None:
                progress(Progress("learn", epoch + 1, recipe.learn.epochs, start // AT_ONCE + 1, batches, None, None))
            if at % SAVED == 0:
                save_local(path, replace(begun, model=model, notes={**begun.notes, "history": history}))
    except KeyboardInterrupt:
        save_local(path, replace(begun, model=model, notes={**begun.notes, "history": history}))
        raise
    last = replace(begun, model=model, notes={**begun.notes, "history": history})
    done = name_neurons(recipe, last, data, progress)
    save_local(path, done)
    return done


def _moment(model: LocalModel, found: Responses) -> dict[str, float]:
    """Thresholds in mV after some samples, and the spikes of each of those, for the notes of a file."""
    thresholds = (dequantized(model).adaptation.astype(np.float64) + model.network.neuron.threshold).tolist()
    return {
        "seen": model.seen,
        "lowest": min(thresholds),
        "mean": math.fsum(thresholds) / len(thresholds),
        "highest": max(thresholds),
        "spikes": int(found.counts.sum()) / len(found.counts),
    }


def _resumed(fresh: LocalCheckpoint, past: LocalCheckpoint, place: str) -> LocalCheckpoint:
    """The past of a run; ConfigError names what is no longer the same."""
    check_same_recipe(place, past.recipe, fresh.recipe, free=FREE)
    if past.notes.get("data") != fresh.notes["data"]:
        raise ConfigError(expected(f"{place}: data", "the images that the run began with", Unquoted("others")))
    if past.model.formats != fresh.model.formats or past.model.network != fresh.model.network:
        raise ConfigError(expected(place, "the network of this recipe", Unquoted("another")))
    return past


def check_same_recipe(place: str, past: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...] = ()) -> None:
    """ConfigError names the first key of a recipe that changed; free: tables that may."""
    old, new = (leaves({key: one for key, one in tables.items() if key not in free}) for tables in (past, now))
    for name in [*new, *(key for key in old if key not in new)]:
        if old.get(name) != new.get(name):
            raise ConfigError(expected(f"{place}: {name}", f"{old.get(name)}, as it began", new.get(name)))


def leaves(tables: Mapping[str, Any]) -> dict[str, Any]:
    """All levels of tables as one, `table.table.key`."""
    found = flat(tables)
    return leaves(found) if any(isinstance(value, dict) and value for value in found.values()) else found


def name_neurons(
    recipe: LocalRecipe, checkpoint: LocalCheckpoint, data: Dataset, progress: Listener | None = None
) -> LocalCheckpoint:
    """The checkpoint with the classes of its neurons, by their responses to training images."""
    chosen = data.limited(recipe.learn.label_samples or None)
    found = respond(checkpoint.model, chosen.images, progress)
    return replace(checkpoint, named=label_neurons(found.counts, chosen.labels, len(data.classes)))


def measure(
    checkpoint: LocalCheckpoint,
    data: Dataset,
    train: Dataset | None = None,
    progress: Listener | None = None,
) -> LocalScore:
    """Accuracy on `data`, by the vote of the checkpoint's recipe.

    train: the images by which pairs of spikes are counted, for the vote "ngram". Raises ConfigError (neurons without
    names, no images for n-grams), ShapeError (other classes).
    """
    check_classes("learning", data)
    recipe, named, model = local_recipe_from_dict(checkpoint.recipe), checkpoint.named, checkpoint.model
    if named is None:
        raise ConfigError(expected("checkpoint", "one that has learnt to the end", Unquoted(f"{model.seen} samples")))
    if named.rates.shape[1] != len(data.classes):
        raise ShapeError(expected(f"{data.name}.classes", named.rates.shape[1], len(data.classes)))
    found = respond(model, data.images, progress)
    if recipe.learn.vote == "ngram":
        if train is None:
            raise ConfigError(expected("train", "the training images, by which n-grams are counted", None))
        chosen = train.limited(recipe.learn.label_samples or None)
        winners = respond(model, chosen.images, progress).winners
        votes = learn_ngrams(winners, chosen.labels, len(data.classes), model.network.neurons).vote(found.winners)
    elif recipe.learn.vote == "proportion":
        votes = named.proportion_weighting(found.counts)
    else:
        votes = named.all_activity(found.counts)
    return _score(model, found, votes, data.labels)


def _score(model: LocalModel, found: Responses, votes: Labels, labels: Labels) -> LocalScore:
    lost = found.saturated.sum(0)
    return LocalScore(
        accuracy=int((votes == labels).sum()) / len(labels),
        images=len(labels),
        spikes=int(found.counts.sum()) / len(labels),
        saturated=(int(lost[0]), int(lost[1]), int(lost[2])),
        memory_bits=memory_bits(model.network, model.formats),
    )


def load_for(path: Path) -> tuple[LocalCheckpoint, LocalRecipe]:
    """A file of `learn_recipe`, and the recipe in it. Raises as `load_local`, ConfigError (no recipe)."""
    loaded = load_local(path)
    if not loaded.recipe:
        raise ConfigError(expected(str(path), "a network that `qpsnn learn` made", Unquoted("one without a recipe")))
    return loaded, local_recipe_from_dict(loaded.recipe)
