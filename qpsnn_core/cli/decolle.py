"""`qpsnn learn` and `qpsnn evaluate` of networks that learn by local losses."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import RECIPE
from qpsnn_core.common.foreign import read_toml
from qpsnn_core.common.hdf5 import check_file_kind
from qpsnn_core.experiments.data_choice import NAMED, DataChoice
from qpsnn_core.experiments.decolle_runs import DecolleScore, measure_decolle, train_decolle
from qpsnn_core.local_learning.decolle_file import load_decolle
from qpsnn_core.local_learning.decolle_recipe import decolle_recipe_from_dict, load_decolle_recipe
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import source_of


def is_decolle(path: Path) -> bool:
    """Whether a recipe has a table [decolle]. Raises FileError, ConfigError (not TOML)."""
    check_file_kind(path, RECIPE)
    return "decolle" in read_toml(path)


def learn(path: Path, out: Path, resume: bool, json: bool, quiet: bool) -> None:
    """Train as a recipe says; Ctrl-C leaves a file that --resume goes on from."""
    recipe = load_decolle_recipe(path)
    if not recipe.data.name:
        raise ConfigError(expected(f"{path}: data.name", NAMED, Unquoted("none")))
    choice = DataChoice(recipe.data, recipe.frames.steps)
    data = choice.split()
    show.settings("learn", recipe.train, f"{path}, else defaults", quiet)
    try:
        with show.bars(quiet) as listen:
            done = train_decolle(recipe, data.train, out, resume=resume, progress=listen)
            score = measure_decolle(done.model, data.test, recipe.train, listen)
    except KeyboardInterrupt:
        show.log(f"stopped; the same command with --resume goes on from {out}")
        raise typer.Exit(130) from None
    figures = {"checkpoint": str(out), "formats": str(done.model.formats), "losses": done.losses}
    _show(f"learnt: {out}", figures, score, choice, json)


def evaluate(file: Path, data: str, path: str, limit: int, json: bool, quiet: bool) -> None:
    """Accuracy of each layer's readout on the test part."""
    loaded = load_decolle(file)
    if not loaded.recipe:
        raise ConfigError(expected(str(file), "a network that `qpsnn learn` made", Unquoted("one without a recipe")))
    recipe = decolle_recipe_from_dict(loaded.recipe)
    config = recipe.data
    if data:
        source = source_of(data, path)
        config = DataConfig(source.name, source.path)
    elif path:
        config = DataConfig(**{**asdict(config), "path": path})
    choice = DataChoice(config, recipe.frames.steps)
    part = choice.part("test", limit)
    with show.bars(quiet) as listen:
        score = measure_decolle(loaded.model, part, recipe.train, listen)
    _show(str(file), {"formats": str(loaded.model.formats)}, score, choice, json)


def _show(title: str, figures: dict[str, Any], score: DecolleScore, choice: DataChoice, json: bool) -> None:
    if json:
        show.print_json({"data": choice.figures, **figures, "accuracy": score.accuracy, **asdict(score)})
        return
    rows = [(name, value) for name, value in figures.items() if name != "losses"]
    rows += [(f"accuracy, layer {k + 1}", value) for k, value in enumerate(score.accuracies)]
    rows += [("samples", score.images), ("memory_bits", score.memory_bits)]
    rows.append(("saturated", ", ".join(f"{count} {name}" for name, count in zip("QPRV", score.lost, strict=True))))
    show.table(title, ("figure", "value"), rows, choice)
