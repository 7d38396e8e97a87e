"""SpQuant-SNN's choices, one by one, over seeds: membranes and their surrogate, thresholds, gates, pruning.

    python -m benchmarks.spquant RECIPE [--groups levels,gates] [--seeds 3] [--folds 0] [--minutes 0] [--out DIR]

Every cell is a network of the recipe with other settings; it is trained, lowered, and measured as integers. A cell with
a rate begins from a trained network: SVS removes channels, and it is fine-tuned. Stopped, also within a training, it
goes on where it was; with docs/results/spquant-SET.json as OUT/spquant-SET/results.json, after what that has.
`python -m benchmarks.spquant_page` writes the tables and the figure of docs/results.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import qpsnn_core as qp
from benchmarks.table import log, show
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.engine.gate_report import gate_report
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.runs import (
    finetune_or_resume,
    load_results,
    make_folds,
    save_results,
    seeded,
    train_or_resume,
)
from qpsnn_core.experiments.stages import data_for, prune_as, score_as
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.model import Model
from qpsnn_core.network.zoo.gated import GateOptions
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split

BITS = (8, 4, 2)
MEMBRANES = {"whole": None, "five levels": MembraneQuantizer(-3, 1), "ternary": MembraneQuantizer(-1, 1)}
GATED = 64
"""Test images on which gates are reported, in one batch."""

HALVINGS = 7
"""Of the range in which a rate lies that gives a certain memory."""


class Cell(NamedTuple):
    """One network. changes: of the recipe's [network]. start: the cell whose network is pruned, "" where none is.

    rate: of channels that SVS removes; memory: instead, the cell whose weights and membranes it is to take.
    """

    group: str
    name: str
    changes: dict[str, Any]
    start: str = ""
    rate: float = 0.0
    memory: str = ""


class Result(NamedTuple):
    """Of one cell and seed. accuracy: as integers, trained: before lowering, 0 to 1. rate: of channels removed.

    weights_mb: Eq. 16; membranes_mb: of one image; sops: additions per image, those of predictors among them. open: the
    mean share of its masks that is open; gate_accuracy: the mean share of right decisions of channel gates;
    reduction, paper_reduction: of GateReport; None without gates. seconds: of the processor, what it began from not
    counted. changes: of the recipe's network.
    """

    group: str
    cell: str
    seed: int
    accuracy: float
    trained: float
    rate: float
    weights_mb: float
    membranes_mb: float
    sops: float
    open: float | None
    gate_accuracy: float | None
    reduction: float | None
    paper_reduction: float | None
    seconds: float
    changes: dict[str, Any]

    @property
    def memory_mb(self) -> float:
        """Weights and membranes."""
        return self.weights_mb + self.membranes_mb


def cells() -> list[Cell]:
    """Every cell, in the order in which they run: what others begin from comes first."""
    found = [Cell("levels", _name(kind, bits), _network(kind, bits)) for kind in MEMBRANES for bits in BITS]
    for kind in ("five levels", "ternary"):
        how = replace(MEMBRANES[kind] or MembraneQuantizer(), surrogate="straight")
        found.append(Cell("surrogate", f"{kind}, straight", {"membrane": how}))
    for kind, gradient in (("whole", "surrogate"), ("ternary", "surrogate"), ("ternary", "spquant")):
        learned = {"membrane": MEMBRANES[kind], "learn": ("threshold",), "threshold_gradient": gradient}
        found.append(Cell("threshold", f"{kind}, learned{', as published' if gradient == 'spquant' else ''}", learned))
    for bits in BITS:
        name, whole = _name("ternary", bits), _name("whole", bits)
        found.append(Cell("pruning", f"{whole}, memory of {name}", _network("whole", bits), whole, memory=name))
    for bits in (4, 2):
        name = _name("ternary", bits)
        found.append(Cell("pruning", f"{name}, half of the channels", _network("ternary", bits), name, 0.5))
    gates = {"channels": (True, False), "places": (False, True), "channels and places": (True, True)}
    for name, (channels, places) in gates.items():
        changes = {"membrane": MEMBRANES["ternary"], "gates": GateOptions(channels, places)}
        found.append(Cell("gates", f"ternary, {name}", changes))
    return found


def _name(kind: str, bits: int) -> str:
    return f"{kind}, {bits} bits"


def _network(kind: str, bits: int) -> dict[str, Any]:
    return {"membrane": MEMBRANES[kind], "bits": bits}


class Step(NamedTuple):
    """A seed (in the recipe), its data, and the folder of its networks."""

    recipe: Recipe
    split: Split
    folder: Path
    seed: int

    def run(self, cell: Cell, results: Sequence[Result]) -> Result:
        """Train or prune, lower, measure. results: there already, of this seed also."""
        begun = time.process_time()
        own = self.of(cell)
        if cell.start:
            model, rate = self.pruned(cell, own, results)
        else:
            model, rate = train_or_resume(own, self.split, self.path(cell.name), None).model, 0.0
        trained = qp.evaluate(model, self.split.test)
        price = measured_cost(model, trained)
        integers = qp.lower(model, own.lower.fraction_bits).network
        accuracy = qp.evaluate(integers, self.split.test).accuracy
        figures = (accuracy, trained.accuracy, rate, price.size_mb, price.membranes_mb, price.sops or 0.0)
        gates = self.gates(model) if own.network.gates else (None,) * 4
        changed = own.to_dict()["network"]
        changes = {key: changed[key] for key in cell.changes if key in changed}
        return Result(cell.group, cell.name, self.seed, *figures, *gates, time.process_time() - begun, changes)

    def of(self, cell: Cell) -> Recipe:
        """The recipe with the cell's network."""
        return replace(self.recipe, network=replace(self.recipe.network, **cell.changes))

    def pruned(self, cell: Cell, own: Recipe, results: Sequence[Result]) -> tuple[Model, float]:
        """The network of `start`, trained now if it is not there, without the channels, fine-tuned; and the rate."""
        (start,) = (one for one in cells() if one.name == cell.start)
        model = train_or_resume(self.of(start), self.split, self.path(start.name), None).model
        scores, rate = score_as(own, model, self.split.train), cell.rate

        def at(rate: float) -> Model:
            chosen = replace(own, prune=replace(own.prune, rates=rate, recalibrate=False))
            return prune_as(chosen, model, scores, self.split.train).model

        if cell.memory:
            (most,) = [one.memory_mb for one in results if (one.cell, one.seed) == (cell.memory, self.seed)]
            rate = least_rate(lambda rate: qp.cost(at(rate).network).memory_mb, most)
        kept = prune_as(replace(own, prune=replace(own.prune, rates=rate)), model, scores, self.split.train).model
        return finetune_or_resume(own, kept, self.split, self.path(f"{cell.name} (tuning)"), None), rate

    def gates(self, model: Model) -> tuple[float, float | None, float, float]:
        """Open share, accuracy, and both reductions on some test images."""
        found = gate_report(model, self.split.test.images[:GATED])
        right = [one.accuracy for one in found.gates.values() if one.accuracy is not None]
        share = sum(one.open for one in found.gates.values()) / len(found.gates)
        return share, sum(right) / len(right) if right else None, found.reduction, found.paper_reduction

    def path(self, name: str) -> Path:
        """A checkpoint of this seed."""
        return self.folder / f"{name.replace(', ', '-').replace(' ', '-')}-{self.seed}.h5"


def least_rate(memory: Any, most: float) -> float:
    """The least rate, to 1/128, with at most `most` MB; ConfigError where none has so little."""
    low, high, found = 0.0, 1.0, None
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        if memory(rate) <= most:
            found = high = rate
        else:
            low = rate
    if found is None:
        raise ConfigError(expected("memory", "a network that pruning can make so small", Unquoted(f"{most:.4f} MB")))
    return found


def run_cells(
    recipe: Recipe,
    made_by: dict[str, Any],
    folder: Path,
    groups: Sequence[str],
    seeds: int,
    folds: int | None = None,
    minutes: float = 0.0,
) -> list[Result]:
    """The cells of these groups, group by group; what `folder` has is not run again.

    minutes: of the processor, after which no other cell begins; 0: no end.
    """
    every = cells()
    for group in groups:
        if group not in {cell.group for cell in every}:
            raise ConfigError(expected("groups", f"of {', '.join(dict.fromkeys(c.group for c in every))}", group))
    folder.mkdir(parents=True, exist_ok=True)
    data = data_for(recipe)
    made_by = {"recipe": recipe.to_dict(), "folds": folds, **made_by}
    results = load_results(folder, made_by, Result, "the results of SpQuant-SNN's choices")
    splits = make_folds(recipe, data, folds)
    for group in groups:
        for seed in range(seeds):
            step = Step(seeded(recipe, seed), splits[seed % len(splits)], folder, seed)
            for cell in (one for one in every if one.group == group):
                if any((one.cell, one.seed) == (cell.name, seed) for one in results):
                    continue
                if minutes and time.process_time() > 60 * minutes:
                    log(f"stopped after {time.process_time() / 60:.1f} minutes of the processor")
                    return results
                results.append(step.run(cell, results))
                save_results(folder, made_by, results, data)
                log(f"seed {seed}, {cell.name}: {results[-1].accuracy:.2%}, {results[-1].seconds:.0f} s")
    return results


def main() -> None:
    """Run it, print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--groups", default=",".join(dict.fromkeys(cell.group for cell in cells())))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=0, help="seed k is tested on part k of so many; 0: the test part")
    parser.add_argument("--minutes", type=float, default=0.0, help="of the processor; 0: until all is done")
    parser.add_argument("--out", type=Path, default=Path("build/spquant"))
    args = parser.parse_args()
    qp.set_threads(1)
    folds = f" --folds {args.folds}" if args.folds else ""
    made_by = {"command": f"python -m benchmarks.spquant {args.recipe}{folds}"}
    found = run_cells(
        qp.load_recipe(args.recipe),
        made_by,
        args.out / args.recipe.stem,
        args.groups.split(","),
        args.seeds,
        args.folds or None,
        args.minutes,
    )
    heads = ("group", "cell", "seed", "accuracy", "memory, MB", "operations", "seconds")
    rows = [(r.group, r.cell, r.seed, 100 * r.accuracy, r.memory_mb, r.sops, r.seconds) for r in found]
    show(f"{args.recipe}", heads, rows)


if __name__ == "__main__":
    main()
