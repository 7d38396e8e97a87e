"""What commands read: checkpoints, integer networks, and the data that their recipe names; needs no extra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import qpsnn_core as qp
from qpsnn_core.common.errors import FormatError, expected
from qpsnn_core.common.hdf5 import kind_of
from qpsnn_core.experiments.stages import data_for, set_of
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.training.checkpoint import KIND, Checkpoint
from qpsnn_datasets import Dataset, Split, load_jpeg_part
from qpsnn_datasets.events import Recording, read_events

ARRAYS = (".npy", ".npz")
JPEGS = (".h5", ".hdf5")
OF_JPEGS = ("cifar10", "cifar100")
"""Sets whose file, where they are one, is of JPEGs."""


def load_trained(path: Path) -> Checkpoint:
    """A checkpoint; FormatError says so where the file is something else."""
    if kind_of(path) != KIND:
        raise FormatError(expected(str(path), "a checkpoint", kind_of(path)))
    return qp.load_checkpoint(path)


def load_any(path: Path) -> tuple[Any, Recipe]:
    """A checkpoint's model and recipe, or an integer network and the default recipe with its steps."""
    if kind_of(path) == KIND:
        loaded = qp.load_checkpoint(path)
        return loaded.model, recipe_of(loaded)
    network = qp.load_integer(path)
    return network, recipe_for(network)


def repairs_of(words: str) -> tuple[str, ...]:
    """The names in `sort,drop`."""
    return tuple(name.strip() for name in words.split(",") if name.strip())


def recording_of(path: Path, network: IntegerNetwork, format: str = "", repair: str = "") -> Recording:
    """The one recording of a file; of arrays, which do not say their sensor, on the network's."""
    height, width, _ = network.input.shape
    sensor = (height, width) if path.suffix in ARRAYS else None
    return read_events(path, format=format, sensor=sensor, repair=repairs_of(repair))


def recipe_for(network: IntegerNetwork) -> Recipe:
    """The default recipe, with as many steps as an integer network has."""
    return Recipe(network=NetworkConfig(steps=network.steps))


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe that a checkpoint was made with; the default where it has none."""
    return qp.recipe_from_dict(checkpoint.recipe) if checkpoint.recipe else Recipe()


def with_prune(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with other settings of [prune]; empty ones change nothing."""
    return replace(recipe, prune=replace(recipe.prune, **{name: value for name, value in changes.items() if value}))


def data_of(recipe: Recipe, name: str = "", path: str = "", limit: int = 0) -> Split:
    """The data that the command names, else the recipe's. A file's name alone is an HDF5 file of JPEGs."""
    return data_for(recipe, *_named(name, path), limit)


def images_of(recipe: Recipe, name: str = "", path: str = "", limit: int = 0) -> Dataset:
    """The test images of that data; of a file of JPEGs nothing else is read, and nothing else need be there."""
    name, path = set_of(recipe, *_named(name, path))
    if name in OF_JPEGS and path.endswith(JPEGS):
        return load_jpeg_part(path, name, "test", limit=limit or recipe.data.limit or None)
    return data_for(recipe, name, path, limit).test


def _named(name: str, path: str) -> tuple[str, str]:
    return ("cifar10", name) if name.endswith(JPEGS) else (name, path)
