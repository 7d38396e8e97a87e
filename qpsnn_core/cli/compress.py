"""`qpsnn compress`: prune and quantize a trained checkpoint in one shot; `qpsnn compress-sweep`: the whole grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, data_of_recipe, load_trained, with_data
from qpsnn_core.cli.options import Data, File, Folds, Json, Limit, Out, Quiet, Where
from qpsnn_core.common.errors import ConfigError, FileError, Unquoted, expected
from qpsnn_core.network.sparse_storage import stored

Images = Annotated[int, typer.Option("--images", min=1, help="Training images for calibration.")]
Damping = Annotated[float, typer.Option("--damping", min=0.0, help="Of the Hessian, times its mean diagonal.")]
Ratios = Annotated[str, typer.Option("--ratios", help="Which layer loses how much: lamps or uniform.")]
Scale = Annotated[str, typer.Option("--scale", help="Of integers: max, from the largest weight, or search.")]

Number = TypeVar("Number", int, float)

FULL = 32
BATCH = 64


def compress(
    checkpoint: File,
    out: Out = Path("compressed.h5"),
    sparsity: Annotated[float, typer.Option("--sparsity", help="Share of all weights to prune, 0 to below 1.")] = 0.0,
    bits: Annotated[int, typer.Option("--bits", help="Per weight, 2 to 8; 32: they stay in floating point.")] = FULL,
    method: Annotated[str, typer.Option("--method", help="osbc, obc, magnitude, or rtn (only rounds).")] = "osbc",
    ratios: Ratios = "lamps",
    scale: Scale = "max",
    images: Images = 1024,
    damping: Damping = 0.01,
    recalibrate: Annotated[bool, typer.Option("--recalibrate", help="Take batch norm's statistics anew.")] = False,
    data: Data = "",
    path: Where = "",
    limit: Limit = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prune single weights, and quantize the others, in one shot after training (OSBC)."""
    from qpsnn_core.compression.weights.osbc import check_target
    from qpsnn_core.engine.pricing import nonzero

    wanted = None if bits == FULL else bits
    check_target(sparsity, wanted, method, ratios, scale)
    if not out.parent.is_dir():
        raise FileError(expected(str(out), "a file in a folder that is there", Unquoted("no such folder")))
    loaded = load_trained(checkpoint)
    choice = data_of(checkpoint, loaded, data, path)
    train = choice.part("train", limit)
    options = {"ratios": ratios, "scale": scale, "damping": damping}
    show.settings("compress", {"method": method, "images": images, **options}, "options", quiet)
    with show.bars(quiet) as listen:
        done = qp.compress(
            loaded.model,
            train.limited(images),
            sparsity=sparsity,
            bits=wanted,
            method=method,
            batches=-(-images // BATCH),
            batch=BATCH,
            progress=listen,
            **options,  # type: ignore[arg-type] # two words and a number
        )
        model = qp.recalibrate(done.model, train, progress=listen) if recalibrate else done.model
    masks = nonzero(model)
    rows = [(*layer, stored(masks[layer.name], layer.bits or FULL).form) for layer in done.layers]
    heads = (*done.layers[0]._fields, "form")
    figures = {
        "checkpoint": str(out),
        "from": str(checkpoint),
        "data": choice.figures,
        "settings": {**options, "batch": BATCH, "recalibrate": recalibrate},
        "method": method,
        "sparsity": done.sparsity,
        "bits": wanted,
        "images": min(images, len(train)),
        "seconds": done.seconds,
        "size_mb": qp.cost(model.network, masks=masks).size_mb,
        "dense_mb": qp.cost(loaded.model.network).size_mb,
        "layers": [dict(zip(heads, row, strict=True)) for row in rows],
    }
    notes = {**loaded.notes, "compressed": figures}
    made_by = with_data(loaded, choice)
    qp.save_checkpoint(out, qp.Checkpoint(model, recipe=made_by, notes=notes, data=loaded.data))
    if json:
        show.print_json(figures)
        return
    show.table(f"compressed: {out}", heads, rows)
    hidden = ("layers", "from", "data", "settings")
    show.table("in all", ("figure", "value"), [(k, v) for k, v in figures.items() if k not in hidden], choice)


def compress_sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML; its network is trained in floating point.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of results; what it has is not run again.")] = Path(
        "sweep"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0, 1, ... of each network.")] = 1,
    methods: Annotated[str, typer.Option("--methods", help="Some of osbc,obc,magnitude,rtn; else all.")] = "",
    sparsities: Annotated[str, typer.Option("--sparsities", help="Shares, such as 0,0.5,0.9,0.97.")] = "",
    bits: Annotated[str, typer.Option("--bits", help="Such as 32,8,4,2; 32: floating point.")] = "",
    ratios: Ratios = "lamps",
    scale: Scale = "max",
    images: Images = 1024,
    damping: Damping = 0.01,
    folds: Folds = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Every method at every sparsity and number of bits, over seeds; stopped, it goes on where it was."""
    from qpsnn_core.experiments import compression_sweep

    usual = compression_sweep.Settings()
    settings = compression_sweep.Settings(
        tuple(methods.split(",")) if methods else usual.methods,
        _numbers("--sparsities", sparsities, float) or usual.sparsities,
        _numbers("--bits", bits, int) or usual.bits,
        ratios,
        scale,
        images,
        damping,
        folds or None,
    )
    chosen = qp.load_recipe(recipe)
    choice = data_of_recipe(recipe, chosen)
    log = (lambda text: None) if quiet else show.log
    with show.bars(quiet) as listen:
        results = compression_sweep.run_compression_sweep(
            chosen, choice.split(), out, settings, seeds=seeds, progress=listen, log=log
        )
    rows = compression_sweep.table(results)
    if json:
        tables = {"data": choice.figures, "table": [r._asdict() for r in rows]}
        show.print_json({**tables, "results": [r._asdict() for r in results]})
        return
    heads = ("sparsity", "bits", "method", "seeds", "accuracy, %", "lost, points", "spread", "seconds")
    cells = [
        (f"{r.sparsity:g}", r.bits, r.method, r.seeds, f"{r.accuracy:.2f}", f"{r.lost:.2f}", r.spread, r.seconds)
        for r in rows
    ]
    dense = ", ".join(f"{one:.2%}" for one in dict.fromkeys(result.dense for result in results))
    show.table(f"{recipe}: dense {dense}", heads, cells, choice)


def _numbers(place: str, text: str, kind: type[Number]) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(",") if part)
    except ValueError as error:
        raise ConfigError(expected(place, "numbers with commas between", text)) from error
