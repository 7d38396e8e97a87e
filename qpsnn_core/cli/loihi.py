"""`qpsnn loihi`: what an integer network takes of a Loihi chip, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.inputs import data_of
from qpsnn_core.cli.options import Json, Where
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.experiments.data_choice import DataChoice


def loihi(
    network: Annotated[Path, typer.Argument(help="An integer network.")],
    chip: Annotated[str, typer.Option("--chip", help="loihi1 or loihi2.")] = "loihi2",
    data: Annotated[str, typer.Option("--data", help="Images to measure spikes on, as for simulate; else none.")] = "",
    path: Where = "",
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many images, each class in proportion.")
    ] = 64,
    json: Json = False,
) -> None:
    """Map an integer network to a chip's cores: what each resource needs and has; exit status 1 if it does not fit."""
    from qpsnn_backends.loihi.report import report
    from qpsnn_core.integer.file import load_integer
    from qpsnn_core.integer.simulate import simulate

    loaded = load_integer(network)
    counts, images, choice = None, 0, None
    if data:
        choice = data_of(network, loaded, data, path)
        test = choice.part("test", limit)
        counts, images = simulate(loaded, steps_first(test.images)).counts, len(test)
    found = report(loaded, chip, counts, images)
    if json:
        show.print_json({"data": choice.figures if choice else None, **found.to_dict()})
    else:
        _print(str(network), found, choice)
    if not found.fits:
        raise typer.Exit(1)


def _print(title: str, found: Any, choice: DataChoice | None) -> None:
    heads = (
        "layer",
        "runs on",
        "tile (H×W×C)",
        "cores",
        "neurons",
        "in-axons",
        "out-axons",
        "synapse bits",
        "thresholds",
    )
    rows = [
        (
            layer.name,
            layer.where,
            "×".join(map(str, layer.tile)),
            layer.cores,
            *([_of(use) for use in layer.uses if use.resource.endswith("per core")] or ["-"] * 5),
        )
        for layer in found.layers
    ]
    show.table(f"{title} on {found.chip.name}: the fullest core of each layer (used of maximum)", heads, rows)
    values = [use for layer in found.layers for use in layer.uses if not use.resource.endswith("per core")]
    marked = [(use.place, use.resource, _of(use), "yes" if use.fits else "NO") for use in (*values, *found.totals)]
    show.table("integers, and the chip", ("where", "resource", "used of maximum", "fits"), marked)
    if found.activity is not None:
        now = found.activity
        figures = [
            *((f"spikes per step: {name}", spikes) for name, spikes in now.spikes.items()),
            ("synaptic operations per image", now.synapses),
            ("messages per image", now.messages),
            ("neuron updates per image", now.updates),
            ("energy per image, µJ (estimate)", now.energy_uj),
        ]
        show.table("measured", ("figure", "value"), figures, choice)
    for text in _remarks(found):
        show.out.print(text, highlight=False, soft_wrap=True)


def _remarks(found: Any) -> list[str]:
    lines = [f"refused: {reason}" for reason in found.refused]
    for use in found.problems:
        over = f"{use.used:,} of {use.maximum:,}"
        lines.append(f"does not fit: {use.place}: {use.resource}: {over}; {use.remedy} [{use.source}]")
    lines += [f"note: {note}" for note in found.chip.notes]
    lines.append("note: ? marks a limit from secondary sources; energy figures are Loihi 1's (Davies 2018, Table 2)")
    lines.append("it fits" if found.fits else "it does not fit")
    return lines


def _of(use: Any) -> str:
    limit = "-" if use.maximum is None else f"{use.maximum:,}"
    return f"{use.used:,} / {limit}{'' if use.certain else ' ?'}"
