"""`qpsnn train`, `finetune` and `lr`: a recipe's network trained, a checkpoint trained further, a learning rate."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, data_of_recipe, load_trained, recipe_of, settings_from, with_data
from qpsnn_core.cli.options import Best, Data, File, Json, Log, Out, Quiet, Resume, TensorBoard, Where
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.experiments.stages import augmentation, network_for
from qpsnn_core.training.train import Interrupted

ROWS = 21
"""Of the table of rates."""


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    out: Out = Path("trained.h5"),
    best: Best = None,
    log: Log = None,
    tensorboard: TensorBoard = None,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network as a recipe says; Ctrl-C leaves a checkpoint that --resume goes on from."""
    chosen = qp.load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    network = network_for(chosen, choice.split(), imports=True)
    for stage, settings in (("network", chosen.network), ("train", chosen.train)):
        show.settings(stage, settings, f"{recipe}, else defaults", quiet)
    files = {"checkpoint": out, "best": best, "log": log, "tensorboard": tensorboard, "resume": resume}
    _fit("train", network, chosen.train, chosen.to_dict(), choice, files, json, quiet)


def lr(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    low: Annotated[float, typer.Option("--low", help="The first learning rate.")] = 1e-6,
    high: Annotated[float, typer.Option("--high", help="The last one.")] = 10.0,
    updates: Annotated[int, typer.Option("--updates", min=10, help="Over so many updates.")] = 100,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find a learning rate to begin with: it rises until the loss grows; a tenth of the rate of the lowest is it."""
    chosen = qp.load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    data = choice.split()
    network = network_for(chosen, data, imports=True)
    with show.bars(quiet) as listen:
        found = qp.find_learning_rate(
            network,
            data,
            chosen.train,
            low=low,
            high=high,
            updates=updates,
            augment=augmentation(choice.config),
            progress=listen,
        )
    if json:
        made = {"data": choice.figures, "suggested": found.suggested, "diverged": found.diverged}
        show.print_json({**made, "rates": found.rates, "losses": found.losses})
        return
    shown = sorted({round(row) for row in np.linspace(0, len(found.rates) - 1, ROWS)})
    rows = [(f"{found.rates[row]:.3g}", float(found.losses[row])) for row in shown]
    show.table(f"learning rates: {recipe}", ("rate", "loss, smoothed"), rows, choice)
    if found.losses[-1] == found.losses.min():
        show.out.print(f"the loss still fell at {found.rates[-1]:.3g}; --high goes further", highlight=False)
    show.out.print(f"suggested: lr = {found.suggested:.2g} in [train]", highlight=False, markup=False)


def finetune(
    checkpoint: File,
    out: Out = Path("tuned.h5"),
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Instead of the recipe's.")] = 0,
    lr: Annotated[float, typer.Option("--lr", min=0.0, help="Learning rate, instead of the recipe's.")] = 0.0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="T from now on; else the recipe's, or as it is.")] = 0,
    data: Data = "",
    path: Where = "",
    best: Best = None,
    log: Log = None,
    tensorboard: TensorBoard = None,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a pruned (or any other) checkpoint further, as its recipe's table [finetune] says."""
    loaded = load_trained(checkpoint)
    recipe = recipe_of(loaded)
    given: dict[str, Any] = {name: value for name, value in (("epochs", epochs), ("lr", lr), ("steps", steps)) if value}
    choice = data_of(checkpoint, loaded, data, path)
    recipe = replace(recipe, finetune=replace(recipe.finetune, **given), data=choice.config)
    show.settings("finetune", recipe.finetune, settings_from(loaded, "finetune"), quiet)
    made_by = {**with_data(loaded, choice), "finetune": asdict(recipe.finetune)}
    files = {"checkpoint": out, "best": best, "log": log, "tensorboard": tensorboard, "resume": resume}
    _fit("finetune", loaded.model, recipe.finetune, made_by, choice, files, json, quiet)


def _fit(
    stage: str,
    start: Any,
    settings: Any,
    made_by: dict[str, Any],
    choice: DataChoice,
    files: dict[str, Any],
    json: bool,
    quiet: bool,
) -> None:
    verb, out = (qp.train if stage == "train" else qp.finetune), files["checkpoint"]
    options: dict[str, Any] = {
        "augment": augmentation(choice.config),
        "recipe": made_by,
        **files,
    }
    stopped = False
    with show.bars(quiet) as listen:
        try:
            done = verb(start, choice.split(), settings, progress=listen, **options)
        except Interrupted as interrupt:
            done, stopped = interrupt.trained, True
    if json:
        made = {"checkpoint": str(out), "data": choice.figures, "settings": asdict(settings), "stopped": stopped}
        show.print_json({**made, "history": [asdict(epoch) for epoch in done.history]})
    elif done.history or not stopped:
        everything = "the same command with --resume --json prints all"
        show.epochs(f"{stage}: {out}", done.history, everything, choice)
    if stopped:
        show.log(f"stopped; the same command with --resume goes on from {out}")
        raise typer.Exit(130)
