"""Accuracy against size over bits and pruning rates, from one recipe (the paper's Fig. 1)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.progress import Listener
from qpsnn_core.experiments.runs import (
    check_classes,
    finetune_or_resume,
    load_results,
    save_results,
    seeded,
    std,
    train_or_resume,
)
from qpsnn_core.experiments.stages import prune_as, score_as
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network.cost import cost
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split


class Point(NamedTuple):
    """Of one deployed network. accuracy: as integers, 0 to 1; size_mb: Eq. 16; file_bytes: of the saved integers.

    before: accuracy as pruned, not fine-tuned, 0 to 1; minutes: its own, the training that rates share not counted.
    """

    bits: int
    rate: float
    seed: int
    accuracy: float
    before: float
    size_mb: float
    file_bytes: int
    minutes: float


def run_pareto_front(
    recipe: Recipe,
    data: Split,
    folder: str | os.PathLike[str],
    *,
    bits: Sequence[int] = (8, 4, 2),
    rates: Sequence[float] = (0.0, 0.5, 0.75),
    seeds: int = 1,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> list[Point]:
    """Train once for each of `bits` and seed, then prune by each of `rates`, fine-tune, lower and evaluate.

    What `folder` has already is not run again; its networks stay there as `<bits>-<rate>-<seed>.h5`. Rate 0 prunes
    nothing, and is fine-tuned like the others. Raises ConfigError (bits, rates, a folder of another recipe),
    FormatError (a damaged results.json), and what training and lowering raise.
    """
    recipe.network.check_zoo("front")
    check_classes("front", data)
    target = Path(folder)
    wanted = [
        (number, rate, seed, _changed(recipe, number, rate, seed))
        for seed in range(seeds)
        for number in bits
        for rate in rates
    ]
    writable_folder(target)
    made_by = {"recipe": recipe.to_dict()}
    points = load_results(target, made_by, Point, "the points of a front")
    for number, rate, seed, own in wanted:
        if any(point[:3] == (number, rate, seed) for point in points):
            continue
        log(f"{number} bits, rate {rate:g}, seed {seed}")
        points.append(_one(own, data, target, number, rate, seed, progress))
        save_results(target, made_by, points, data)
    asked = {one[:3] for one in wanted}
    return sorted(point for point in points if point[:3] in asked)


def means(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Over seeds, as `qpsnn plot front` draws them: `size_mb`, `accuracy` (percent), `label`, `group`; and `std`.

    spread: standard deviation over seeds (of n - 1), None for one seed. file_bytes: the largest.
    """
    rows = []
    for bits, rate in sorted({point[:2] for point in points}, reverse=True):
        own = [point for point in points if point[:2] == (bits, rate)]
        accuracies = [100 * point.accuracy for point in own]
        rows.append(
            {
                "size_mb": own[0].size_mb,
                "accuracy": float(np.mean(accuracies)),
                "label": f"{rate:g}",
                "group": f"{bits} bits",
                "spread": std(accuracies),
                "before": 100 * float(np.mean([point.before for point in own])),
                "file_bytes": max(point.file_bytes for point in own),
                "seeds": len(own),
            }
        )
    return rows


def _changed(recipe: Recipe, bits: int, rate: float, seed: int) -> Recipe:
    network, prune = replace(recipe.network, bits=bits), replace(recipe.prune, rates=rate)
    return seeded(recipe, seed, network=network, prune=prune)


def _one(own: Recipe, data: Split, folder: Path, bits: int, rate: float, seed: int, progress: Listener | None) -> Point:
    start = train_or_resume(own, data, folder / f"trained-{bits}-{seed}.h5", progress).model
    begun = time.perf_counter()
    pruned = prune_as(own, start, score_as(own, start, data.train), data.train).model
    before = evaluate(pruned, data.test).accuracy
    name = f"{bits}-{rate:g}-{seed}.h5"
    done = finetune_or_resume(own, pruned, data, folder / f"tuning-{name}", progress)
    network = lower(done, own.lower.fraction_bits).network
    save_integer(folder / name, network)
    accuracy = evaluate(network, data.test).accuracy
    size, minutes = (folder / name).stat().st_size, (time.perf_counter() - begun) / 60
    return Point(bits, rate, seed, accuracy, before, cost(done.network).size_mb, size, minutes)
