"""What a researcher asks of a recipe or a checkpoint: `qpsnn ablate`, `front`, `crossvalidate`, `audit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, data_of_recipe, load_trained
from qpsnn_core.cli.options import Data, File, Json, Quiet, Where
from qpsnn_core.common.atomic import save_json
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.recipes.recipe import load_recipe


def ablate(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML; its gamma and criterion are varied.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; what it has is not run again.")] = Path(
        "ablation"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... of each model.")] = 3,
    models: Annotated[
        str,
        typer.Option("--models", help="Some of A,B,C,D,E,F,PQ,QP (all of these, if nothing is said), max, percentile."),
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tables 2 and 3: vanilla against ReScaW, SCA against SVS, pruning before or after quantizing, over seeds."""
    from qpsnn_core.experiments import ablation

    chosen = load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    names = [name.strip() for name in models.split(",")] if models else list(ablation.USUAL)
    log = (lambda text: None) if quiet else show.log
    with show.bars(quiet) as listen:
        results = ablation.run_ablation(
            chosen, choice.split(), out, seeds=seeds, models=names, progress=listen, log=log
        )
    rows = ablation.table(results)
    if json:
        tables = {"data": choice.figures, "table": [r._asdict() for r in rows]}
        show.print_json({**tables, "results": [r._asdict() for r in results]})
        return
    heads = ("model", "what", "seeds", "accuracy, %", "spread", "against", "gain, points", "its spread")
    cells = [
        (r.model, r.text, r.seeds, f"{r.mean:.2f}", _two(r.spread), r.against or "-", _two(r.gain), _two(r.gain_spread))
        for r in rows
    ]
    show.table(f"Tables 2 and 3: {recipe}", heads, cells, choice)


def front(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML; its bits and pruning rate are varied.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; what it has is not run again.")] = Path(
        "front"
    ),
    bits: Annotated[str, typer.Option("--bits", help="Of weights, 2 to 8.")] = "8,4,2",
    rates: Annotated[str, typer.Option("--rates", help="Shares of channels to remove.")] = "0,0.5,0.75",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... of each.")] = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy against size (Fig. 1) over bits and pruning rates; `qpsnn plot front OUT/front.json` draws it."""
    from qpsnn_core.experiments import pareto_front as study

    chosen = load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    log = (lambda text: None) if quiet else show.log
    wanted: dict[str, Any] = {"bits": _numbers("--bits", bits, int), "rates": _numbers("--rates", rates, float)}
    with show.bars(quiet) as listen:
        points = study.run_pareto_front(chosen, choice.split(), out, **wanted, seeds=seeds, progress=listen, log=log)
    rows = [{**row, "data": choice.figures} for row in study.means(points)]
    save_json(out / "front.json", rows)
    if json:
        show.print_json({"data": choice.figures, "points": rows, "results": [point._asdict() for point in points]})
        return
    heads = ("bits", "rate", "seeds", "accuracy, %", "spread", "before tuning", "size, MB", "file, bytes")
    cells = [
        (
            *(r[key] for key in ("group", "label", "seeds")),
            *(f"{r['accuracy']:.2f}", _two(r["spread"]), f"{r['before']:.2f}"),
            *(f"{r['size_mb']:.3f}", f"{r['file_bytes']:,}"),
        )
        for r in rows
    ]
    show.table(f"Accuracy as integers, against size: {recipe}", heads, cells, choice)


def crossvalidate(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; what it has is not run again.")] = Path(
        "folds"
    ),
    folds: Annotated[int, typer.Option("--folds", min=2, help="Parts, each held out once.")] = 5,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train, prune, fine-tune and lower in each fold of all samples; accuracy of the integers on those held out."""
    from qpsnn_core.experiments import cross_validation as study

    chosen = load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    log = (lambda text: None) if quiet else show.log
    with show.bars(quiet) as listen:
        pooled = choice.split().pooled()
        found = study.run_cross_validation(chosen, pooled, out, folds=folds, progress=listen, log=log)
    total = study.summary(found)
    if json:
        made = {"data": choice.figures, "summary": total._asdict()}
        show.print_json({**made, "folds": [fold._asdict() for fold in found]})
        return
    rows: list[tuple[Any, ...]] = [
        (f"fold {fold.fold}", fold.samples, fold.start, fold.accuracy, fold.file_bytes) for fold in found
    ]
    rows.append(("mean", sum(fold.samples for fold in found), "", total.mean, total.file_bytes))
    show.table(
        f"{recipe}: {folds} folds, spread {total.spread:.4f}",
        ("", "samples", "trained", "integers", "bytes"),
        rows,
        choice,
    )


def _numbers(option: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(expected(option, "numbers with commas between them", text)) from error


def audit(
    checkpoint: File,
    data: Data = "",
    path: Where = "",
    images: Annotated[int, typer.Option("--images", min=1, help="Test images that are used.")] = 8,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Weights and inputs of each layer.")] = 5,
    lava: Annotated[int, typer.Option("--lava-images", min=0, help="Of these, run on Lava; 0: none.")] = 2,
    json: Json = False,
) -> None:
    """Recompute gradients, codes, scores, integers and Lava's spikes from the equations; exit status 1 if one fails."""
    from qpsnn_core.experiments.audit import audit as checks

    loaded = load_trained(checkpoint)
    choice = data_of(checkpoint, loaded, data, path)
    test = choice.part("test", images)
    found = list(checks(loaded.model, test, images=images, samples=samples, lava=lava))
    failed = any(one.verdict == "FAIL" for one in found)
    if json:
        checked = [{**one._asdict(), "verdict": one.verdict} for one in found]
        show.print_json({"data": choice.figures, "passed": not failed, "checks": checked})
    else:
        heads = ("check", "equation", "figure", "limit", "where", "verdict")
        rows = [(one.check, one.equation, one.figure, one.limit, one.place or "-", one.verdict) for one in found]
        show.table(f"audit: {checkpoint}", heads, rows, choice)
        for one in found:
            if one.reason:
                show.out.print(f"skipped: {one.check}: {one.reason}", highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
