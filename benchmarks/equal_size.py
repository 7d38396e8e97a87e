"""SVS's whole channels against OSBC's single weights, and one after the other, at the same size.

    python -m benchmarks.equal_size RECIPE [--rates 0.5,0.75] [--seeds 1] [--folds 0] [--out build/equal]

The recipe's network is trained at its bits; SVS cuts each rate of its channels and fine-tunes; OSBC prunes single
weights to that size, from the dense network and from SVS's at each lower rate, and is measured as it is and after the
same fine-tuning. A size is Eq. 16's with the index of sparse weights; files have bitmaps only, and may be longer.
Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks.table import log, show
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.compression.weights.osbc import Compressed, Prepared, finish, prepare
from qpsnn_core.engine.pricing import measured_cost, nonzero
from qpsnn_core.experiments.runs import (
    finetune_or_resume,
    load_results,
    make_folds,
    save_results,
    seeded,
    std,
    train_or_resume,
)
from qpsnn_core.experiments.stages import data_for, prune_as, score_as
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split

HALVINGS = 9
"""Of the range in which OSBC's sparsity lies: to 0.2% of the weights."""


class Result(NamedTuple):
    """Of one deployed network. accuracy: as integers, 0 to 1.

    target: the rate of SVS whose size it has; 0: the dense network's own. rate: of channels that SVS removed,
    fine-tuned afterwards. sparsity: of all weights that are left, pruned by OSBC; 0: it had no part. tuned: whether
    fine-tuning came last. file_bytes: of the integer file; size_mb: with an index (`stored`); sops: per image. minutes:
    since the network that it began from: the dense one, or with OSBC that of SVS at `rate`.
    """

    seed: int
    target: float
    rate: float
    sparsity: float
    tuned: bool
    accuracy: float
    file_bytes: int
    size_mb: float
    sops: float
    minutes: float

    @property
    def way(self) -> str:
        """What was done, in words."""
        svs = f"SVS {self.rate:g}, fine-tuned" if self.rate else ""
        osbc = ("OSBC, fine-tuned" if self.tuned else "OSBC") if self.sparsity else ""
        return ", ".join(filter(None, (svs, osbc))) or "dense"


class Row(NamedTuple):
    """A line of the table: means over seeds. accuracy, spread: percent; minutes: since the dense network."""

    target: float
    way: str
    seeds: int
    accuracy: float
    spread: float | None
    sparsity: float
    file_bytes: float
    size_mb: float
    sops: float
    minutes: float


class Step(NamedTuple):
    """A seed, a rate of SVS (both in the recipe), its data, and the folder of networks."""

    recipe: Recipe
    rate: float
    split: Split
    folder: Path

    @property
    def seed(self) -> int:
        """Of training and fine-tuning."""
        return self.recipe.train.seed

    def dense(self) -> Model:
        """The recipe's network, trained once."""
        return train_or_resume(self.recipe, self.split, self.folder / f"dense-{self.seed}.h5", None).model

    def structured(self) -> Result:
        """SVS at this rate; at 0 the dense network itself."""
        start = self.dense()
        if not self.rate:
            return self.result(start, 0.0, 0.0, False, 0.0)
        begun = time.perf_counter()
        pruned = prune_as(self.recipe, start, score_as(self.recipe, start, self.split.train), self.split.train).model
        done = self.tune(pruned, 0.0)
        seconds = time.perf_counter() - begun
        qp.save_checkpoint(self.path("svs"), qp.Checkpoint(done, recipe=self.recipe.to_dict()))
        return self.result(done, self.rate, 0.0, True, seconds)

    def unstructured(self, target: float, most: float) -> list[Result]:
        """OSBC from here to at most `most` MB, the size of SVS's at rate `target`: as it is, and tuned."""
        start = qp.load_model(self.path("svs")) if self.rate else self.dense()
        begun = time.perf_counter()
        ready = prepare(start, self.split.train)
        made = fitting(ready, self.recipe.network.bits, most)
        between = time.perf_counter()
        done = self.tune(made.model, target)
        return [
            self.result(made.model, target, made.sparsity, False, between - begun),
            self.result(done, target, made.sparsity, True, time.perf_counter() - begun),
        ]

    def tune(self, model: Model, target: float) -> Model:
        """Fine-tuned as the recipe says."""
        return finetune_or_resume(self.recipe, model, self.split, self.path(f"tuning-{target:g}"), None)

    def result(self, model: Model, target: float, sparsity: float, last: bool, seconds: float) -> Result:
        """What is measured of a network."""
        network, price = qp.lower(model).network, measured_cost(model, qp.evaluate(model, self.split.test))
        accuracy = qp.evaluate(network, self.split.test).accuracy
        path = self.path("network")
        qp.save_integer(path, network)
        size = path.stat().st_size
        path.unlink()
        figures = (accuracy, size, price.size_mb, price.sops or 0.0, seconds / 60)
        return Result(self.seed, target, self.rate, sparsity, last, *figures)

    def path(self, what: str) -> Path:
        """A file of this step's own."""
        return self.folder / f"{what}-{self.rate:g}-{self.seed}.h5"


def fitting(ready: Prepared, bits: int, most: float) -> Compressed:
    """The least pruned network of at most `most` MB; ConfigError where none is so small."""
    low, high, found = 0.0, 1.0, None
    for _ in range(HALVINGS):
        made = finish(ready, (low + high) / 2, bits)
        if qp.cost(made.model.network, masks=nonzero(made.model)).size_mb <= most:
            found, high = made, (low + high) / 2
        else:
            low = (low + high) / 2
    if found is None:
        raise ConfigError(
            expected("rates", "sizes that a network of all channels can have", Unquoted(f"{most:.4f} MB"))
        )
    return found


def run_equal_size(
    recipe: Recipe, data: Split, folder: Path, rates: Sequence[float], seeds: int, folds: int | None
) -> list[Result]:
    """Every way to every size; what `folder` has is not run again."""
    folder.mkdir(parents=True, exist_ok=True)
    made_by = {"recipe": recipe.to_dict(), "folds": folds}
    results = load_results(folder, made_by, Result, "the results of a comparison at equal size")
    splits = make_folds(recipe, data, folds)
    for seed in range(seeds):
        split, own = splits[seed % len(splits)], seeded(recipe, seed)
        every = [(rate, replace(own, prune=replace(own.prune, rates=rate))) for rate in (0.0, *sorted(rates))]
        steps = [Step(one, rate, split, folder) for rate, one in every]
        for step in steps:
            if not any((one.seed, one.rate, one.sparsity) == (seed, step.rate, 0) for one in results):
                log(f"seed {seed}, SVS {step.rate:g}")
                results.append(step.structured())
                save_results(folder, made_by, results, data)
        sizes = {one.target: one.size_mb for one in results if one.seed == seed and not one.sparsity}
        for step in steps:
            there = {one.target for one in results if (one.seed, one.rate) == (seed, step.rate) and one.sparsity}
            for target in rates:
                if target > step.rate and target not in there:
                    log(f"seed {seed}, OSBC from {step.rate:g} to the size of {target:g}")
                    results += step.unstructured(target, sizes[target])
                    save_results(folder, made_by, results, data)
    return [one for one in results if one.seed < seeds and one.target in (0.0, *rates)]


def table(results: Sequence[Result]) -> list[Row]:
    """Means over seeds, the largest size first."""
    minutes = {(one.seed, one.rate): one.minutes for one in results if not one.sparsity}
    groups: dict[tuple[float, str], list[Result]] = {}
    for one in sorted(results, key=lambda r: (r.target, r.sparsity > 0, r.rate, r.tuned, r.seed)):
        groups.setdefault((one.target, one.way), []).append(one)
    rows = []
    for (target, way), own in groups.items():
        accuracies = [100 * one.accuracy for one in own]
        earlier = [minutes[one.seed, one.rate] if one.sparsity else 0.0 for one in own]
        fields = ("sparsity", "file_bytes", "size_mb", "sops", "minutes")
        *means, last = (float(np.mean([getattr(one, name) for one in own])) for name in fields)
        figures = (float(np.mean(accuracies)), std(accuracies), *means, last + float(np.mean(earlier)))
        rows.append(Row(target, way, len(own), *figures))
    return rows


def main() -> None:
    """Run it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--rates", default="0.5,0.75")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folds", type=int, default=0, help="seed k is tested on part k of so many; 0: the test part")
    parser.add_argument("--out", type=Path, default=Path("build/equal"))
    args = parser.parse_args()
    recipe = qp.load_recipe(args.recipe)
    rates = [float(rate) for rate in args.rates.split(",")]
    results = run_equal_size(recipe, data_for(recipe), args.out, rates, args.seeds, args.folds or None)
    show(f"{args.recipe}: at equal size", Row._fields, table(results))


if __name__ == "__main__":
    main()
