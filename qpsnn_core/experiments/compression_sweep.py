"""Every method at every sparsity and number of bits, over seeds, from one recipe: what OSBC's tables compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.hdf5 import reading, writing
from qpsnn_core.common.progress import Listener
from qpsnn_core.compression.weights.eliminate import Trace
from qpsnn_core.compression.weights.osbc import METHODS, check_target, finish, prepare
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.runs import check_classes, load_results, make_folds, save_results, std, train_or_resume
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.recipes.network import FULL_PRECISION
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split

SPARSITIES = (0.0, 0.5, 0.9, 0.97)
BITS = (32, 8, 4, 2)
FIRST_PASS = "qpsnn first pass of pruning"


class Settings(NamedTuple):
    """What is compressed to what: shares of weights that go, bits of the others (32: floating point), and how.

    folds: None for the data's own test part; else all samples are dealt into so many parts, and seed k is tested on
    part k and trained on the others.
    """

    methods: tuple[str, ...] = METHODS
    sparsities: tuple[float, ...] = SPARSITIES
    bits: tuple[int, ...] = BITS
    ratios: str = "lamps"
    scale: str = "max"
    images: int = 1024
    damping: float = 0.01
    folds: int | None = None


class Result(NamedTuple):
    """Of one compression. dense, accuracy, integer: 0 to 1, before, after, and as integers (None: real weights).

    shares: of each layer, the predicted error as a share of the membrane (for "obc" of the current). sops: per image.
    seconds: of the compression alone, and of one epoch of the training before it.
    """

    seed: int
    method: str
    sparsity: float
    bits: int
    dense: float
    accuracy: float
    integer: float | None
    size_mb: float
    sops: float
    shares: dict[str, float]
    seconds: float
    epoch_seconds: float

    @property
    def key(self) -> tuple[int, str, float, int]:
        """What makes it another one."""
        return self.seed, self.method, self.sparsity, self.bits


class Row(NamedTuple):
    """A line of the table, in percent and points: mean over seeds of what is lost against the dense network."""

    sparsity: float
    bits: int
    method: str
    seeds: int
    accuracy: float
    lost: float
    spread: float | None
    seconds: float


def run_compression_sweep(
    recipe: Recipe,
    data: Split,
    folder: str | os.PathLike[str],
    settings: Settings = Settings(),  # noqa: B008 - a tuple
    *,
    seeds: int = 1,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> list[Result]:
    """Train the recipe's network in floating point with seeds 0 to `seeds - 1`, and compress each to every target.

    Checkpoints, first passes and results.json lie in `folder`, and what is there is not run again. Nothing is trained
    afterwards. Raises ConfigError (a setting, a folder of another recipe), FormatError (a damaged results.json), and
    what training and compression raise.
    """
    recipe.network.check_zoo("compress-sweep")
    check_classes("compress-sweep", data)
    for method, sparsity, bits in _targets(settings):
        check_target(sparsity, _bits(bits), method, settings.ratios, settings.scale)
    recipe = replace(recipe, network=replace(recipe.network, bits=FULL_PRECISION))
    splits = make_folds(recipe, data, settings.folds)
    target = Path(folder)
    writable_folder(target)
    made_by = {"recipe": recipe.to_dict(), **_how(settings)}
    results = load_results(target, made_by, Result, "the results of a sweep")
    for seed in range(seeds):
        for method in settings.methods:
            done = {result.key for result in results}
            left = [t for t in _targets(settings) if t[0] == method and (seed, *t) not in done]
            if left:
                log(f"{method}, seed {seed}: {len(left)} to go")
                split = splits[seed % len(splits)]
                for result in _each(recipe, split, target, seed, left, settings, progress):
                    results.append(result)
                    save_results(target, made_by, results, data)
    wanted = {(seed, *t) for seed in range(seeds) for t in _targets(settings)}
    return [result for result in results if result.key in wanted]


def table(results: Sequence[Result]) -> list[Row]:
    """Mean over seeds, by sparsity, bits and method."""
    groups: dict[tuple[float, int, str], list[Result]] = {}
    for one in results:
        groups.setdefault((one.sparsity, one.bits, one.method), []).append(one)
    rows = []
    for (sparsity, bits, method), own in sorted(
        groups.items(), key=lambda g: (g[0][0], -g[0][1], METHODS.index(g[0][2]))
    ):
        lost = [100 * (one.dense - one.accuracy) for one in own]
        mean = 100 * float(np.mean([one.accuracy for one in own]))
        seconds = float(np.mean([one.seconds for one in own]))
        rows.append(Row(sparsity, bits, method, len(own), mean, float(np.mean(lost)), std(lost), seconds))
    return rows


def _targets(settings: Settings) -> list[tuple[str, float, int]]:
    """Every method, sparsity and bits that there is something to do for; "rtn" does not prune."""
    return [
        (method, sparsity, bits)
        for method in settings.methods
        for sparsity in settings.sparsities
        for bits in settings.bits
        if (sparsity or bits != FULL_PRECISION) and not (sparsity and method == "rtn")
    ]


def _bits(bits: int) -> int | None:
    return None if bits == FULL_PRECISION else bits


def _each(
    recipe: Recipe,
    data: Split,
    folder: Path,
    seed: int,
    targets: Sequence[tuple[str, float, int]],
    settings: Settings,
    progress: Listener | None,
) -> Iterator[Result]:
    """One seed and method: the Hessians and the first pass of pruning serve all targets; the latter stays in a file."""
    own = replace(recipe, train=replace(recipe.train, seed=seed))
    start = train_or_resume(own, data, folder / f"dense-{seed}.h5", progress)
    dense = evaluate(start.model, data.test).accuracy
    epoch = float(np.mean([epoch.seconds for epoch in start.history]))
    some = data.train.limited(settings.images)
    ready = prepare(start.model, some, targets[0][0], batches=len(some), damping=settings.damping, progress=progress)
    path = first_pass(folder, ready.method, seed)
    if path.exists():
        ready.traces, ready.traced = read_traces(path)
    for method, sparsity, bits in targets:
        known = len(ready.traces)
        made = finish(ready, sparsity, _bits(bits), settings.ratios, settings.scale)
        if len(ready.traces) > known:
            _save_traces(path, ready.traces, ready.traced)
        found = evaluate(made.model, data.test)
        price = measured_cost(made.model, found)
        whole = None if bits == FULL_PRECISION else evaluate(lower(made.model).network, data.test).accuracy
        shares = {layer.name: layer.share for layer in made.layers}
        figures = (dense, found.accuracy, whole, price.size_mb, price.sops or 0.0, shares, made.seconds, epoch)
        yield Result(seed, method, sparsity, bits, *figures)


def first_pass(folder: Path, method: str, seed: int) -> Path:
    """Where a folder of results has it."""
    return folder / f"first-pass-{method}-{seed}.h5"


def _save_traces(path: Path, traces: Mapping[str, Trace], seconds: float) -> None:
    with writing(path, FIRST_PASS, 1) as file:
        file.attrs["seconds"] = seconds
        for name, trace in traces.items():
            file[f"{name}/order"], file[f"{name}/losses"] = trace


def read_traces(path: Path) -> tuple[dict[str, Trace], float]:
    """The first pass of each layer, and its seconds. Raises FormatError, VersionError."""
    with reading(path, FIRST_PASS, 1) as file:
        return {name: Trace(file[name]["order"][()], file[name]["losses"][()]) for name in file}, file.attrs["seconds"]


def _how(settings: Settings) -> dict[str, Any]:
    """The settings that all results of a folder share."""
    shared = ("ratios", "scale", "images", "damping", "folds")
    return {name: getattr(settings, name) for name in shared}
