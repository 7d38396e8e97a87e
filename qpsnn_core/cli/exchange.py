"""`qpsnn export` and `qpsnn import`: networks as files of other simulators, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.options import Json, Out

exports = typer.Typer(help="Write a network for another simulator.", no_args_is_help=True)
imports = typer.Typer(help="Read a network of another simulator.", no_args_is_help=True)


@exports.command()
def netx(
    network: Annotated[Path, typer.Argument(help="An integer network.")],
    out: Out = Path("network.net"),
    json: Json = False,
) -> None:
    """A NetX HDF5 file for lava-dl: Lava's stock LIF gives the same spikes; what NetX cannot load is refused."""
    from qpsnn_core.exchange.netx import save_netx
    from qpsnn_core.integer.file import load_integer

    layers = save_netx(out, load_integer(network))
    if json:
        show.print_json({"file": str(out), "layers": [layer._asdict() for layer in layers]})
        return
    heads = ("layer", "neuron", "kind", "times 2^", "weight bits", "thresholds", "bias rounded by")
    show.table(str(out), heads, [tuple(layer) for layer in layers])
