"""`qpsnn export` and `qpsnn import`: networks as C for small machines, as files of other simulators, and back."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import qpsnn_core as qp
from qpsnn_core.cli import local_deploy, show
from qpsnn_core.cli.inputs import data_of, data_of_recipe, load_any
from qpsnn_core.cli.options import Json, Out, Where
from qpsnn_core.common.errors import ConfigError, DataError, FormatError, Unquoted, expected
from qpsnn_core.common.file_kinds import INTEGERS, NIR
from qpsnn_core.common.hdf5 import check_file_kind, kind_of
from qpsnn_core.common.install import install_command
from qpsnn_core.integer.file import KIND, load_integer
from qpsnn_core.recipes.recipe import load_recipe

VECTORS, SAMPLES = 100, 4
"""Inputs that an export is checked with: images of one step, and samples of many."""


def export(
    network: Annotated[
        Path,
        typer.Argument(
            help="An integer network; for --nir also a checkpoint, for --c also a network that learnt locally."
        ),
    ],
    c: Annotated[str, typer.Option("--c", help="Folder for a C99 file, its header, test vectors and Makefile.")] = "",
    netx: Annotated[str, typer.Option("--netx", help="NetX HDF5 file for lava-dl, same spikes as Lava's LIF.")] = "",
    nir: Annotated[str, typer.Option("--nir", help="NIR file for snnTorch, SpikingJelly, Norse.")] = "",
    name: Annotated[str, typer.Option("--name", help="C: what functions begin with; else the network's file.")] = "",
    data: Annotated[str, typer.Option("--data", help="C: test vectors from a set, as for simulate; else noise.")] = "",
    path: Where = "",
    vectors: Annotated[
        int | None,
        typer.Option("--vectors", min=1, show_default="100; 4 of local learning", help="C: inputs to check with."),
    ] = None,
    host_first: Annotated[
        bool, typer.Option("--host-first", help="NetX: the first layer is left to the host.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="NIR: the integers as they are.")] = False,
    dt: Annotated[float, typer.Option("--dt", min=0.0, help="NIR: time step; 0: 1 if exact, else 1e-4.")] = 0.0,
    json: Json = False,
) -> None:
    """Write a network for other machines: one of --c, --netx, --nir. What a format cannot hold is refused by name."""
    wanted = [format for format, target in (("--c", c), ("--netx", netx), ("--nir", nir)) if target]
    if len(wanted) != 1:
        raise ConfigError(expected("export", "one of --c, --netx, --nir", Unquoted(" and ".join(wanted) or "none")))
    if c and local_deploy.is_local(network):
        local_deploy.export_c(network, Path(c), name or _identifier(network), data, path, vectors or SAMPLES, json)
    elif c:
        _c(network, Path(c), name, data, path, vectors or VECTORS, json)
    elif netx:
        _netx(network, Path(netx), host_first, json)
    else:
        _nir(network, Path(nir), exact, dt, json)


def read(
    file: Annotated[Path, typer.Argument(help="A NIR file, or an integer network.")],
    out: Out = Path("imported.h5"),
    steps: Annotated[int, typer.Option("--steps", min=0, help="Time steps T; 0: the file's, else 4.")] = 0,
    dt: Annotated[
        float, typer.Option("--dt", min=0.0, help="NIR: the time step in the unit of tau; 0: as the file tells.")
    ] = 0.0,
    exporter: Annotated[
        str,
        typer.Option(
            "--exporter", help="NIR: snntorch, spikingjelly, norse, sinabs or rockpool, whose conventions hold."
        ),
    ] = "",
    peak: Annotated[
        int,
        typer.Option(
            "--peak", min=0, help="Images are integers 0..peak; 0: the file's, else real, or 255 with --events."
        ),
    ] = 0,
    events: Annotated[bool, typer.Option("--events", help="The input is counts of events, not an image.")] = False,
    bits: Annotated[
        int, typer.Option("--bits", min=0, max=8, help="Quantize all weights, gamma by error; 0: leave them real.")
    ] = 0,
    reset: Annotated[
        str, typer.Option("--reset", help="zero or subtract, where the NIR file does not say; empty: zero.")
    ] = "",
    recipe: Annotated[
        str, typer.Option("--recipe", help="Its data, and how to go on; an integer network needs it.")
    ] = "",
    json: Json = False,
) -> None:
    """Make a checkpoint, to quantize, prune and fine-tune: of another simulator's NIR file, or of integers again."""
    from qpsnn_core.training.checkpoint import Checkpoint, save_checkpoint

    check_file_kind(file, NIR, INTEGERS)
    chosen, used = load_recipe(recipe) if recipe else None, None
    fits: tuple[Any, ...] = ()
    step: dict[str, Any] = {}
    if _is_integer(file):
        options = {"--steps": steps, "--dt": dt, "--exporter": exporter, "--peak": peak, "--events": events}
        options |= {"--bits": bits, "--reset": reset}
        given = [name for name, value in options.items() if value]
        if given:
            want = "options of NIR files with a NIR file only: an integer network has its own"
            raise ConfigError(expected("import", want, Unquoted(f"{', '.join(given)} with {file}")))
        if chosen is None:
            want = "a recipe that names an integer network's data (--recipe R.toml)"
            raise ConfigError(expected("import", want, Unquoted("none")))
        choice = data_of_recipe(Path(recipe), chosen)
        model, used = qp.lift(load_integer(file), choice.split()), choice.figures
    else:
        load = _exchange("nir_import").import_nir
        told = {"steps": steps, "dt": dt, "exporter": exporter, "peak": peak or None, "events": events}
        found = load(file, **told, bits=bits, reset=reset)
        model, fits = found.model, found.layers
        step = {"dt": found.units.dt, "because": found.units.said, "reset_unsaid": list(found.unsaid)}
    made_by = chosen.to_dict() if chosen else {}
    if used is None:  # the network is the file's, not the recipe's
        made_by.pop("network", None)
    save_checkpoint(out, Checkpoint(model, recipe=made_by, notes={"imported": str(file)}))
    nodes = [(node.name, type(node).__name__, model.network.shape(node.name)) for node in model.network]
    if json:
        layers = [{"name": name, "kind": kind, "shape": shape} for name, kind, shape in nodes]
        made = {"checkpoint": str(out), "data": used, "steps": model.network.steps, "peak": model.network.input.peak}
        show.print_json({**made, "layers": layers, "quantized": [one._asdict() for one in fits], "time_step": step})
        return
    rows = [(name, kind, "×".join(map(str, shape))) for name, kind, shape in nodes]
    show.table(f"{out}: T = {model.network.steps}", ("layer", "kind", "shape"), rows)
    if model.network.input.spikes and not (peak or _is_integer(file)):
        said = f"the input is counts of events, 0..{model.network.input.peak}; --peak sets another largest count"
        show.out.print(said, highlight=False, soft_wrap=True)
    if step:
        resets = ", ".join(dict.fromkeys(node.reset for node in model.network.neurons)) or "-"
        unsaid = " (the file does not say; --reset)" if step["reset_unsaid"] else ""
        text = f"time step: {step['because']}; resets: {resets}{unsaid}"
        show.out.print(text, highlight=False, soft_wrap=True)
    if fits:
        heads = ("layer", "bits", "gamma", "per", "level at 0", "clipped", "relative error")
        cells = [
            (one.name, one.bits, one.gamma, one.granularity, str(one.zero), f"{one.clipped:.2%}", f"{one.error:.2%}")
            for one in fits
        ]
        show.table("weights as codes", heads, cells)


def _is_integer(file: Path) -> bool:
    """Whether it is one of our integer networks; FileError where there is none."""
    try:
        return kind_of(file) == KIND
    except FormatError:
        return False


def _c(network: Path, folder: Path, name: str, data: str, path: str, vectors: int, json: bool) -> None:
    from qpsnn_backends.c.export import export as write
    from qpsnn_backends.c.vectors import noise
    from qpsnn_core.engine.inputs import steps_first

    loaded = load_integer(network)
    choice = data_of(network, loaded, data, path) if data else None
    images = steps_first(choice.part("test", vectors).images) if choice else noise(loaded, vectors)
    used = choice.figures if choice else {"name": "noise", "path": "", "images": {"drawn": vectors}}
    done = write(loaded, folder, name or _identifier(network), images)
    if json:
        show.print_json({**asdict(done), "data": used})
        return
    rows = [
        ("constants, bytes of flash besides the code", done.constants),
        ("state, bytes of RAM", done.state),
        ("scratch, bytes of RAM", done.scratch),
        (f"test inputs, of {used['name']}", done.vectors),
    ]
    show.table(f"{network}: {', '.join(done.files)}", ("figure", "value"), rows)
    show.out.print(f"make -C {done.folder} check", highlight=False, soft_wrap=True)


def _netx(network: Path, out: Path, host_first: bool, json: bool) -> None:
    from qpsnn_core.exchange.netx import save_netx

    layers = save_netx(out, load_integer(network), host_first=host_first)
    if json:
        show.print_json({"file": str(out), "layers": [layer._asdict() for layer in layers]})
        return
    heads = ("layer", "neuron", "kind", "times 2^", "weight bits", "thresholds", "bias rounded by")
    show.table(str(out), heads, [tuple(layer) for layer in layers])


def _nir(file: Path, out: Path, exact: bool, dt: float, json: bool) -> None:
    save = _exchange("nir_export").save_nir
    loaded = load_any(file)
    written = save(out, loaded.model if isinstance(loaded, qp.Checkpoint) else loaded, exact=exact, dt=dt)
    figures = {"file": str(out), **written._asdict(), **({"exact in float32": written.float32} if exact else {})}
    if json:
        show.print_json(figures)
        return
    rows = [(name, str(value) if isinstance(value, bool) else value) for name, value in figures.items()]
    show.table(str(out), ("figure", "value"), rows[1:])


def _exchange(module: str) -> Any:
    """A module that needs the package nir; DataError says what is missing."""
    try:
        return import_module(f"qpsnn_core.exchange.{module}")
    except ModuleNotFoundError as error:
        want = f"the package nir ({install_command('exchange')})"
        raise DataError(expected("nir", want, Unquoted(f"no such package ({error})"))) from error


def _identifier(network: Path) -> str:
    """The file's name, as an identifier that is no other file's of the export."""
    from qpsnn_backends.c.export import TAKEN

    plain = re.sub(r"[^A-Za-z0-9_]", "_", network.stem)[:31]
    return plain if plain[:1].isalpha() and plain.lower() not in TAKEN else f"network_{plain}"[:31]
