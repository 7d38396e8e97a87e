"""A small detector over seeds: weights in float32, at 4 bits, at 4 bits and pruned; mean average precision of integers.

    python -m benchmarks.detection RECIPE [--seeds 3] [--minutes 0] [--out DIR]

Each network is trained as RECIPE says (docs/detection.md), with `detector_small` at other weights; the pruned one
begins from that at 4 bits, loses the recipe's share of channels by SVS, and is fine-tuned. What has integers is
measured as integers. All figures are of the last epoch; nothing is chosen by the test images. Stopped, also within a
training, it goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import qpsnn_core as qp
from benchmarks.table import log, show
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.runs import finetune_or_resume, load_results, save_results, seeded
from qpsnn_core.experiments.stages import augmentation, data_for, prune_as, score_as
from qpsnn_core.network.model import Model
from qpsnn_core.network.zoo.detector import detector_small
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Split

FLOAT, QUANTIZED, PRUNED = CELLS = "float32", "4 bits", "4 bits, pruned"

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
    if cell == PRUNED:
        start = trained(recipe, QUANTIZED, data, path(QUANTIZED))
        scores = score_as(recipe, start, data.train)
        kept = prune_as(recipe, start, scores, data.train).model
        model = finetune_or_resume(recipe, kept, data, path(f"{cell} (tuning)"), None)
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
    results = load_results(folder, made_by, Result, "the results of a detector")
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


def main() -> None:
    """Run it, print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0, help="of the processor; 0: until all is done")
    parser.add_argument("--out", type=Path, default=Path("build/detection"))
    args = parser.parse_args()
    qp.set_threads(1)
    made_by = {"command": f"python -m benchmarks.detection {args.recipe}"}
    recipe = qp.load_recipe(args.recipe)
    show(f"{args.recipe}", *rows(run_cells(recipe, made_by, args.out, args.seeds, args.minutes)))


if __name__ == "__main__":
    main()
