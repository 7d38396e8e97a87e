"""`qpsnn plot`: figures of a checkpoint or of a study's results, as PNG and SVG, and what is behind them as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, load_trained
from qpsnn_core.cli.options import Data, File, Json, Where
from qpsnn_core.common.errors import ConfigError, FormatError, expected
from qpsnn_core.common.install import missing_extra
from qpsnn_core.experiments import analysis
from qpsnn_core.experiments.data_choice import described, of_recipe
from qpsnn_core.experiments.paper_table1 import TABLE_1

app = typer.Typer(
    help="Figures of a checkpoint, or of what a study found.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder for the PNG and SVG files.")]
Bits = Annotated[int, typer.Option("--bits", min=0, max=8, help="Instead of the layers' own; 0: their own.")]
FIGURES = Path("figures")


@app.command()
def weights(checkpoint: File, out: Folder = FIGURES, bits: Bits = 0, as_json: Json = False) -> None:
    """Distributions of weights and of integers, vanilla and ReScaW (Figs. 2, 5c, 7 to 12)."""
    drawing = drawing_of()
    layers = analysis.layer_codes(load_trained(checkpoint).model, bits or None)
    paths = drawing.save(drawing.plot_weights(layers), out, "weights") + drawing.save(
        drawing.plot_codes(layers), out, "codes"
    )
    figures = [{"layer": each.layer, "bits": each.bits, "percentiles": each.edges} for each in layers]
    tell(paths, figures, as_json)


@app.command()
def utilization(checkpoint: File, out: Folder = FIGURES, bits: Bits = 0, as_json: Json = False) -> None:
    """The share of the integers that each layer uses (Eq. 8), vanilla and for each gamma, and Sec. 4.1's formula."""
    drawing = drawing_of()
    layers = analysis.use_of_bits(load_trained(checkpoint).model, bits or None)
    paths = drawing.save(drawing.use_of_bits(layers), out, "utilization")
    if not as_json:
        heads = ("layer", "bits", "a", "formula", *(analysis.NAMES[kind] for kind in layers[0].measured))
        rows = [
            (u.layer, u.bits, u.a, f"{u.expected:.1%}", *(f"{share:.1%}" for share in u.measured.values()))
            for u in layers
        ]
        show.table("Use of the bits (Eq. 8)", heads, rows)
    tell(paths, [layer._asdict() for layer in layers], as_json)


@app.command()
def scores(
    checkpoint: File,
    data: Data = "",
    path: Where = "",
    out: Folder = FIGURES,
    batches: Annotated[int, typer.Option("--batches", min=2, help="Batches that are compared.")] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images of a batch.")] = 32,
    as_json: Json = False,
) -> None:
    """Scores of channels over batches, SCA and SVS, and AvgCosS (Eq. 15; Figs. 3, 5b, 13 to 18)."""
    drawing = drawing_of()
    loaded = load_trained(checkpoint)
    choice = data_of(checkpoint, loaded, data, path)
    images = choice.part("train", batches * batch)
    layers = analysis.stabilities(loaded.model, images, batches=batches, batch=batch)
    paths = drawing.save(drawing.scores(layers), out, "scores", str(choice))
    if not as_json:
        rows = [(layer.layer, *(f"{layer.average_cosine[kind]:.5f}" for kind in ("sca", "svs"))) for layer in layers]
        show.table("AvgCosS (Eq. 15)", ("layer", "SCA", "SVS"), rows, choice)
    tell(paths, [{"layer": layer.layer, **layer.average_cosine} for layer in layers], as_json, choice.figures)


@app.command()
def front(
    results: Annotated[list[Path], typer.Argument(help="JSON files: lists of size_mb, accuracy, label, group.")],
    out: Folder = FIGURES,
    dataset: Annotated[str, typer.Option("--printed", help="Also the paper's figures, of a dataset (cifar10).")] = "",
    as_json: Json = False,
) -> None:
    """Accuracy against size (Fig. 1), of results in JSON, with the paper's printed figures beside them."""
    points = [point for file in results for point in _points(file)]
    printed = [
        {"size_mb": cell.size_mb, "accuracy": cell.accuracy, "label": f"{row.network} {row.rate:g}, {bits} bits"}
        for row in TABLE_1.values()
        for bits, cell in row.printed.items()
        if row.dataset == dataset
    ]
    drawing = drawing_of()
    named = [described(used) for used in (point.get("data") for point in points) if used]
    words = "; ".join(dict.fromkeys(named))
    tell(drawing.save(drawing.front(points, printed), out, "front", words), points, as_json)


@app.command()
def compression(
    results: Annotated[Path, typer.Argument(help="results.json of compress-sweep.")],
    out: Folder = FIGURES,
    at: Annotated[float, typer.Option("--at", help="Sparsity at which bits are compared.")] = 0.97,
    as_json: Json = False,
) -> None:
    """Accuracy against sparsity and against bits, each method of `compress-sweep`, with its spread over seeds."""
    from qpsnn_core.experiments import compression_sweep
    from qpsnn_core.experiments.runs import read_results

    made_by, found = read_results(results, compression_sweep.Result, "the results of a sweep")
    used = made_by.get("data") or of_recipe(made_by["recipe"])
    rows = compression_sweep.table(found)
    there = sorted({row.sparsity for row in rows})
    if at not in there:
        raise ConfigError(expected("--at", f"one of {', '.join(map(str, there))}", at))
    drawing = drawing_of()
    dense = 100 * sum(one.dense for one in found) / len(found)
    words = described(used) if used["name"] else ""
    paths = drawing.save(drawing.compression(rows, dense, at), out, "compression", words)
    tell(paths, [row._asdict() for row in rows], as_json, used)


def _points(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        kinds = (("size_mb", float), ("accuracy", float), ("label", str), ("group", str))
        return [
            {**{key: kind(point[key]) for key, kind in kinds}, **({"data": _data(point)} if "data" in point else {})}
            for point in found
        ]
    except (OSError, AttributeError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{file}: not a list of size_mb, accuracy, label, group: {error}") from error


def _data(point: dict[str, Any]) -> dict[str, Any]:
    """What a point says of its data."""
    used = point["data"]
    images = {str(part): int(count) for part, count in used["images"].items()}
    return {**{key: str(used[key]) for key in ("name", "path", "frames") if key in used}, "images": images}


def drawing_of() -> Any:
    """The module that draws. MissingError where Matplotlib is not installed."""
    try:
        from qpsnn_core.experiments.plots import analysis as plot_analysis
    except ImportError as error:
        raise missing_extra("plot", "matplotlib, which draws", "plot", error) from error
    return plot_analysis


def tell(paths: list[Path], figures: Any, as_json: bool, data: dict[str, Any] | None = None) -> None:
    """Print the files, or them and the figures as JSON. data: what the figures are of, where they are of any."""
    if as_json:
        used = {"data": data} if data else {}
        show.print_json({"files": [str(path) for path in paths], **used, "figures": figures})
        return
    for path in paths:
        show.out.print(str(path), highlight=False, soft_wrap=True)
