"""`qpsnn run`: everything that a recipe has tables for, one table at the end; and how the demo's table is printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.cli.options import Json, Quiet
from qpsnn_core.experiments.data_choice import described
from qpsnn_core.experiments.pipeline.run import REPORT, RunReport, shown


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of all results; a stopped run goes on there.")
    ] = Path("run"),
    anew: Annotated[
        str, typer.Option("--anew", help="Do this stage, and those that begin from it, again: train, prune, ...")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do everything that a recipe has tables for: train, prune, fine-tune, compress, lower, simulate, export.

    What is finished is not done again. Exit status 1 if a backend differs from the exact simulator.
    """
    log = (lambda text: None) if quiet else show.log
    with show.bars(quiet) as listen:
        try:
            done = qp.run(recipe, out, anew=anew, progress=listen, log=log)
        except KeyboardInterrupt:
            show.log(f"stopped; the same command goes on in {out}")
            raise
    if json:
        show.print_json(done.to_dict())
    else:
        print_run(done, f"qpsnn run {recipe}", out)
    if not done.agrees:
        raise typer.Exit(1)


def print_run(done: RunReport, title: str, out: Path) -> None:
    """The table, what lowering and backends changed, and what was written."""
    print_rows(title, done)
    figures = done.figures
    if "lower" in figures:
        print_agreement(
            "trained against integer", figures["lower"]["trained_against_integer"], " (rounding to integers)"
        )
    for name, one in figures.get("simulate", {}).get("backends", {}).items():
        print_agreement(f"integer against {name.capitalize()}", one)
    for one in figures.get("export", {}).get("exports", {}).values():
        show.out.print(f"written: {out / one.get('folder', one.get('file'))}", highlight=False, soft_wrap=True)
    show.out.print(f"written: {out / REPORT}", highlight=False, soft_wrap=True)


def print_rows(title: str, done: RunReport) -> None:
    """A row for each stage that has a network."""
    heads = (
        "stage",
        "images",
        *done.rows[0].figures,
        "parameters",
        "size (Eq. 16)",
        "SOPs/image",
        "energy/image",
        "firing rate",
    )
    rows = [
        (
            row.name,
            row.images,
            *shown(row),
            row.parameters,
            f"{row.size_mb * 1000:,.1f} kB",
            f"{row.sops / 1e6:.3f} M",
            f"{row.energy_mj * 1000:.3f} µJ",
            f"{row.firing_rate:.1%}",
        )
        for row in done.rows
    ]
    show.table(title, heads, rows, described(done.data))


def print_agreement(what: str, found: Mapping[str, Any], because: str = "") -> None:
    """How many spikes differ, of two runs over the same images, in one line."""
    text = f"{what}: {found['spike_mismatches']:,} of {found['spikes']:,} spikes differ"
    if found["readout_mismatches"] is None and found["answer_mismatches"] is None:
        text += because
    elif found["readout_mismatches"] is None:
        text += f", and {found['answer_mismatches']} of {found['images']} answers{because}"
    else:
        text += f", {found['membrane_mismatches']:,} membranes and {found['readout_mismatches']:,} readouts"
        text += f", over {found['images']} images"
    show.out.print(text, highlight=False, soft_wrap=True)
