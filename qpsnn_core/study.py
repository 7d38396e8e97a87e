"""What studies over seeds share: trainings that go on where they were stopped, and results that belong to a recipe."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qpsnn_core.config import FinetuneConfig, Recipe
from qpsnn_core.errors import ConfigError, FormatError, Words, expected
from qpsnn_core.history import Listener
from qpsnn_core.model import Model
from qpsnn_core.stages import augmentation, network_for
from qpsnn_core.training import Trained, finetune, train
from qpsnn_datasets import Split

RESULTS = "results.json"


def trained(recipe: Recipe, data: Split, path: Path, progress: Listener | None) -> Trained:
    """The recipe's network, trained; `path` is its checkpoint, from which a stopped training goes on."""
    return train(network_for(recipe, data), data.train, recipe.train, **_options(recipe, path, progress))


def tuned(recipe: Recipe, model: Model, data: Split, path: Path, progress: Listener | None) -> Model:
    """`model`, fine-tuned as the recipe says. Its checkpoint at `path` is needed only while it runs."""
    settings: FinetuneConfig = recipe.finetune
    done = finetune(model, data.train, settings, **_options(recipe, path, progress)).model
    path.unlink(missing_ok=True)
    return done


def load_results(folder: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """What `folder` holds already; ConfigError: of another recipe, FormatError: damaged."""
    path = folder / RESULTS
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made_by, results = found["recipe"], [dict(result) for result in found["results"]]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: not the results of a study: {error}") from error
    if made_by != recipe.to_dict():
        raise ConfigError(expected(f"{path}: recipe", "this recipe", Words("another")))
    return results


def save_results(folder: Path, recipe: Recipe, results: Sequence[dict[str, Any]]) -> None:
    """Written beside, then renamed."""
    path, beside = folder / RESULTS, folder / f".{RESULTS}.part"
    contents = {"recipe": recipe.to_dict(), "results": list(results)}
    beside.write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _options(recipe: Recipe, path: Path, progress: Listener | None) -> dict[str, Any]:
    return {
        "augment": augmentation(recipe.data),
        "checkpoint": path,
        "resume": path.exists(),
        "recipe": recipe.to_dict(),
        "progress": progress,
    }
