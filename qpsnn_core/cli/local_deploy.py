"""`qpsnn export --c` and `qpsnn simulate` of networks that learnt locally."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import LOCAL
from qpsnn_core.common.hdf5 import file_kind
from qpsnn_core.experiments.data_choice import NAMED, DataChoice
from qpsnn_core.experiments.local_deployment import Deployed, load_deployed, local_agreement
from qpsnn_core.integer.local.backends import local_backend
from qpsnn_core.integer.local.networks import TESTED
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import source_of


def is_local(file: Path) -> bool:
    """Whether it is a file of local learning."""
    return file.is_file() and file_kind(file) == LOCAL


def simulate(file: Path, backend: str, data: str, path: str, limit: int, json: bool, quiet: bool) -> None:
    """Run it on a backend; status 1 where a stored variable differs from the exact simulator's."""
    chosen, loaded = local_backend(backend), load_deployed(file)
    chosen.check(loaded.network)
    choice = _data(file, loaded, data, path)
    begun = time.perf_counter()
    with show.bars(quiet) as listen:
        found = local_agreement(loaded, choice.part("test", limit), chosen, listen)
    mismatches = found.mismatches
    figures: dict[str, Any] = {"backend": backend, "formats": loaded.network.form, **asdict(found)}
    figures["seconds"] = time.perf_counter() - begun
    if json:
        show.print_json({"data": choice.figures, **figures})
    else:
        rows = [(name, value) for name, value in figures.items() if name != "mismatches"]
        rows += [(f"differ: {name}", count) for name, count in mismatches.items()]
        show.table(f"{file} on {backend}", ("figure", "value"), rows, choice)
    if any(mismatches.values()):
        raise typer.Exit(1)


def export_c(file: Path, folder: Path, name: str, data: str, path: str, vectors: int, json: bool) -> None:
    """Write it as C99; its check takes samples of test images (`data`), else noise."""
    from qpsnn_backends.c.local.export import export_local as export
    from qpsnn_backends.c.local.export import noise

    loaded = load_deployed(file)
    choice = _data(file, loaded, data, path) if data else None
    samples = loaded.samples(choice.part("test", vectors).images, TESTED) if choice else noise(loaded.network, vectors)
    done = export(loaded.network, folder, name, samples, TESTED)
    used = choice.figures if choice else {"name": "noise", "path": "", "images": {"drawn": vectors}}
    network = loaded.network
    figures = {**asdict(done), "formats": network.form, "memory_bits": network.bits}
    figures["memory"] = network.bits / loaded.float_bits
    if json:
        show.print_json({**figures, "data": used})
        return
    rows = [
        ("formats", network.form),
        ("bits of weights and neurons", network.bits),
        ("of float32's", f"{figures['memory']:.4f}"),
        ("constants, bytes of flash besides the code", done.constants),
        ("state, bytes of RAM", done.state),
        ("scratch, bytes of RAM", done.scratch),
        (f"samples to test with, of {used['name']}", done.vectors),
    ]
    show.table(f"{file}: {', '.join(done.files)}", ("figure", "value"), rows)
    show.out.print(f"make -C {done.folder} check", highlight=False, soft_wrap=True)


def _data(file: Path, loaded: Deployed, data: str, path: str) -> DataChoice:
    """The data that options name, else those of the file's recipe. ConfigError where there are none."""
    config = loaded.data
    if data:
        source = source_of(data, path)
        config = DataConfig(source.name, source.path)
    elif path:
        config = DataConfig(**{**asdict(config), "path": path})
    if not config.name:
        raise ConfigError(expected(f"{file}: data.name", NAMED, Unquoted("none")))
    return DataChoice(config, loaded.steps)
