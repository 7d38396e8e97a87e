"""`qpsnn learn` and `qpsnn qspinn`: networks that learn locally, and the search for their formats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import decolle, show
from qpsnn_core.cli.options import Json, Out, Quiet, Resume
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import LOCAL
from qpsnn_core.common.hdf5 import file_kind
from qpsnn_core.experiments.data_choice import NAMED, DataChoice
from qpsnn_core.experiments.local_runs import learn_recipe, load_for, measure
from qpsnn_core.experiments.precision_results import Evaluation, as_json
from qpsnn_core.experiments.precision_search import run_precision_search
from qpsnn_core.local_learning.decolle_file import SUPERVISED
from qpsnn_core.local_learning.decolle_recipe import DecolleRecipe, load_decolle_recipe
from qpsnn_core.local_learning.exploration import reward
from qpsnn_core.local_learning.file import kind_of_network
from qpsnn_core.local_learning.recipe import LocalRecipe, load_local_recipe
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import source_of

Recipe = Annotated[Path, typer.Argument(help="A recipe of local learning in TOML.")]


def learn(
    recipe: Recipe,
    out: Out = Path("learnt.h5"),
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn locally as a recipe says, by STDP or local losses; Ctrl-C leaves a file that --resume goes on from."""
    if decolle.is_decolle(recipe):
        decolle.learn(recipe, out, resume, json, quiet)
        return
    chosen = load_local_recipe(recipe)
    choice = _data_of(recipe, chosen)
    data = choice.split()
    show.settings("learn", chosen.learn, f"{recipe}, else defaults", quiet)
    try:
        with show.bars(quiet) as listen:
            done = learn_recipe(chosen, data.train, out, resume=resume, progress=listen)
            score = measure(done, data.test, data.train, listen)
    except KeyboardInterrupt:
        show.log(f"stopped; the same command with --resume goes on from {out}")
        raise typer.Exit(130) from None
    figures = {"checkpoint": str(out), "formats": str(done.model.formats), **asdict(score)}
    _show(f"learnt: {out}", figures, choice, json)


def evaluated(file: Path, data: str, path: str, limit: int, json: bool, quiet: bool) -> bool:
    """`qpsnn evaluate` of a network that learnt locally; False for any other file."""
    if not file.is_file() or file_kind(file) != LOCAL:
        return False
    if kind_of_network(file) == SUPERVISED:
        decolle.evaluate(file, data, path, limit, json, quiet)
        return True
    loaded, recipe = load_for(file)
    config = recipe.data
    if data:
        source = source_of(data, path)
        config = DataConfig(source.name, source.path)
    elif path:
        config = DataConfig(**{**asdict(config), "path": path})
    choice = DataChoice(config)
    train = choice.part("train") if recipe.learn.vote == "ngram" else None
    with show.bars(quiet) as listen:
        score = measure(loaded, choice.part("test", limit), train, listen)
    _show(str(file), {"formats": str(loaded.model.formats), **asdict(score)}, choice, json)
    return True


def qspinn(
    recipe: Recipe,
    target: Annotated[float, typer.Option("--target", min=0.0, max=1.0, help="Accuracy that may be lost.")],
    mu: Annotated[float, typer.Option("--mu", min=0.0, max=1.0, help="Weight of memory in the reward (Eq. 5).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; what it has is not run again.")] = Path(
        "qspinn"
    ),
    memory: Annotated[
        float, typer.Option("--memory", min=0.0, max=1.0, help="Most memory of the chosen network, of float32's.")
    ] = 1.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search for the formats of weights and neurons (Algorithm 1) that keep the accuracy in the least memory."""
    chosen = load_decolle_recipe(recipe) if decolle.is_decolle(recipe) else load_local_recipe(recipe)
    choice = _data_of(recipe, chosen)
    log = (lambda text: None) if quiet else show.log
    settings: dict[str, Any] = {"target": target, "mu": mu, "memory": memory}
    with show.bars(quiet) as listen:
        found = run_precision_search(chosen, choice.split(), out, **settings, progress=listen, log=log)
    if json:
        show.print_json({"data": choice.figures, **settings, **as_json(found)})
    else:
        heads = ("network", "scheme", "rounding", "learnt from", "accuracy, %", "memory", "times less", "reward")
        rows = [_row(one, mu, one == found.chosen) for one in found.front]
        title = f"{len(found.evaluations)} evaluated, {len(found.candidates)} within {target:.2%} of "
        show.table(f"{title}{found.baseline:.2%}: their front; * the highest reward", heads, rows, choice)
    if found.chosen is None:
        show.log(f"no network is within {target:.2%} of {found.baseline:.2%} in {memory:.0%} of the memory")
        raise typer.Exit(1)
    show.log(f"chosen: {out / 'chosen.h5'}")


def _row(one: Evaluation, mu: float, chosen: bool) -> tuple[Any, ...]:
    score = reward(one.accuracy, one.memory, mu)
    accuracy, less = f"{100 * one.accuracy:.2f}", f"{1 / one.memory:.3f}"
    name = f"{one.title}{' *' if chosen else ''}"
    return (name, one.scheme, one.rounding, one.samples, accuracy, f"{one.memory:.4f}", less, f"{score:.4f}")


def _data_of(path: Path, recipe: LocalRecipe | DecolleRecipe) -> DataChoice:
    """The data that a recipe names; ConfigError names its file where it names none."""
    if not recipe.data.name:
        raise ConfigError(expected(f"{path}: data.name", NAMED, Unquoted("none")))
    return DataChoice(recipe.data, recipe.frames.steps if isinstance(recipe, DecolleRecipe) else None)


def _show(title: str, figures: dict[str, Any], choice: DataChoice, json: bool) -> None:
    if json:
        show.print_json({"data": choice.figures, **figures})
        return
    membranes, thresholds, weights = figures.pop("saturated")
    figures["saturated"] = f"{membranes} membranes, {thresholds} thresholds, {weights} weights"
    show.table(title, ("figure", "value"), list(figures.items()), choice)
