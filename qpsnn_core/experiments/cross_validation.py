"""Cross-validation of a whole recipe: in each fold train, prune, fine-tune, lower, and evaluate the integers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.runs import check_classes, finetune_or_resume, load_results, save_results, train_or_resume
from qpsnn_core.experiments.stages import prune_as, score_as
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Dataset, Split


class Fold(NamedTuple):
    """Of one fold, on its held-out samples. accuracy: as integers, 0 to 1; start: as trained, nothing pruned.

    samples: held out; file_bytes: of the saved integers; minutes: all stages.
    """

    fold: int
    accuracy: float
    start: float
    samples: int
    file_bytes: int
    minutes: float


class Summary(NamedTuple):
    """mean, spread: of the folds' accuracies, 0 to 1, spread of n - 1; pooled: right answers of all samples.

    file_bytes: of the largest network.
    """

    folds: int
    mean: float
    spread: float
    pooled: float
    file_bytes: int


def run_cross_validation(
    recipe: Recipe,
    data: Dataset,
    folder: str | os.PathLike[str],
    *,
    folds: int = 5,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> list[Fold]:
    """Every fold of `data` in turn; what `folder` has already is not run again.

    The seed of the recipe's training deals the samples, and fold k trains with that seed plus k. Each fold's network
    stays in `folder` as `fold-<k>.h5`. Raises ConfigError (number of folds, a folder of another recipe), FormatError
    (a damaged results.json), and what training and lowering raise.
    """
    check_classes("crossvalidate", data)
    target = Path(folder)
    splits = data.folds(folds, recipe.train.seed)
    writable_folder(target)
    made_by = {"recipe": recipe.to_dict()}
    found = load_results(target, made_by, Fold, "the folds of a cross-validation")
    done = [fold for fold in found if (target / f"fold-{fold.fold}.h5").exists()]
    for number, split in enumerate(splits):
        if any(fold.fold == number and fold.samples == len(split.test) for fold in done):
            continue
        log(f"fold {number + 1} of {folds}")
        done = [fold for fold in done if fold.fold != number]
        done.append(_one(recipe, split, target, number, progress))
        save_results(target, made_by, done, data)
    return sorted(fold for fold in done if fold.fold < folds)


def summary(found: Sequence[Fold]) -> Summary:
    """Of all folds together."""
    accuracies = [fold.accuracy for fold in found]
    samples = sum(fold.samples for fold in found)
    right = sum(fold.accuracy * fold.samples for fold in found)
    largest = max(fold.file_bytes for fold in found)
    std = float(np.std(accuracies, ddof=1))
    return Summary(len(found), float(np.mean(accuracies)), std, right / samples, largest)


def _one(recipe: Recipe, split: Split, folder: Path, number: int, progress: Listener | None) -> Fold:
    begun = time.perf_counter()
    own = replace(
        recipe,
        train=replace(recipe.train, seed=recipe.train.seed + number),
        finetune=replace(recipe.finetune, seed=recipe.finetune.seed + number),
    )
    checkpoint = folder / f"training-{number}.h5"
    start = train_or_resume(own, split, checkpoint, progress).model
    pruned = prune_as(own, start, score_as(own, start, split.train), split.train).model
    done = finetune_or_resume(own, pruned, split, folder / f"tuning-{number}.h5", progress)
    network, path = lower(done, own.lower.fraction_bits).network, folder / f"fold-{number}.h5"
    save_integer(path, network)
    checkpoint.unlink()
    accuracy, first = (evaluate(one, split.test).accuracy for one in (network, start))
    minutes = (time.perf_counter() - begun) / 60
    return Fold(number, accuracy, first, len(split.test), path.stat().st_size, minutes)
