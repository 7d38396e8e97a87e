"""What commands read: checkpoints, integer networks, and the data that their recipe names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qpsnn_core as qp
from qpsnn_core.checkpoint import KIND, Checkpoint
from qpsnn_core.config import DataConfig, Recipe
from qpsnn_core.errors import FormatError, expected
from qpsnn_core.storage import kind_of
from qpsnn_datasets import Augment, Split


def load_trained(path: Path) -> Checkpoint:
    """A checkpoint; FormatError says so where the file is something else."""
    if kind_of(path) != KIND:
        raise FormatError(expected(str(path), "a checkpoint", kind_of(path)))
    return qp.load_checkpoint(path)


def load_any(path: Path) -> tuple[Any, Recipe]:
    """A checkpoint's model and recipe, or an integer network and the default recipe."""
    if kind_of(path) == KIND:
        loaded = qp.load_checkpoint(path)
        return loaded.model, recipe_of(loaded)
    return qp.load_integer(path), Recipe()


def recipe_of(checkpoint: Checkpoint) -> Recipe:
    """The recipe that a checkpoint was made with; the default where it has none."""
    return qp.recipe_from_dict(checkpoint.recipe) if checkpoint.recipe else Recipe()


def data_of(recipe: Recipe, name: str, path: str, limit: int) -> Split:
    """The data that the command names, else the recipe's. A file's name alone is an HDF5 file of JPEGs."""
    if name.endswith((".h5", ".hdf5")):
        name, path = "cifar10", name
    if not name:
        name, path = recipe.data.name, path or recipe.data.path
    return qp.load_data(name, path or None, limit=limit or None)


def augmentation(data: DataConfig) -> Augment:
    """What the recipe does to training images."""
    return Augment(crop=data.crop, flip=data.flip, cutout=data.cutout)
