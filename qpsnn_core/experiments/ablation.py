"""Table 2's models A to F, and Table 3's order of pruning and quantizing, over seeds, from one recipe."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.experiments.runs import (
    check_classes,
    finetune_or_resume,
    load_results,
    save_results,
    seeded,
    std,
    train_or_resume,
)
from qpsnn_core.experiments.stages import network_for, prune_as, score_as
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.network import FULL_PRECISION
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split


class Variant(NamedTuple):
    """One model of the ablation. start: how it is trained first, of STARTS; criterion: None where nothing is pruned.

    against: the model that its gain is counted from. requantize: bits come only after pruning (PQ).
    """

    text: str
    start: str
    criterion: str | None
    against: str | None
    requantize: bool = False


STARTS: Mapping[str, Mapping[str, Any]] = {
    "vanilla": {"gamma": "one"},
    "rescaw": {"gamma": "mean"},
    "largest": {"gamma": "max"},
    "percentile": {"gamma": "percentile"},
    "float": {"bits": FULL_PRECISION},
}
"""What each first training changes in the recipe's [network]."""

VARIANTS: Mapping[str, Variant] = {
    "A": Variant("only vanilla quantization", "vanilla", None, None),
    "B": Variant("only ReScaW", "rescaw", None, "A"),
    "C": Variant("baseline: vanilla and SCA", "vanilla", "sca", None),
    "D": Variant("with ReScaW", "rescaw", "sca", "C"),
    "E": Variant("with SVS", "vanilla", "svs", "C"),
    "F": Variant("with ReScaW and SVS", "rescaw", "svs", "C"),
    "PQ": Variant("prune in floating point, then quantize", "float", "svs", None, True),
    "QP": Variant("quantize, then prune (F)", "rescaw", "svs", "PQ"),
    "max": Variant("only ReScaW, gamma the largest magnitude", "largest", None, "B"),
    "percentile": Variant("only ReScaW, gamma a percentile's", "percentile", None, "B"),
}
"""Tables 2 and 3, and Fig. 5a's other two gammas. QP is F, run once."""

USUAL = ("A", "B", "C", "D", "E", "F", "PQ", "QP")
"""Tables 2 and 3."""


class Result(NamedTuple):
    """Of one model and seed. accuracy: on the test images, 0 to 1; before: as pruned, not fine-tuned; minutes: its own.

    start: the accuracy of the trained network that it was made from.
    """

    model: str
    seed: int
    accuracy: float
    before: float | None
    start: float
    minutes: float


class Row(NamedTuple):
    """A line of the table, accuracies in percent. spread: standard deviation over seeds (of n - 1), None for one seed.

    gain: the mean over seeds of the difference from `against`, seed by seed, and its spread.
    """

    model: str
    text: str
    seeds: int
    mean: float
    spread: float | None
    against: str | None
    gain: float | None
    gain_spread: float | None


def run_ablation(
    recipe: Recipe,
    data: Split,
    folder: str | os.PathLike[str],
    *,
    seeds: int = 3,
    models: Sequence[str] = USUAL,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> list[Result]:
    """Run every model of `models` with seeds 0 to `seeds - 1`; what `folder` has already is not run again.

    Checkpoints of every training, and results.json after every model, lie in `folder`, so that a run that was stopped
    goes on from there. Models with the same start share its training. Raises ConfigError (a model's name, a folder of
    another recipe), FormatError (a damaged results.json), and what training raises.
    """
    recipe.network.check_zoo("ablate")
    check_classes("ablate", data)
    for name in models:
        if name not in VARIANTS:
            raise ConfigError(expected("models", f"of {', '.join(VARIANTS)}", name) + did_you_mean(name, VARIANTS))
    target = Path(folder)
    writable_folder(target)
    made_by = {"recipe": recipe.to_dict()}
    results = load_results(target, made_by, Result, "the results of an ablation")
    for seed in range(seeds):
        for name in models:
            if any((done.model, done.seed) == (name, seed) for done in results):
                continue
            twin = [done for done in results if (done.model, done.seed) == ({"QP": "F", "F": "QP"}.get(name), seed)]
            log(f"{name}, seed {seed}: {VARIANTS[name].text}")
            found = twin[0]._replace(model=name) if twin else _one(recipe, data, target, name, seed, progress)
            results.append(found)
            save_results(target, made_by, results, data)
    wanted = [result for result in results if result.model in models and result.seed < seeds]
    return sorted(wanted, key=lambda result: (list(VARIANTS).index(result.model), result.seed))


def table(results: Sequence[Result]) -> list[Row]:
    """Mean, spread and paired gain of each model."""
    by_model: dict[str, dict[int, float]] = {}
    for result in results:
        by_model.setdefault(result.model, {})[result.seed] = 100 * result.accuracy
    rows = []
    for model, variant in VARIANTS.items():
        own = by_model.get(model, {})
        if not own:
            continue
        other = by_model.get(variant.against or "", {})
        gains = [own[seed] - other[seed] for seed in own if seed in other]
        gain = float(np.mean(gains)) if gains else None
        against = variant.against if gains else None
        mean = float(np.mean(list(own.values())))
        rows.append(Row(model, variant.text, len(own), mean, std(list(own.values())), against, gain, std(gains)))
    return rows


def with_quantizers(model: Model, like: Network) -> Model:
    """The model with the quantizer that each synapse has in `like`, a network with the same names."""
    quantizers = {node.name: node.quantizer for node in like.synapses}
    changed = {node.name: replace(node, quantizer=quantizers[node.name]) for node in model.network.synapses}
    nodes = tuple(changed.get(node.name, node) for node in model.network)
    return model._replace(network=Network(nodes, model.network.steps))


def _one(recipe: Recipe, data: Split, folder: Path, name: str, seed: int, progress: Listener | None) -> Result:
    variant = VARIANTS[name]
    begun = time.perf_counter()
    own = seeded(recipe, seed, network=replace(recipe.network, **STARTS[variant.start]))
    start = train_or_resume(own, data, folder / f"{variant.start}-{seed}.h5", progress).model
    first = evaluate(start, data.test).accuracy
    if variant.criterion is None:
        return Result(name, seed, first, None, first, (time.perf_counter() - begun) / 60)
    own = replace(own, prune=replace(own.prune, criterion=variant.criterion))
    pruned = prune_as(own, start, score_as(own, start, data.train), data.train).model
    if variant.requantize:
        rescaled = replace(recipe, network=replace(recipe.network, **STARTS["rescaw"]))
        pruned = with_quantizers(pruned, network_for(rescaled, data))
    before = evaluate(pruned, data.test).accuracy
    last = evaluate(finetune_or_resume(own, pruned, data, folder / f"{name}-{seed}.h5", progress), data.test).accuracy
    return Result(name, seed, last, before, first, (time.perf_counter() - begun) / 60)
