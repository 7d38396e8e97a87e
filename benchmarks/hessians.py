"""Why OSBC and OBC lose what they lose: what each disturbs in a layer, by the membrane's Hessian and the current's.

    python -m benchmarks.hessians RECIPE [--sparsity 0.97] [--seed 0] [--folds 0] [--sweep build/hessians] [--out FILE]

The dense network and the first passes of pruning are taken from the folder of `qpsnn compress-sweep`, where that has
them. Each layer is pruned alone, as LAMPS says, from the dense network's own spikes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks.table import show
from qpsnn_core.common.atomic import save_json
from qpsnn_core.common.types import Doubles
from qpsnn_core.compression.weights import eliminate, hessian
from qpsnn_core.compression.weights.osbc import finish, prepare, rows_of
from qpsnn_core.experiments import compression_sweep
from qpsnn_core.experiments.runs import make_folds, seeded, train_or_resume
from qpsnn_core.experiments.stages import data_for
from qpsnn_core.network.nodes import LIF
from qpsnn_core.recipes.network import FULL_PRECISION
from qpsnn_datasets import Split

MIXED = "obc's compensation of osbc's choice"


class Row(NamedTuple):
    """What weights do to a layer: shares of the squared magnitude, 0 to 1, that are lost.

    predicted, found: of the membrane without reset, on the calibration and on the test samples. current: of the
    current, on the calibration samples.
    """

    layer: str
    weights: str
    predicted: float
    found: float
    current: float


class Alike(NamedTuple):
    """How like the two Hessians of a layer are: correlations of what is on their diagonals, and beside them.

    kept: of the weights that osbc keeps, the share that obc keeps too; chance: that share of any two such choices.
    """

    layer: str
    diagonal: float
    beside: float
    kept: float
    chance: float


def compare(
    recipe: qp.Recipe, split: Split, folder: Path, settings: compression_sweep.Settings, sparsity: float
) -> tuple[list[Row], list[Alike]]:
    """Of each layer with neurons behind it. recipe: with the seed. Raises what training and compression raise."""
    model = train_or_resume(recipe, split, folder / f"dense-{recipe.train.seed}.h5", None).model
    some = split.train.limited(settings.images)
    ready = {
        method: prepare(model, some, method, batches=len(some), damping=settings.damping) for method in ("osbc", "obc")
    }
    ready["magnitude"] = replace(ready["osbc"], method="magnitude")
    made: dict[str, Mapping[str, Doubles]] = {}
    for method, one in ready.items():
        path = compression_sweep.first_pass(folder, method, recipe.train.seed)
        if path.exists():
            one.traces, one.traced = compression_sweep.read_traces(path)
        params = finish(one, sparsity, ratios=settings.ratios).model.params
        made[method] = {name: rows_of(params[name]["weight"]) for name in one.weights}
    tested = [split.test.images[start : start + 64] for start in range(0, len(split.test), 64)]
    rows, likenesses = [], []
    for node in model.network.synapses:
        if not any(isinstance(reader, LIF) for reader in model.network.consumers(node.name)):
            continue
        name, factors = node.name, hessian.gains(model, node)
        membrane, current = ready["osbc"].hessian(name), ready["obc"].hessian(name)
        later = hessian.hessians(model, tested, "membrane", [node])[name]
        dense = ready["osbc"].weights[name]
        kept = made["osbc"][name] != 0, made["obc"][name] != 0
        mixed = eliminate.compensated(dense, kept[0], eliminate.damped(current, settings.damping))
        every = {**{method: own[name] for method, own in made.items()}, MIXED: mixed}
        for what, weight in every.items():
            shares = (hessian.errors(one, weight - dense, dense, factors)[1] for one in (membrane, later, current))
            rows.append(Row(name, what, *shares))
        beside = np.triu_indices(len(membrane), 1)
        likenesses.append(
            Alike(
                name,
                float(np.corrcoef(np.diag(membrane), np.diag(current))[0, 1]),
                float(np.corrcoef(membrane[beside], current[beside])[0, 1]),
                float((kept[0] & kept[1]).sum() / kept[0].sum()),
                float(kept[1].mean()),
            )
        )
    return rows, likenesses


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--sparsity", type=float, default=0.97)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=0, help="seed k is tested on part k of so many; 0: the test part")
    parser.add_argument("--sweep", type=Path, default=Path("build/hessians"), help="folder of networks")
    parser.add_argument("--out", type=Path, help="JSON")
    args = parser.parse_args()
    read = qp.load_recipe(args.recipe)
    recipe = seeded(replace(read, network=replace(read.network, bits=FULL_PRECISION)), args.seed)
    splits = make_folds(read, data_for(read), args.folds or None)
    args.sweep.mkdir(parents=True, exist_ok=True)
    settings = compression_sweep.Settings(folds=args.folds or None)
    rows, likenesses = compare(recipe, splits[args.seed % len(splits)], args.sweep, settings, args.sparsity)
    show(f"{args.recipe}, {args.sparsity:.0%} pruned: shares that are lost", Row._fields, rows)
    show("the membrane's Hessian and the current's", Alike._fields, likenesses)
    if args.out:
        made_by = {"recipe": recipe.to_dict(), "sparsity": args.sparsity, **settings._asdict()}
        tables = {"rows": [row._asdict() for row in rows], "alike": [one._asdict() for one in likenesses]}
        save_json(args.out, {**made_by, **tables})


if __name__ == "__main__":
    main()
