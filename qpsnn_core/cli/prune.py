"""`qpsnn score` and `qpsnn prune`: which channels matter least, and the network without them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, load_trained, recipe_of, settings_from, with_data, with_prune
from qpsnn_core.cli.options import Data, File, Json, Out, Quiet, Where
from qpsnn_core.experiments.stages import prune_as, score_as
from qpsnn_core.recipes.paper_rates import PAPER_SETS
from qpsnn_core.recipes.recipe import Recipe


def score(
    checkpoint: File,
    criterion: Annotated[str, typer.Option(help="svs or sca; else the recipe's.")] = "",
    batches: Annotated[int, typer.Option(min=0, help="Batches to average; 0: the recipe's.")] = 0,
    data: Data = "",
    path: Where = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank the channels of every layer, and say how stable the ranking is over batches (Eq. 15)."""
    loaded = load_trained(checkpoint)
    recipe = with_prune(recipe_of(loaded), criterion=criterion, batches=batches)
    choice = data_of(checkpoint, loaded, data, path)
    settings = _settings(recipe, "criterion", "batches", "batch", "epsilon")
    show.settings("score", settings, settings_from(loaded, "prune"), quiet)
    scores = score_as(recipe, loaded.model, choice.part("train"))
    several = all(len(each) > 1 for each in scores.batches.values())
    stable: dict[str, float | None] = dict(qp.stability(scores)) if several else dict.fromkeys(scores.values)
    if json:
        made = {"data": choice.figures, "settings": settings, "criterion": scores.criterion}
        show.print_json({**made, "scores": scores.values, "stability": stable})
        return
    rows = [
        (name, len(values), len(set(values.tolist())), values.min(), values.mean(), values.max(), stable[name])
        for name, values in scores.values.items()
    ]
    show.table(
        f"scores: {scores.criterion}",
        ("layer", "channels", "distinct", "lowest", "mean", "highest", "AvgCosS"),
        rows,
        choice,
    )


def prune(
    checkpoint: File,
    out: Out = Path("pruned.h5"),
    rates: Annotated[
        str, typer.Option(help="One number, name=number,... or a set such as cifar10-0.51; else the recipe's.")
    ] = "",
    criterion: Annotated[str, typer.Option(help="svs or sca; else the recipe's.")] = "",
    data: Data = "",
    path: Where = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove the channels that score lowest."""
    loaded = load_trained(checkpoint)
    recipe = with_prune(recipe_of(loaded), criterion=criterion, rates=_rates(rates) if rates else None)
    choice = data_of(checkpoint, loaded, data, path)
    settings = _settings(recipe)
    show.settings("prune", settings, settings_from(loaded, "prune"), quiet)
    images = choice.part("train")
    scores = score_as(recipe, loaded.model, images)
    pruned = prune_as(recipe, loaded.model, scores, images)
    notes = {**loaded.notes, "pruned": {"from": str(checkpoint), "kept": {k: len(v) for k, v in pruned.kept.items()}}}
    made_by = with_data(loaded, choice)
    qp.save_checkpoint(out, qp.Checkpoint(pruned.model, recipe=made_by, notes=notes, data=loaded.data))
    rows = [(name, len(scores.values[name]), len(kept)) for name, kept in pruned.kept.items()]
    if json:
        made = {"checkpoint": str(out), "data": choice.figures, "settings": settings}
        show.print_json({**made, "layers": {name: [old, new] for name, old, new in rows}})
        return
    show.table(f"pruned: {out}", ("layer", "channels", "kept"), rows, choice)


def _settings(recipe: Recipe, *names: str) -> dict[str, Any]:
    """Those of the table [prune], or some of them."""
    settings = asdict(recipe.prune)
    return {name: settings[name] for name in names or settings}


def _rates(text: str) -> Any:
    if text in PAPER_SETS:
        return qp.paper_rates(text)
    try:
        if "=" not in text:
            return float(text)
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise qp.errors.ConfigError(
            qp.errors.expected("--rates", "a number, name=number,... or a set of the paper's", text)
        ) from error
