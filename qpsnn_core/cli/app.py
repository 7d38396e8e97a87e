"""The commands: each reads a file, calls one public verb, writes a file, and prints what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qpsnn_core as qp
from qpsnn_core.cli import (
    compress,
    download,
    events,
    export,
    local,
    local_deploy,
    local_plots,
    loihi,
    predict,
    prune,
    run,
    show,
    stream,
    studies,
    tables,
    train,
)
from qpsnn_core.cli.compiling import notice
from qpsnn_core.cli.inputs import (
    data_of,
    load_any,
    load_trained,
    recipe_of,
    settings_from,
)
from qpsnn_core.cli.options import (
    Data,
    File,
    Json,
    Limit,
    Out,
    OwnData,
    OwnLimit,
    Quiet,
    Threads,
    Where,
)
from qpsnn_core.common.errors import ConfigError, Unquoted, expected

app = typer.Typer(
    help="Quantized and pruned spiking neural networks: train, compress, lower to integers, run on Lava.",
    no_args_is_help=True,
    rich_markup_mode=None,  # it would take words in brackets for styles
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(tables.app, name="table")
app.add_typer(local_plots.app, name="plot")
app.add_typer(events.app, name="events")


def _version(wanted: bool) -> None:
    if wanted:
        show.out.print(f"qpsnn {qp.__version__}", highlight=False)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def settings(context: typer.Context, threads: Threads = 0, version: Version = False) -> None:
    """Settings of every command."""
    context.with_resource(notice())
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
    """Train, prune, fine-tune, lower to integers and run on Lava: the whole of qpsnn on scikit-learn's digits."""
    from qpsnn_core.cli.demo import write_demo

    write_demo(out, events=events, images=images, backend=backend, as_json=json, quiet=quiet)


app.command()(run.run)
app.command()(train.train)
app.command()(train.lr)
app.command()(train.finetune)


@app.command()
def evaluate(
    file: File,
    data: Data = "",
    path: Where = "",
    limit: Limit = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Accuracy on the test images, of a checkpoint, an integer network or a network that learnt locally."""
    if local.evaluated(file, data, path, limit, json, quiet):
        return
    loaded = load_any(file)
    choice = data_of(file, loaded, data, path)
    images = choice.part("test", limit)
    with show.bars(quiet) as listen:
        result = qp.evaluate(loaded.model if isinstance(loaded, qp.Checkpoint) else loaded, images, progress=listen)
    figures = {
        "data": choice.figures,
        **result.figures,
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
    show.table(str(file), ("figure", "value"), rows, choice)


@app.command()
def report(
    checkpoint: File,
    data: Data = "",
    path: Where = "",
    limit: Limit = 256,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What a checkpoint costs: parameters, bits and size (Eq. 16), operations and energy per image, layer by layer."""
    from qpsnn_core.cli.report import show_cost

    loaded = load_trained(checkpoint)
    choice = data_of(checkpoint, loaded, data, path)
    with show.bars(quiet) as listen:
        measured = qp.evaluate(loaded.model, choice.part("test", limit), progress=listen)
    show_cost(str(checkpoint), loaded.model, measured, choice, json)


@app.command()
def lower(
    checkpoint: File,
    out: Out = Path("network.h5"),
    fraction_bits: Annotated[
        int, typer.Option(min=-1, max=16, help="Binary digits after the point; -1: the recipe's.")
    ] = -1,
    readout_bits: Annotated[int, typer.Option(min=0, max=16, help="The same for the readout.")] = 12,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn a checkpoint into an integer network, and say what rounding changed."""
    loaded = load_trained(checkpoint)
    bits = fraction_bits if fraction_bits >= 0 else recipe_of(loaded).lower.fraction_bits
    settings = {"fraction_bits": bits, "readout_bits": readout_bits}
    show.settings("lower", settings, settings_from(loaded, "lower"), quiet)
    with show.bars(quiet):
        lowered = qp.lower(loaded.model, fraction_bits=bits, readout_bits=readout_bits)
    qp.save_integer(out, lowered.network)
    if json:
        made = {"network": str(out), "bytes": out.stat().st_size, "settings": settings}
        show.print_json({**made, "report": lowered.report.to_dict()})
        return
    show.out.print(str(lowered.report), highlight=False, soft_wrap=True)
    show.out.print(f"{out}: {out.stat().st_size:,} bytes", highlight=False, soft_wrap=True)


@app.command()
def simulate(
    network: Annotated[Path, typer.Argument(help="An integer network, or one that learnt locally in fixed point.")],
    backend: Annotated[str, typer.Option("--backend", help="exact, lava or c.")] = "exact",
    stock: Annotated[bool, typer.Option("--stock", help="Of lava: its own LIF, Conv and Dense alone.")] = False,
    data: OwnData = "",
    path: Where = "",
    limit: OwnLimit = 100,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run an integer network on a backend, and compare it with the exact simulator, spike for spike."""
    from qpsnn_core.cli.predict import compare

    if local_deploy.is_local(network):
        if stock:
            want = "integer networks with --stock: networks that learnt locally need neurons that Lava has not"
            raise ConfigError(expected("simulate", want, Unquoted(str(network))))
        local_deploy.simulate(network, backend, data, path, limit, json, quiet)
        return
    loaded = qp.load_integer(network)
    choice = data_of(network, loaded, data, path)
    with show.bars(quiet):
        figures = compare(loaded, choice.part("test", limit), backend, stock)
    if json:
        show.print_json({"data": choice.figures, **figures})
    else:
        show.table(f"{network} on {backend}", ("figure", "value"), list(figures.items()), choice)
    if figures["spike_mismatches"] or figures["readout_mismatches"]:
        raise typer.Exit(1)


for command in (prune.score, prune.prune, local.learn, local.qspinn):
    app.command()(command)
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
