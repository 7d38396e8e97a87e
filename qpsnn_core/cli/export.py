"""`qpsnn export`: an integer network as source for other machines."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.files import data_of
from qpsnn_core.cli.options import Json, Where
from qpsnn_core.config import Recipe
from qpsnn_core.integer.file import load_integer


def export(
    network: Annotated[Path, typer.Argument(help="An integer network.")],
    c: Annotated[Path, typer.Option("--c", help="Folder for the C99 file, its header, test vectors and Makefile.")],
    name: Annotated[str, typer.Option("--name", help="What its functions begin with; else the network's file.")] = "",
    data: Annotated[str, typer.Option("--data", help="Test vectors from a set, as for simulate; else noise.")] = "",
    path: Where = "",
    vectors: Annotated[int, typer.Option("--vectors", min=1, help="Inputs to check with.")] = 100,
    json: Json = False,
) -> None:
    """Write a network as one C99 file, integers only, with a Makefile that checks it against the exact simulator."""
    from qpsnn_backends.c.export import export as write
    from qpsnn_backends.c.vectors import noise
    from qpsnn_core.evaluation import steps_first

    loaded = load_integer(network)
    images = steps_first(data_of(Recipe(), data, path, vectors).test.images) if data else noise(loaded, vectors)
    done = write(loaded, c, name or _identifier(network), images)
    if json:
        show.print_json(asdict(done))
        return
    rows = [
        ("constants, bytes of flash besides the code", done.constants),
        ("state, bytes of RAM", done.state),
        ("scratch, bytes of RAM", done.scratch),
        ("test inputs", done.vectors),
    ]
    show.table(f"{network}: {', '.join(done.files)}", ("figure", "value"), rows)
    show.out.print(f"make -C {done.folder} check", highlight=False, soft_wrap=True)


def _identifier(network: Path) -> str:
    """The file's name, as an identifier."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", network.stem)[:31]
    return plain if plain[:1].isalpha() and plain != "check" else f"network_{plain}"[:31]
