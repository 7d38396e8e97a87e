"""`qpsnn export` and `qpsnn import`: networks as files of other simulators, and back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.files import load_any
from qpsnn_core.cli.options import Json, Out
from qpsnn_core.errors import DataError, Words, expected

exports = typer.Typer(help="Write a network for another simulator.", no_args_is_help=True)
imports = typer.Typer(help="Read a network of another simulator.", no_args_is_help=True)


@exports.command()
def netx(
    network: Annotated[Path, typer.Argument(help="An integer network.")],
    out: Out = Path("network.net"),
    host_first: Annotated[bool, typer.Option("--host-first", help="Leave the first layer to the host.")] = False,
    json: Json = False,
) -> None:
    """A NetX HDF5 file for lava-dl: Lava's stock LIF gives the same spikes; what NetX cannot load is refused."""
    from qpsnn_core.exchange.netx import save_netx
    from qpsnn_core.integer.file import load_integer

    layers = save_netx(out, load_integer(network), host_first=host_first)
    if json:
        show.print_json({"file": str(out), "layers": [layer._asdict() for layer in layers]})
        return
    heads = ("layer", "neuron", "kind", "times 2^", "weight bits", "thresholds", "bias rounded by")
    show.table(str(out), heads, [tuple(layer) for layer in layers])


@exports.command("nir")
def nir_out(
    file: Annotated[Path, typer.Argument(help="A checkpoint, or an integer network.")],
    out: Out = Path("network.nir"),
    exact: Annotated[bool, typer.Option("--exact", help="The integers as they are (of an integer network).")] = False,
    dt: Annotated[float, typer.Option("--dt", min=0.0, help="The file's time step; 0: 1 if exact, else 1e-4.")] = 0.0,
    json: Json = False,
) -> None:
    """A NIR file: exact, or for float simulators (snnTorch, SpikingJelly, Norse), with one threshold a layer."""
    save = _nir("nir_export").save_nir
    written = save(out, load_any(file)[0], exact=exact, dt=dt)
    figures = {"file": str(out), **written._asdict(), **({"exact in float32": written.float32} if exact else {})}
    if json:
        show.print_json(figures)
        return
    rows = [(name, str(value) if isinstance(value, bool) else value) for name, value in figures.items()]
    show.table(str(out), ("figure", "value"), rows[1:])


@imports.command("nir")
def nir_in(
    file: Annotated[Path, typer.Argument(help="A NIR file.")],
    out: Out = Path("imported.h5"),
    steps: Annotated[int, typer.Option("--steps", min=0, help="Time steps T; 0: the file's, else 4.")] = 0,
    dt: Annotated[float, typer.Option("--dt", min=0.0, help="The time step; 0: the file's, else 1e-4.")] = 0.0,
    peak: Annotated[
        int, typer.Option("--peak", min=0, help="Images are integers 0..peak; 0: the file's, else real.")
    ] = 0,
    events: Annotated[bool, typer.Option("--events", help="The input is counts of events, not an image.")] = False,
    bits: Annotated[int, typer.Option("--bits", min=0, max=8, help="Quantize all weights; 0: leave them real.")] = 0,
    json: Json = False,
) -> None:
    """A checkpoint of a NIR file's network, to quantize, prune and fine-tune."""
    from qpsnn_core.checkpoint import Checkpoint, save_checkpoint

    load = _nir("nir_import").load_nir
    model = load(file, steps=steps, dt=dt, peak=peak or None, events=events, bits=bits)
    save_checkpoint(out, Checkpoint(model, notes={"imported": str(file)}))
    nodes = [(node.name, type(node).__name__, model.network.shape(node.name)) for node in model.network]
    if json:
        layers = [{"name": name, "kind": kind, "shape": shape} for name, kind, shape in nodes]
        show.print_json({"checkpoint": str(out), "steps": model.network.steps, "layers": layers})
        return
    rows = [(name, kind, "×".join(map(str, shape))) for name, kind, shape in nodes]
    show.table(f"{out}: T = {model.network.steps}", ("layer", "kind", "shape"), rows)


def _nir(module: str) -> Any:
    """A module that needs the package nir; DataError says what is missing."""
    try:
        return import_module(f"qpsnn_core.exchange.{module}")
    except ModuleNotFoundError as error:
        want = "the package nir (pip install 'qpsnn[exchange]')"
        raise DataError(expected("nir", want, Words(f"no such package ({error})"))) from error
