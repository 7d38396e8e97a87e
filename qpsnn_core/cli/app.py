"""The commands: each reads a file, calls one public verb, writes a file, and prints what came out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

import qpsnn_core as qp
from qpsnn_core.cli import compress, download, events, export, loihi, plots, predict, show, stream, studies, tables
from qpsnn_core.cli.inputs import data_of, images_of, load_any, load_trained, recipe_for, recipe_of, with_prune
from qpsnn_core.cli.options import Data, File, Json, Limit, Out, Quiet, Resume, Threads, Where
from qpsnn_core.experiments.stages import augmentation, network_for, prune_as, score_as
from qpsnn_core.recipes.paper_rates import PAPER_SETS
from qpsnn_core.recipes.recipe import Recipe

app = typer.Typer(
    help="Quantized and pruned spiking neural networks: train, compress, lower to integers, run on Lava.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(tables.app, name="table")
app.add_typer(plots.app, name="plot")
app.add_typer(events.app, name="events")


@app.callback()
def settings(threads: Threads = 0) -> None:
    """Settings of every command."""
    if threads:
        qp.set_threads(threads)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.json and report.png.")] = Path("demo"),
    images: Annotated[int, typer.Option("--lava-images", min=1, help="Test images that run on Lava.")] = 100,
    backend: Annotated[str, typer.Option("--backend", help="lava, or exact where there is no Lava.")] = "lava",
    events: Annotated[bool, typer.Option("--events", help="The digits as an event camera sees them.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train, prune, fine-tune, lower to integers and run on Lava: the whole of qpsnn on one small set."""
    from qpsnn_core.cli.demo import write_demo

    write_demo(out, events=events, images=images, backend=backend, as_json=json, quiet=quiet)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    out: Out = Path("trained.h5"),
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network as a recipe says; Ctrl-C leaves a checkpoint that --resume goes on from."""
    chosen = qp.load_recipe(recipe)
    data = data_of(chosen)
    _fit("train", network_for(chosen, data), chosen.train, chosen, data, out, resume, json, quiet)


@app.command()
def finetune(
    checkpoint: File,
    out: Out = Path("tuned.h5"),
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Instead of the recipe's.")] = 0,
    lr: Annotated[float, typer.Option("--lr", min=0.0, help="Learning rate, instead of the recipe's.")] = 0.0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="T from now on; else the recipe's, or as it is.")] = 0,
    resume: Resume = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a pruned (or any other) checkpoint further, as its recipe's table [finetune] says."""
    loaded = load_trained(checkpoint)
    recipe = recipe_of(loaded)
    given: dict[str, Any] = {name: value for name, value in (("epochs", epochs), ("lr", lr), ("steps", steps)) if value}
    recipe = replace(recipe, finetune=replace(recipe.finetune, **given))
    data = data_of(recipe)
    _fit("finetune", loaded.model, recipe.finetune, recipe, data, out, resume, json, quiet)


def _fit(
    stage: str, start: Any, settings: Any, recipe: Recipe, data: Any, out: Path, resume: bool, json: bool, quiet: bool
) -> None:
    verb = qp.train if stage == "train" else qp.finetune
    options: dict[str, Any] = {
        "augment": augmentation(recipe.data),
        "checkpoint": out,
        "resume": resume,
        "recipe": recipe.to_dict(),
    }
    try:
        with show.bars(quiet) as listen:
            done = verb(start, data, settings, progress=listen, **options)
    except KeyboardInterrupt:
        show.log(f"stopped; the same command with --resume goes on from {out}")
        raise typer.Exit(130) from None
    if json:
        show.print_json({"checkpoint": str(out), "history": [asdict(epoch) for epoch in done.history]})
        return
    heads = ("epoch", "loss", "train", "test", "lr", "firing rate", "seconds")
    shown = done.history[-10:]
    rows = [(str(e.epoch), e.loss, e.accuracy, e.validation, e.lr, e.firing_rate, e.seconds) for e in shown]
    show.table(f"{stage}: {out}", heads, rows)


@app.command()
def score(
    checkpoint: File,
    criterion: Annotated[str, typer.Option(help="svs or sca; else the recipe's.")] = "",
    batches: Annotated[int, typer.Option(min=0, help="Batches to average; 0: the recipe's.")] = 0,
    json: Json = False,
) -> None:
    """Rank the channels of every layer, and say how stable the ranking is over batches (Eq. 15)."""
    loaded = load_trained(checkpoint)
    recipe = with_prune(recipe_of(loaded), criterion=criterion, batches=batches)
    scores = score_as(recipe, loaded.model, data_of(recipe).train)
    several = all(len(each) > 1 for each in scores.batches.values())
    stable: dict[str, float | None] = dict(qp.stability(scores)) if several else dict.fromkeys(scores.values)
    if json:
        show.print_json({"criterion": scores.criterion, "scores": scores.values, "stability": stable})
        return
    rows = [
        (name, len(values), len(set(values.tolist())), values.min(), values.mean(), values.max(), stable[name])
        for name, values in scores.values.items()
    ]
    show.table(
        f"scores: {scores.criterion}", ("layer", "channels", "distinct", "lowest", "mean", "highest", "AvgCosS"), rows
    )


@app.command()
def prune(
    checkpoint: File,
    out: Out = Path("pruned.h5"),
    rates: Annotated[
        str, typer.Option(help="One number, name=number,... or a set such as cifar10-0.51; else the recipe's.")
    ] = "",
    criterion: Annotated[str, typer.Option(help="svs or sca; else the recipe's.")] = "",
    json: Json = False,
) -> None:
    """Remove the channels that score lowest."""
    loaded = load_trained(checkpoint)
    recipe = with_prune(recipe_of(loaded), criterion=criterion, rates=_rates(rates) if rates else None)
    data = data_of(recipe).train
    scores = score_as(recipe, loaded.model, data)
    pruned = prune_as(recipe, loaded.model, scores, data)
    notes = {**loaded.notes, "pruned": {"from": str(checkpoint), "kept": {k: len(v) for k, v in pruned.kept.items()}}}
    qp.save_checkpoint(out, qp.Checkpoint(pruned.model, recipe=loaded.recipe, notes=notes))
    rows = [(name, len(scores.values[name]), len(kept)) for name, kept in pruned.kept.items()]
    if json:
        show.print_json({"checkpoint": str(out), "layers": {name: [old, new] for name, old, new in rows}})
        return
    show.table(f"pruned: {out}", ("layer", "channels", "kept"), rows)


def _rates(text: str) -> Any:
    if text in PAPER_SETS:
        return qp.paper_rates(text)
    try:
        if "=" not in text:
            return float(text)
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise qp.errors.ConfigError(
            qp.errors.expected("--rates", "a number, name=number,... or a set of the paper's", text)
        ) from error


@app.command()
def evaluate(
    file: File,
    data: Data = "",
    path: Where = "",
    limit: Limit = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy on the test images, of a checkpoint or an integer network."""
    model, recipe = load_any(file)
    images = images_of(recipe, data, path, limit)
    with show.bars(quiet) as listen:
        result = qp.evaluate(model, images, limit=limit or None, progress=listen)
    figures = {
        "accuracy": result.accuracy,
        "images": result.images,
        "loss": result.loss,
        "firing_rate": result.firing_rate,
        "spikes_per_image": result.spikes_per_image,
        "firing_rates": result.firing_rates,
    }
    if json:
        show.print_json(figures)
        return
    rows = [(name, value) for name, value in figures.items() if not isinstance(value, dict)]
    show.table(str(file), ("figure", "value"), rows)


@app.command()
def report(
    checkpoint: File,
    data: Data = "",
    path: Where = "",
    limit: Limit = 256,
    json: Json = False,
) -> None:
    """What a checkpoint costs: parameters, bits and size (Eq. 16), operations and energy per image, layer by layer."""
    from qpsnn_core.cli.report import show_cost

    loaded = load_trained(checkpoint)
    images = images_of(recipe_of(loaded), data, path, limit)
    show_cost(str(checkpoint), loaded.model, qp.evaluate(loaded.model, images, limit=limit or None), json)


@app.command()
def lower(
    checkpoint: File,
    out: Out = Path("network.h5"),
    fraction_bits: Annotated[
        int, typer.Option(min=-1, max=16, help="Binary digits after the point; -1: the recipe's.")
    ] = -1,
    readout_bits: Annotated[int, typer.Option(min=0, max=16, help="The same for the readout.")] = 12,
    json: Json = False,
) -> None:
    """Turn a checkpoint into an integer network, and say what rounding changed."""
    loaded = load_trained(checkpoint)
    bits = fraction_bits if fraction_bits >= 0 else recipe_of(loaded).lower.fraction_bits
    lowered = qp.lower(loaded.model, fraction_bits=bits, readout_bits=readout_bits)
    qp.save_integer(out, lowered.network)
    if json:
        show.print_json({"network": str(out), "bytes": out.stat().st_size, "report": lowered.report.to_dict()})
        return
    show.out.print(str(lowered.report), highlight=False, soft_wrap=True)
    show.out.print(f"{out}: {out.stat().st_size:,} bytes", highlight=False, soft_wrap=True)


@app.command()
def simulate(
    network: Annotated[Path, typer.Argument(help="An integer network.")],
    backend: Annotated[str, typer.Option("--backend", help="exact, lava or c.")] = "exact",
    stock: Annotated[bool, typer.Option("--stock", help="Of lava: its own LIF, Conv and Dense alone.")] = False,
    data: Data = "digits",
    path: Where = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Run an integer network on a backend, and compare it with the exact simulator, spike for spike."""
    from qpsnn_core.cli.predict import compare

    loaded = qp.load_integer(network)
    images = images_of(recipe_for(loaded), data, path, limit).limited(limit or None)
    figures = compare(loaded, images, backend, stock)
    if json:
        show.print_json(figures)
    else:
        show.table(f"{network} on {backend}", ("figure", "value"), list(figures.items()))
    if figures["spike_mismatches"] or figures["readout_mismatches"]:
        raise typer.Exit(1)


app.command()(compress.compress)
app.command("compress-sweep")(compress.compress_sweep)
app.command()(studies.ablate)
app.command()(studies.front)
app.command()(studies.crossvalidate)
app.command()(studies.audit)
app.command()(download.download)
app.command()(stream.stream)
app.command()(predict.predict)
app.command()(loihi.loihi)
app.command()(export.export)
app.command("import")(export.read)
