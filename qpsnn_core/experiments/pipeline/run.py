"""`qp.run`: everything that a recipe has tables for, stage by stage; what is done is not done again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qpsnn_core.common.atomic import save_json, sole_writer, writable_folder
from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.text_table import aligned
from qpsnn_core.common.validation import check_kind, check_path
from qpsnn_core.common.versions import library_versions
from qpsnn_core.compression.weights.osbc import check_target
from qpsnn_core.engine.passes import initialise
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.engine.requantize import requantize
from qpsnn_core.experiments.data_choice import NAMED, DataChoice
from qpsnn_core.experiments.pipeline.deploy import check_deployment, exported_files
from qpsnn_core.experiments.pipeline.record import Change, Record, key_of, remedy
from qpsnn_core.experiments.pipeline.stages import LAST, STAGES, TRAININGS, bits_of, parent, planned
from qpsnn_core.experiments.pipeline.work import Figures, Row, Work, defaults
from qpsnn_core.experiments.stages import augmentation, network_for
from qpsnn_core.network.differences import first_difference
from qpsnn_core.recipes.recipe import Recipe, load_recipe
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.history import digest, what_differs
from qpsnn_core.training.resume import resumed_state
from qpsnn_core.training.setup import run_setup

REPORT = "report.json"

SAMPLES = "samples of "
"""Before the name of a part, what a training depends on."""

KEY = "key of "
"""Before the name of a stage, what the next depends on."""

Log = Callable[[str], None]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class RunReport:
    """What a run found. rows: of its table. figures: of each stage, JSON data. seconds: that each stage took.

    data: the set, as commands name it. earlier: the stages that an earlier call had finished. folder: of all files.
    """

    recipe: Recipe
    data: Mapping[str, Any]
    rows: tuple[Row, ...]
    figures: Mapping[str, Figures]
    seconds: Mapping[str, float]
    earlier: tuple[str, ...]
    folder: Path | None

    def __repr__(self) -> str:
        last = self.rows[-1]
        return f"RunReport({', '.join(self.figures)}; {last.name}: {', '.join(shown(last))} of {last.images:,} images)"

    def __str__(self) -> str:
        """The table."""
        heads = ("stage", "images", *self.rows[0].figures, "parameters", "size, kB", "firing rate")
        cells = [
            (
                one.name,
                f"{one.images:,}",
                *shown(one),
                f"{one.parameters:,}",
                f"{one.size_mb * 1000:,.1f}",
                f"{one.firing_rate:.1%}",
            )
            for one in self.rows
        ]
        return "\n".join(aligned([heads, *cells], right=range(1, len(heads))))

    @property
    def agrees(self) -> bool:
        """Whether every backend gave the spikes and readouts of the exact simulator."""
        found = self.figures.get("simulate", {}).get("backends", {}).values()
        return not any(one["spike_mismatches"] or one["readout_mismatches"] for one in found)

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds."""
        return {
            "data": dict(self.data),
            "rows": [one._asdict() for one in self.rows],
            "stages": {name: {k: v for k, v in one.items() if k != "rows"} for name, one in self.figures.items()},
            "seconds": dict(self.seconds),
            "recipe": self.recipe.to_dict(),
            "versions": library_versions(),
        }


def shown(row: Row) -> list[str]:
    """The figures of a row: an accuracy in percent."""
    return [f"{value:.2%}" if name == "accuracy" else f"{value:.4g}" for name, value in row.figures.items()]


@shows_progress
def run(
    recipe: Recipe | PathLike,
    out: PathLike,
    *,
    anew: str = "",
    progress: Listener | bool | None = None,
    log: Log = lambda text: None,
) -> RunReport:
    """Train, and do whatever else the recipe has tables for, into the folder `out`; called again, it goes on.

    Stages, in this order: train; [prune] score and prune; [finetune]; [compress]; [requantize]; [lower] (which
    [simulate] and [export] ask for, too); [simulate]; [export]. Each is measured on the test part. A stage that is
    finished is not done again, an interrupted training goes on from its checkpoint, bit for bit; `run.json` says of
    each stage what it depended on. More epochs of a training go on from its checkpoint, where the schedule allows it
    and no later stage is done. anew: a stage that is done anew, with those that begin from it. progress: as of
    `train`. log: is told of each stage as it begins.
    A Python function that the recipe names (network.function) is imported.
    Raises, before anything starts: ConfigError (a recipe that changed since the run in `out` began, a setting),
    MissingError, UnsupportedError, DataError (a backend, compiler or package that is missing, a network that a backend
    or format cannot hold), FileError (a folder that holds something else, or in which another
    process runs, a file of a finished stage that is gone);
    then what the stages raise.
    """
    anew = plain(anew)
    check_path("run.out", out)
    progress = listener_of("run", progress)
    place = "run.recipe"
    if not isinstance(recipe, Recipe):
        check_path(place, recipe)
        place, recipe = str(recipe), load_recipe(recipe)
    if not recipe.data.name:
        raise ConfigError(expected(f"{place}: data.name", NAMED, Unquoted("none")))
    check_kind("run.anew", anew, str)
    folder = writable_folder(out)
    with sole_writer(folder):
        record = Record(folder)
        work = prepared(recipe, folder, progress)
        report = carried_out(work, record, anew, log)
        save_json(folder / REPORT, report.to_dict())
    return report


def prepared(recipe: Recipe, folder: Path | None, progress: Listener | None) -> Work:
    """The recipe's data and network. Raises what `load_data` and `network_for` raise."""
    choice = DataChoice(recipe.data, recipe.network.steps)
    data = choice.split()
    network = network_for(recipe, data, imports=True)
    used = json.loads(json.dumps(choice.figures))
    return Work(recipe, replace(choice, images={}), data, network, folder, progress, used)


def carried_out(work: Work, record: Record, anew: str = "", log: Log = lambda text: None) -> RunReport:
    """Every stage of the plan that is not finished."""
    plan = planned(work.recipe)
    depends = dependences(work, plan)
    if anew and anew not in plan:
        want = f"a stage of the recipe: {', '.join(plan)}"
        raise ConfigError(expected("run.anew", want, Unquoted(f"{anew!r}{did_you_mean(anew, plan)}")))
    again = _from(plan, anew) if anew else []
    known = json.loads(json.dumps(defaults()))
    longer = record.check(depends, known, TRAININGS, partial(explained, work), again)
    todo = [name for name in plan if name in (*longer, *again) or record.finished(name) is None]
    for name in longer:
        _check_longer(work, name)
    _check_settings(work, todo)
    check_deployment(work, plan, todo)
    record.forget(again, {name: STAGES[name].file for name in plan})
    figures: dict[str, Figures] = {}
    seconds: dict[str, float] = {}
    for name in plan:
        stage, entry = STAGES[name], None if name in todo else record.finished(name)
        file = work.folder / stage.file if work.folder is not None and stage.file else None
        if entry is not None:
            log(f"{stage.text}: done before")
            if file is not None:
                stage.load(work, file)
        else:
            log(f"{stage.text}: to {depends[name][f'{name}.epochs']} epochs" if name in longer else stage.text)
            if name not in record.entries:
                record.begin(name, depends[name])
            begun = time.perf_counter()
            found = json.loads(json.dumps(stage.work(work, file)))
            files = exported_files(work.folder, found["exports"]) if work.folder and "exports" in found else []
            files = [*files, *([file] if file else [])]
            entry = record.finish(name, time.perf_counter() - begun, found, files, depends[name])
        figures[name], seconds[name] = entry.figures, entry.seconds
    rows = tuple(Row(**one) for found in figures.values() for one in found.get("rows", ()))
    earlier = tuple(name for name in plan if name not in todo)
    return RunReport(work.recipe, work.used, rows, figures, seconds, earlier, work.folder)


def explained(work: Work, place: str, old: Any, new: Any) -> Change:
    """A change of the record in words: digests of the network and of samples stand for what differs."""
    if place.startswith(KEY):
        before = place.removeprefix(KEY)
        return Change(f"what {before} gave", "the same", "something else, as it was done again since")
    file = None if work.folder is None else work.folder / STAGES["train"].file
    if not (place == "network" or place.startswith(SAMPLES)) or file is None or not file.exists():
        return Change(place, old, new)
    past = load_checkpoint(file)
    if place == "network":
        found = first_difference(past.model.network, work.network)
        return Change(place, old, new) if found is None else Change(f"network: {found.place}", found.old, found.new)
    part = place.removeprefix(SAMPLES)
    if part not in work.data.parts:
        return Change(place, old, new)
    counted = "" if work.recipe.train.validation else part  # else the checkpoint knows what was left of it
    return Change(place, old, f"{new}: {what_differs(past.data, counted, work.data.parts[part])}")


def dependences(work: Work, plan: list[str]) -> dict[str, Figures]:
    """What each stage depends on: settings, the network and the samples, and the key of the stage before."""
    found: dict[str, Figures] = {}
    for name in plan:
        own = STAGES[name].depends(work.recipe)
        if name == "train":
            own["network"] = work.network.digest()
            own |= {f"{SAMPLES}{part}": digest(one) for part, one in work.data.parts.items()}
        else:
            before = parent(plan, name)
            own |= {f"{name} begins from": before, f"{KEY}{before}": key_of(found[before])}
        found[name] = json.loads(json.dumps(own))
    return found


def _from(plan: list[str], name: str) -> list[str]:
    """A stage, and those that begin from it."""
    return [name] if name in LAST else plan[plan.index(name) :]


def _check_longer(work: Work, name: str) -> None:
    """ConfigError where the schedule would have given the epochs that are done other rates."""
    assert work.folder is not None  # noqa: S101 - without one nothing goes on
    file = work.folder / STAGES[name].file
    past, config = load_checkpoint(file), getattr(work.recipe, name)
    setup = run_setup(name, past.model, work.data, config, augmentation(work.recipe.data), None, None, None, ())
    try:
        resumed_state(setup, past.model, past, str(file))
    except ConfigError as error:
        raise ConfigError(f"{error} ({remedy(name)})") from error


def _check_settings(work: Work, todo: list[str]) -> None:
    """ConfigError: what compression would refuse after training."""
    recipe = work.recipe
    if recipe.compress is not None and "compress" in todo:
        chosen = recipe.compress
        check_target(chosen.sparsity, bits_of(chosen), chosen.method, chosen.ratios, chosen.scale)
    if recipe.requantize is not None and "requantize" in todo and recipe.requantize.layers:
        untrained = initialise(work.network, recipe.train.seed)
        requantize(untrained, recipe.requantize.bits, layers=recipe.requantize.layers)
