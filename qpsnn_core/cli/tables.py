"""`qpsnn table`: the paper's tables, computed, beside what is printed there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of, load_trained, recipe_of
from qpsnn_core.cli.options import Json, Where
from qpsnn_core.experiments.data_choice import DataChoice, described
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_datasets import source_of

app = typer.Typer(
    help="The tables of the QP-SNN paper, computed, beside the printed figures.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def sizes(json: Json = False) -> None:
    """Table 1's sizes of every QP-SNN network at 8, 4 and 2 bits; and what the saved integer file takes."""
    from qpsnn_core.experiments.paper_table1 import sizes

    rows = list(sizes())
    if json:
        show.print_json([row._asdict() for row in rows])
        return
    heads = ("set", "network", "rate", "bits", "size, MB", "printed", "difference", "integers, MB", "file, MB")
    cells = [
        (
            row.name,
            row.network,
            f"{row.rate:g}",
            row.bits,
            *(f"{value:.2f}" for value in (row.size_mb, row.printed_mb, row.difference_mb)),
            *(f"{value:.3f}" for value in (row.saved_mb, row.file_mb)),
        )
        for row in rows
    ]
    show.table("Table 1: sizes (Eq. 16, 10^6 bytes)", heads, cells)
    wrong = [f"{row.name} at {row.bits} bits by {row.difference_mb:+.2f}" for row in rows if row.difference_mb]
    show.out.print(
        f"{len(rows) - len(wrong)} of {len(rows)} agree to the printed digits; differ: {', '.join(wrong) or 'none'}"
    )


@app.command()
def detection(json: Json = False) -> None:
    """Table 5's sizes of EMS-YOLO's detector at 32 and 4 bits, and pruned: of its backbone, as printed, and in all."""
    from qpsnn_core.experiments.paper_table5 import sizes

    rows = list(sizes())
    if json:
        show.print_json([row._asdict() for row in rows])
        return
    heads = ("part", "bits", "pruned", "parameters", "size, MB", "printed", "integers, MB")
    cells = [
        (
            *(row.part, row.bits, f"{row.rate:.0%}", f"{row.parameters:,}", f"{row.size_mb:.4f}"),
            *("-" if row.printed_mb is None else f"{row.printed_mb:.2f}", f"{row.saved_mb:.3f}"),
        )
        for row in rows
    ]
    show.table(
        "Table 5: sizes (Eq. 16, 10^6 bytes); pruned: channels in the middle of the backbone's blocks", heads, cells
    )


@app.command()
def membranes(json: Json = False) -> None:
    """SpQuant-SNN's networks: memory of weights, membranes (at any T) and both, beside the published totals."""
    from qpsnn_core.experiments.membrane_memory import rows

    found = list(rows())
    if json:
        show.print_json([row._asdict() for row in found])
        return
    heads = ("network", "data", "bits", "levels", "weights, MB", "membranes, MB", "both, MB", "log2, MB", "printed, MB")
    cells = [
        (
            *(row.network, row.data, row.weight_bits, row.levels or "float"),
            *(f"{value:.3f}" for value in (row.weights_mb, row.membranes_mb, row.memory_mb, row.information_mb)),
            "-" if row.printed_mb is None else f"{row.printed_mb:.2f} ({row.printed_accuracy:.2f}%)",
        )
        for row in found
    ]
    show.table("Memory of one image at any T (10^6 bytes): weights by Eq. 16, membranes in whole bits", heads, cells)


@app.command("transformer")
@app.command("4", hidden=True)
def transformer(
    data: Annotated[str, typer.Option("--data", help="A set of 32 x 32 colour images; else noise.")] = "",
    path: Where = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Images that firing is measured on.")] = 16,
    json: Json = False,
) -> None:
    """Table 4: Spikingformer-4-384 whole and pruned at 4 bits, and 4-256: sizes exact, firing of fresh weights."""
    from qpsnn_core.experiments import paper_table4 as table

    source = source_of(data, path) if data else None
    choice = DataChoice(DataConfig(source.name, source.path)) if source else None
    rows = list(table.rows(choice.part("test", limit) if choice else None, limit))
    used = choice.figures if choice else {"name": "noise", "path": "", "images": {"drawn": limit}}
    if json:
        show.print_json([{**row._asdict(), "printed": row.printed._asdict(), "data": used} for row in rows])
        return
    sizes = ("parameters", "unused", "connections", "size, MB", "integers, MB")
    heads = ("network", "bits", *sizes, "firing", "SOPs, M", "mJ")
    cells = [
        (
            row.name,
            row.bits or 32,
            f"{row.parameters:,}",
            f"{row.unused:,}",
            f"{row.connections:.2%}",
            f"{row.size_mb:.4f}",
            "-" if row.saved_mb is None else f"{row.saved_mb:.3f}",
            f"{row.firing_rate:.1%}",
            f"{row.sops / 1e6:.2f}",
            f"{row.energy_mj:.3f}",
        )
        for row in rows
    ]
    show.table(f"Table 4: sizes computed; firing of fresh weights measured here, on {described(used)}", heads, cells)
    printed = [
        (
            row.printed.name,
            *(
                "-" if value is None else form.format(value)
                for form, value in (
                    ("{:.2%}", row.printed.connections),
                    ("{:.2f}", row.printed.size_mb),
                    ("{:.2f}", row.printed.sops),
                    ("{:.3f}", row.printed.power_mj),
                    ("{:.2f}%", row.printed.accuracy),
                )
            ),
        )
        for row in rows
    ]
    columns = ("Table 4", "connections", "size, MB", "SOPs, M", "mJ", "accuracy, CIFAR-100")
    show.table("as printed", columns, printed)


@app.command()
def efficiency(
    checkpoints: Annotated[list[Path] | None, typer.Argument(help="Trained checkpoints, a row for each.")] = None,
    data: Annotated[str, typer.Option("--data", help="As for evaluate; else the checkpoint's own, or noise.")] = "",
    path: Where = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Images that firing is measured on.")] = 16,
    json: Json = False,
) -> None:
    """Tables 6 and 7: synaptic operations and energy from measured firing, of checkpoints or of untrained networks."""
    from qpsnn_core.experiments import paper_tables6_7 as efficiency

    if checkpoints:
        loaded = [load_trained(file) for file in checkpoints]
        choices = [data_of(file, one, data, path) for file, one in zip(checkpoints, loaded, strict=True)]
        rows = [_measured(*one, limit) for one in zip(checkpoints, loaded, choices, strict=True)]
        used = [choice.figures for choice in choices]
    else:
        source = source_of(data, path) if data else None
        choice = DataChoice(DataConfig(source.name, source.path)) if source else None
        rows = list(efficiency.untrained(choice.part("test", limit) if choice else None, limit))
        noise = {"name": "noise", "path": "", "images": {"drawn": limit}}
        used = [choice.figures if choice else noise] * len(rows)
    if json:
        show.print_json([{**row._asdict(), "data": one} for row, one in zip(rows, used, strict=True)])
        return
    heads = (
        "network",
        "kind",
        "T",
        "bits",
        "connections",
        "size, MB",
        "firing",
        "SOPs/image, M",
        "SOPs/step, M",
        "mJ",
        "accuracy",
        "data",
    )
    shown: list[tuple[Any, ...]] = [
        (
            row.name,
            row.network or "-",
            row.steps,
            row.bits or 32,
            "-" if row.connections is None else f"{row.connections:.2%}",
            f"{row.size_mb:.2f}",
            f"{row.firing_rate:.1%}",
            f"{row.sops / 1e6:.2f}",
            f"{row.sops_per_step / 1e6:.2f}",
            f"{row.energy_mj:.3f}",
            "untrained" if row.accuracy is None else f"{row.accuracy:.2%}",
            described(one),
        )
        for row, one in zip(rows, used, strict=True)
    ]
    show.table(
        "Tables 6 and 7: measured here (45 nm: 0.9 pJ an addition, 4.6 pJ a multiplication with it)", heads, shown
    )
    printed = [
        (
            f"{row.name} ({row.bits or 32} bits)",
            f"{row.connections:.2%}",
            f"{row.size_mb:.2f}",
            f"{row.sops:.2f}",
            f"{row.power_mj:.3f}",
            f"{efficiency.paper_energy_mj(row):.3f}",
            f"{row.accuracy:.2f}%",
        )
        for row in efficiency.TABLE_6
    ]
    columns = ("Table 6", "connections", "size, MB", "SOPs/step, M", "mJ, printed", "mJ, by its convention", "accuracy")
    show.table("as printed", columns, printed)
    others = [(f"{method} ({kind})", steps, size, sops) for method, kind, steps, size, sops in efficiency.TABLE_7]
    show.table("others, as printed", ("Table 7", "T", "size, MB", "SOPs, M"), others)


def _measured(file: Path, loaded: Checkpoint, choice: DataChoice, limit: int) -> Any:
    """The row of a checkpoint; its kind and its whole are known where its recipe names a network of the zoo."""
    from qpsnn_core.experiments.paper_tables6_7 import measured, unpruned_network

    images = choice.part("test", limit)
    config = recipe_of(loaded).network
    if "network" not in loaded.recipe or not config.name:
        return measured(file.name, loaded.model, images)
    whole = unpruned_network(config, loaded.model.network)
    return measured(file.name, loaded.model, images, whole=whole, kind=config.name)
