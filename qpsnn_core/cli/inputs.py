"""What commands read: checkpoints, integer networks, and the data that their recipe names; needs no extra."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import CHECKPOINT, INTEGERS
from qpsnn_core.common.hdf5 import check_file_kind, kind_of
from qpsnn_core.common.tasks import CLASSIFICATION
from qpsnn_core.experiments.data_choice import NAMED, DataChoice
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.training.checkpoint import KIND, Checkpoint
from qpsnn_datasets import Augment, Source, source_of
from qpsnn_datasets.sources import FORMS

RECIPES = ".toml"


def load_trained(path: Path) -> Checkpoint:
    """A checkpoint; FormatError names the command that makes one where the file is something else."""
    return qp.load_checkpoint(path)


def load_any(path: Path) -> Checkpoint | IntegerNetwork:
    """A checkpoint, or an integer network; FormatError as `load_trained`."""
    check_file_kind(path, CHECKPOINT, INTEGERS)
    return qp.load_checkpoint(path) if kind_of(path) == KIND else qp.load_integer(path)


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe that a checkpoint was made with; the defaults, and no data, where it has none."""
    return qp.recipe_from_dict(checkpoint.recipe) if checkpoint.recipe else Recipe()


def with_prune(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with other settings of [prune]; empty ones change nothing."""
    return replace(recipe, prune=replace(recipe.prune, **{name: value for name, value in changes.items() if value}))


def settings_from(checkpoint: Checkpoint, table: str) -> str:
    """Where the settings of a stage come from, in words."""
    there = table in checkpoint.recipe
    rest = f"the recipe's [{table}]" if there else f"defaults, as the checkpoint's recipe has no table [{table}]"
    return f"options, else {rest}"


def data_of_recipe(path: Path, recipe: Recipe) -> DataChoice:
    """The data that a recipe names; ConfigError names its file where it names none."""
    if not recipe.data.name:
        raise ConfigError(expected(f"{path}: data.name", NAMED, Unquoted("none")))
    return DataChoice(recipe.data, recipe.network.steps)


def data_of(path: Path, loaded: Checkpoint | IntegerNetwork, text: str = "", place: str = "") -> DataChoice:
    """What --data (`text`) and --path (`place`) name, else what the recipe of a checkpoint names.

    A path alone replaces the recipe's. The recipe's limit is of its own data; --data has none but the command's. Of a
    recipe in TOML, as --data, the whole table [data] is taken: its limit, and how it cuts events into frames.
    What it gives is checked to fit the network. Raises ConfigError where nothing names any data: an integer network
    does not, nor a checkpoint from Python.
    """
    checkpoint = loaded if isinstance(loaded, Checkpoint) else None
    network = loaded.model.network if isinstance(loaded, Checkpoint) else loaded
    config = recipe_of(checkpoint).data if checkpoint else DataConfig()
    if text.endswith(RECIPES):
        config = data_of_recipe(Path(text), qp.load_recipe(text)).config
        config = replace(config, path=place or config.path)
    elif text:
        source = source_of(text, place)
        config = _of_source(config, source)
    elif not config.name:
        kind = "this checkpoint" if checkpoint else "an integer network"
        known = f"none: it was trained on arrays called {checkpoint.data}" if checkpoint and checkpoint.data else "none"
        raise ConfigError(
            expected(f"{path}: {kind} names no data; give --data", f"{FORMS}, or a recipe", Unquoted(known))
        )
    elif place:
        config = replace(config, path=place)
    told = checkpoint.data if checkpoint else None
    if told is not None and told.task != CLASSIFICATION and config.name == "arrays" and not config.task:
        config = replace(config, task=told.task)
    classes = told.classes if told is not None else ()
    own = checkpoint.data if checkpoint and not text else None
    return DataChoice(config, network.steps, network, classes, trained_on=own)


def _of_source(config: DataConfig, source: Source) -> DataConfig:
    """Another set, all of it; how it is laid out is as the recipe says, where that is of a set of its kind."""
    coding = ("coding", "coding_seed", "coding_threshold")  # the network reads spikes
    kept = {name: getattr(config, name) for name in (*coding, *(field.name for field in fields(Augment)))}
    if source.name == config.name:
        laid = ("frames", "size", "channels", "series", "resize", "colour", "task")
        kept |= {name: getattr(config, name) for name in laid}
    return DataConfig(source.name, source.path, **kept)


def with_data(checkpoint: Checkpoint, choice: DataChoice) -> dict[str, Any]:
    """The recipe of a checkpoint, as JSON data, that names the data which the command used."""
    return {**checkpoint.recipe, "data": asdict(choice.config)}
