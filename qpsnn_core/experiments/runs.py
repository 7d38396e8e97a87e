"""What studies over seeds share: trainings that go on where they were stopped, and results that belong to a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from qpsnn_core.common.atomic import save_json
from qpsnn_core.common.errors import ConfigError, FormatError, Unquoted, expected
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.tasks import CLASSIFICATION
from qpsnn_core.experiments.data_choice import of_results
from qpsnn_core.experiments.stages import augmentation, network_for
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.recipe import Recipe, recipe_from_dict
from qpsnn_core.recipes.training import FinetuneConfig
from qpsnn_core.training.train import Trained, finetune, train
from qpsnn_datasets import Dataset, Split

RESULTS = "results.json"

R = TypeVar("R")


def check_classes(study: str, data: Split | Dataset) -> None:
    """ConfigError where the samples have no classes, of which the study takes accuracy or loss."""
    part = data.train if isinstance(data, Split) else data
    if part.task != CLASSIFICATION:
        want = f"a set with classes, as {study} takes their accuracy or loss"
        raise ConfigError(expected(f"{part.name}.task", want, part.task))


def make_folds(recipe: Recipe, data: Split, folds: int | None) -> list[Split]:
    """What seeds train and test on, in turn: `data`, or each fold of all its samples, dealt by the recipe's seed.

    Raises ConfigError (folds), DataError (parts that do not fit).
    """
    return [data] if folds is None else data.pooled().folds(folds, recipe.train.seed)


def seeded(recipe: Recipe, seed: int, **changes: Any) -> Recipe:
    """The recipe with this seed of training and of fine-tuning; changes: other tables of it."""
    return replace(
        recipe,
        train=replace(recipe.train, seed=seed),
        finetune=replace(recipe.finetune, seed=seed),
        **changes,
    )


def train_or_resume(recipe: Recipe, data: Split, path: Path, progress: Listener | None) -> Trained:
    """The recipe's network, trained; `path` is its checkpoint, from which a stopped training goes on."""
    return train(network_for(recipe, data), data.train, recipe.train, **_options(recipe, path, progress))


def finetune_or_resume(recipe: Recipe, model: Model, data: Split, path: Path, progress: Listener | None) -> Model:
    """`model`, fine-tuned as the recipe says. Its checkpoint at `path` is needed only while it runs."""
    settings: FinetuneConfig = recipe.finetune
    done = finetune(model, data.train, settings, **_options(recipe, path, progress)).model
    path.unlink(missing_ok=True)
    return done


def load_results(folder: Path, made_by: Mapping[str, Any], kind: Callable[..., R], what: str) -> list[R]:
    """What `folder` holds already, each result made by `kind` of its fields.

    made_by: the recipe, and whatever else all results depend on, by name. what: "the results of ...", for messages.
    Raises ConfigError (made by something else), FormatError (damaged, or the results of something else).
    """
    path = folder / RESULTS
    if not path.exists():
        return []
    found, results = read_results(path, kind, what)
    for name, value in made_by.items():
        if found.get(name) != value:
            recipe = name == "recipe"
            want, got = ("this recipe", Unquoted("another")) if recipe else (found.get(name), value)
            raise ConfigError(expected(f"{path}: {name}", want, got))
    return results


def read_results(path: Path, kind: Callable[..., R], what: str) -> tuple[dict[str, Any], list[R]]:
    """What a file of results says that they were made by, and the results, each made by `kind` of its fields.

    what: "the results of ...", for messages. Raises FormatError (missing, damaged, or the results of something else).
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        results = [kind(**result) for result in found.pop("results")]
        found["recipe"] = recipe_from_dict(found["recipe"]).to_dict()  # what it did not know yet, at its default
        return found, results
    except (OSError, AttributeError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: not {what}: {error}") from error


def save_results(folder: Path, made_by: Mapping[str, Any], results: Sequence[Any], data: Split | Dataset) -> None:
    """results: named tuples. data: what they were made with, so that the file names it. Raises FileError."""
    used = of_results(made_by["recipe"], data)
    save_json(folder / RESULTS, {**made_by, "data": used, "results": [result._asdict() for result in results]})


def std(values: Sequence[float]) -> float | None:
    """Standard deviation (of n - 1); None for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _options(recipe: Recipe, path: Path, progress: Listener | None) -> dict[str, Any]:
    return {
        "augment": augmentation(recipe.data),
        "checkpoint": path,
        "resume": path.exists(),
        "recipe": recipe.to_dict(),
        "progress": progress,
    }
