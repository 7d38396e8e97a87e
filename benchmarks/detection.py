"""A small detector over seeds: weights in float32, at 4 bits, at 4 bits and pruned; mean average precision of integers.

    python -m benchmarks.detection RECIPE [--seeds 3] [--minutes 0] [--out DIR] [--publish]

Each network is trained as RECIPE says (docs/detection.md), with `detector_small` at other weights; the pruned one
begins from that at 4 bits, loses the recipe's share of channels by SVS, and is fine-tuned; another is fine-tuned as
long with all channels. What has integers is
measured as integers. All figures are of the last epoch; nothing is chosen by the test images. Stopped, also within a
training, it goes on where it was. --publish: put what OUT has beside docs/results.md, and its table into it; runs
nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import qpsnn_core as qp
from benchmarks.roofline.page import fill, table
from benchmarks.table import log, show
from qpsnn_core.common.atomic import save_json
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.runs import (
    RESULTS,
    finetune_or_resume,
    load_results,
    read_results,
    save_results,
    seeded,
    std,
)
from qpsnn_core.experiments.stages import augmentation, data_for, prune_as, score_as
from qpsnn_core.network.model import Model
from qpsnn_core.network.zoo.detector import detector_small
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split

FLOAT, QUANTIZED, LONGER, PRUNED = CELLS = "float32", "4 bits", "4 bits, tuned", "4 bits, pruned and tuned"

DOCS = Path(__file__).parent.parent / "docs"
WHAT = "the results of a detector"
MARKERS = "<!-- detection: written by `python -m benchmarks.detection` -->", "<!-- end of detection -->"

QUANTIZERS = {FLOAT: None, QUANTIZED: Quantizer(4, "mean")}


class Result(NamedTuple):
    """Of one cell and seed, on the test images. weights_mb: Eq. 16. sops: additions per image.

    figures: mean average precisions by convention; of integers where `integers` says so. seconds: of the processor,
    what it began from not counted.
    """

    cell: str
    seed: int
    figures: dict[str, float]
    integers: bool
    parameters: int
    weights_mb: float
    sops: float | None
    seconds: float


def trained(recipe: Recipe, cell: str, data: Split, path: Path) -> Model:
    """The network of a cell that is trained from fresh weights, from its checkpoint where there is one."""
    shape, classes = data.train.image_shape, len(data.train.classes)
    network = detector_small(shape, classes, steps=recipe.network.steps, quantizer=QUANTIZERS[cell])
    options: dict[str, Any] = {"augment": augmentation(recipe.data), "recipe": recipe.to_dict()}
    return qp.train(network, data.train, recipe.train, checkpoint=path, resume=path.exists(), **options).model


def run_cell(recipe: Recipe, cell: str, data: Split, folder: Path) -> Result:
    """Train or prune, lower, measure."""
    begun, seed = time.process_time(), recipe.train.seed
    path = partial(_path, folder, seed)
    if cell in (LONGER, PRUNED):
        model = trained(recipe, QUANTIZED, data, path(QUANTIZED))
        if cell == PRUNED:
            model = prune_as(recipe, model, score_as(recipe, model, data.train), data.train).model
        model = finetune_or_resume(recipe, model, data, path(f"{cell} (tuning)"), None)
    else:
        model = trained(recipe, cell, data, path(cell))
    found = qp.evaluate(model, data.test)
    price = measured_cost(model, found)
    integers = cell != FLOAT
    figures = qp.evaluate(qp.lower(model).network, data.test).figures if integers else found.figures
    seconds = time.process_time() - begun
    return Result(cell, seed, figures, integers, price.parameters, price.size_mb, price.sops, seconds)


def _path(folder: Path, seed: int, cell: str) -> Path:
    return folder / f"{cell.replace(', ', '-').replace(' ', '-')}-{seed}.h5"


def run_cells(recipe: Recipe, made_by: dict[str, Any], folder: Path, seeds: int, minutes: float = 0.0) -> list[Result]:
    """All cells of each seed in turn; what `folder` has is not run again.

    minutes: of the processor, after which no other cell begins; 0: no end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = data_for(recipe)
    made_by = {"recipe": recipe.to_dict(), **made_by}
    results = load_results(folder, made_by, Result, WHAT)
    for seed in range(seeds):
        for cell in CELLS:
            if any((one.cell, one.seed) == (cell, seed) for one in results):
                continue
            if minutes and time.process_time() > 60 * minutes:
                log(f"stopped after {time.process_time() / 60:.1f} minutes of the processor")
                return results
            results.append(run_cell(seeded(recipe, seed), cell, data, folder))
            save_results(folder, made_by, results, data)
            log(f"seed {seed}, {cell}: {results[-1].figures}, {results[-1].seconds:.0f} s")
    return results


def rows(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Heads and rows of a table, a row for each result."""
    named = tuple(results[0].figures) if results else ()
    heads = ("cell", "seed", *named, "parameters", "weights, MB", "operations, M", "minutes")
    return heads, [
        (
            r.cell,
            r.seed,
            *(100 * value for value in r.figures.values()),
            r.parameters,
            r.weights_mb,
            (r.sops or 0) / 1e6,
            r.seconds / 60,
        )
        for r in results
    ]


def publish(folder: Path) -> None:
    """docs/results/detection-bccd.json as OUT has it, and the page's table from it."""
    made_by, results = read_results(folder / RESULTS, Result, WHAT)
    save_json(DOCS / "results" / "detection-bccd.json", {**made_by, "results": [one._asdict() for one in results]})
    fill(DOCS / "results.md", {MARKERS: page_table(results)})


def page_table(results: Sequence[Result]) -> str:
    """A row for each cell: means over its seeds, the standard error behind them where there are two or more."""
    figures = list(results[0].figures)
    head = ["weights", "seeds", *figures, "parameters", "weights, MB", "additions per image, M", "minutes"]
    body: list[list[Any]] = []
    for cell in CELLS:
        own = [one for one in results if one.cell == cell]
        if own:
            counts = (f"{own[0].parameters:,}", f"{fmean(one.weights_mb for one in own):.3f}")
            operations, minutes = (fmean(values) for values in ((o.sops or 0 for o in own), (o.seconds for o in own)))
            means = (_with_error([100 * one.figures[name] for one in own]) for name in figures)
            body.append([cell, len(own), *means, *counts, f"{operations / 1e6:.1f}", f"{minutes / 60:.1f}"])
    return table(head, body)


def _with_error(values: Sequence[float]) -> str:
    spread = std(values)
    return f"{fmean(values):.1f}" if spread is None else f"{fmean(values):.1f} ± {spread / len(values) ** 0.5:.1f}"


def main() -> None:
    """Run it, print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0, help="of the processor; 0: until all is done")
    parser.add_argument("--out", type=Path, default=Path("build/detection"))
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    if args.publish:
        publish(args.out)
        return
    qp.set_threads(1)
    made_by = {"command": f"python -m benchmarks.detection {args.recipe}"}
    recipe = qp.load_recipe(args.recipe)
    show(f"{args.recipe}", *rows(run_cells(recipe, made_by, args.out, args.seeds, args.minutes)))


if __name__ == "__main__":
    main()
