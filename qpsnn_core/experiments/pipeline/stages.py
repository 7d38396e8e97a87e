"""The stages of a run: what each depends on, what it does with the recipe's settings, what it leaves in the folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.atomic import save_json
from qpsnn_core.compression.channels.score import Scores, stability
from qpsnn_core.compression.weights.osbc import compress
from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.requantize import requantize
from qpsnn_core.experiments.pipeline.deploy import export_all, simulate_all
from qpsnn_core.experiments.pipeline.work import Figures, Work, row, settings
from qpsnn_core.experiments.stages import augmentation, prune_as, score_as
from qpsnn_core.inference.agreement import deviation
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.recipes.compression import CompressConfig
from qpsnn_core.recipes.network import FULL_PRECISION
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.train import finetune, train

BATCH = 64
"""Calibration images at a time, as `qpsnn compress` has them."""

PLACES = ("data.path", "network.file")

SCORED = ("criterion", "batches", "batch", "epsilon")
"""The settings of [prune] that decide the scores."""


class Stage(NamedTuple):
    """What a run does at once, or not at all.

    text: what is said when it begins. file: what it leaves in the folder, "" for none or for several. depends: the
    settings of the recipe on which it depends, by name. work: does it, writes the file, and gives its figures; load:
    takes what an earlier run left.
    """

    text: str
    file: str
    depends: Callable[[Recipe], Figures]
    work: Callable[[Work, Path | None], Figures]
    load: Callable[[Work, Path], None]


def _trains(recipe: Recipe) -> Figures:
    """The whole network and data, but not where their files lie: the digests of what these hold stand beside it."""
    found = {**settings(recipe, "network"), **settings(recipe, "data"), **settings(recipe, "train")}
    return {name: value for name, value in found.items() if name not in PLACES}


def _train(work: Work, file: Path | None) -> Figures:
    done = train(work.network, work.data, work.recipe.train, **_training(work, file))
    work.take("train", done.checkpoint)
    return {**work.tested("trained", done.model), "epochs": len(done.history)}


def _finetune(work: Work, file: Path | None) -> Figures:
    notes = work.checkpoint.notes if work.checkpoint else {}
    done = finetune(work.model, work.data, work.recipe.finetune, **_training(work, file), notes=notes)
    work.take("finetune", done.checkpoint)
    return {**work.tested("fine-tuned", done.model), "epochs": len(done.history)}


def _training(work: Work, file: Path | None) -> dict[str, Any]:
    return {
        "augment": augmentation(work.recipe.data),
        "checkpoint": file,
        "resume": file is not None and file.exists(),
        "recipe": work.recipe.to_dict(),
        "progress": work.progress,
    }


def _score(work: Work, file: Path | None) -> Figures:
    scores = score_as(work.recipe, work.model, work.data.train)
    work.scores = scores
    several = all(len(one) > 1 for one in scores.batches.values())
    if file is not None:
        tables = {name: _listed(getattr(scores, name)) for name in ("values", "batches", "sca")}
        save_json(file, {"criterion": scores.criterion, **tables})
    return {"criterion": scores.criterion, "stability": dict(stability(scores)) if several else {}}


def _load_scores(work: Work, file: Path) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    tables = {
        name: {layer: np.array(values, np.float64) for layer, values in found[name].items()}
        for name in ("values", "batches", "sca")
    }
    work.scores = Scores(found["criterion"], **tables)


def _prune(work: Work, file: Path | None) -> Figures:
    assert work.scores is not None  # noqa: S101 - its own stage comes before
    pruned = prune_as(work.recipe, work.model, work.scores, work.data.train)
    work.kept = dict(pruned.kept)
    counts = {name: len(kept) for name, kept in pruned.kept.items()}
    work.keep("prune", file, pruned.model, {"pruned": {"kept": counts}})
    return {**work.tested("pruned", pruned.model), "kept": _listed(pruned.kept)}


def _compress(work: Work, file: Path | None) -> Figures:
    chosen = work.recipe.compress
    assert chosen is not None  # noqa: S101 - without this table there is no such stage
    train_part = work.data.train
    options: dict[str, Any] = {
        name: getattr(chosen, name) for name in ("sparsity", "method", "ratios", "scale", "damping")
    }
    options |= {"batches": -(-chosen.images // BATCH), "batch": BATCH}
    images = train_part.limited(chosen.images)
    done = compress(work.model, images, bits=bits_of(chosen), progress=work.progress, **options)
    model = recalibrate(done.model, train_part, progress=work.progress) if chosen.recalibrate else done.model
    figures = {"sparsity": done.sparsity, "layers": [layer._asdict() for layer in done.layers]}
    work.keep("compress", file, model, {"compressed": {**asdict(chosen), **figures}})
    return {**work.tested("compressed", model), **figures}


def bits_of(chosen: CompressConfig) -> int | None:
    """As `compress` takes them: None for floating point."""
    return None if chosen.bits == FULL_PRECISION else chosen.bits


def _requantize(work: Work, file: Path | None) -> Figures:
    chosen = work.recipe.requantize
    assert chosen is not None  # noqa: S101 - without this table there is no such stage
    done = requantize(work.model, chosen.bits, layers=chosen.layers or None)
    layers = [layer._asdict() for layer in done.layers]
    work.keep("requantize", file, done.model, {"requantized": layers})
    return {**work.tested("requantized", done.model), "layers": layers}


def _lower(work: Work, file: Path | None) -> Figures:
    lowered = lower(work.model, fraction_bits=work.recipe.lower.fraction_bits)
    work.integers = lowered.network
    if file is not None:
        save_integer(file, lowered.network)
    measured = evaluate(lowered.network, work.data.test)
    rounding = deviation(work.model, lowered.network, work.data.test.images, work.data.test.task)
    rows = [row("integer", work.model, measured)._asdict()]
    return {"rows": rows, "trained_against_integer": asdict(rounding), "lowering": lowered.report.to_dict()}


def _load_integers(work: Work, file: Path) -> None:
    work.integers = load_integer(file)


def _loads(name: str) -> Callable[[Work, Path], None]:
    return lambda work, file: work.take(name, load_checkpoint(file))


def _table(table: str, *names: str) -> Callable[[Recipe], Figures]:
    return lambda recipe: settings(recipe, table, names)


def _listed(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(array).tolist() for name, array in arrays.items()}


STAGES: Mapping[str, Stage] = {
    "train": Stage("train", "trained.h5", _trains, _train, _loads("train")),
    "score": Stage("score the channels", "scores.json", _table("prune", *SCORED), _score, _load_scores),
    "prune": Stage("prune", "pruned.h5", _table("prune"), _prune, _loads("prune")),
    "finetune": Stage("fine-tune", "tuned.h5", _table("finetune"), _finetune, _loads("finetune")),
    "compress": Stage("compress", "compressed.h5", _table("compress"), _compress, _loads("compress")),
    "requantize": Stage("requantize", "requantized.h5", _table("requantize"), _requantize, _loads("requantize")),
    "lower": Stage("lower to integers, and run them exactly", "network.h5", _table("lower"), _lower, _load_integers),
    "simulate": Stage("simulate", "", _table("simulate"), simulate_all, lambda work, file: None),
    "export": Stage("export", "", _table("export"), export_all, lambda work, file: None),
}
"""In the order in which a run does them."""

TRAININGS = {name: STAGES[name].file for name in ("train", "finetune")}
"""Their files are checkpoints of what is done so far."""

LAST = ("simulate", "export")
"""Those on which no other stage depends."""


def planned(recipe: Recipe) -> list[str]:
    """The stages that a recipe asks for: training, and those that it has tables for, with what they need."""
    asked = {"train", *recipe.stages}
    if "prune" in asked:
        asked.add("score")
    floats = recipe.export is not None and recipe.export.formats == ("nir",) and not recipe.export.exact
    if "simulate" in asked or ("export" in asked and not floats):
        asked.add("lower")
    return [name for name in STAGES if name in asked]


def parent(plan: list[str], name: str) -> str:
    """The stage that a stage of the plan begins from; "" for the first."""
    before = [one for one in plan[: plan.index(name)] if one not in LAST]
    return before[-1] if before else ""
