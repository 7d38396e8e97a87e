"""An integer network on a backend, and what differs from the exact simulator, batch by batch."""

from __future__ import annotations

from typing import Any

import typer

import qpsnn_core as qp
from qpsnn_core.cli import show
from qpsnn_core.common.dead_layers import warn_dead_layers
from qpsnn_core.common.types import Array
from qpsnn_core.inference.agreement import disagreements
from qpsnn_core.integer.backends import get
from qpsnn_core.integer.dead import dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF


class Compared:
    """Gives the readouts of a backend. Raises what the backend raises where it cannot run the network."""

    def __init__(self, network: IntegerNetwork, backend: str) -> None:
        self._network, self._backend, self._chosen = network, backend, get(backend)
        self._chosen.check(network)
        self._fired = dict.fromkeys((node.name for node in network.of(IntLIF)), 0)
        self._spikes = self._readouts = 0

    def __call__(self, images: Array) -> Array:
        """The readouts `[B, K]` of images `[B, H, W, C]` or frames `[T, B, H, W, C]`."""
        run = self._chosen.run(self._network, images, record="spikes")
        exact = run if self._backend == "exact" else qp.simulate(self._network, images, record="spikes")
        self._fired = {name: self._fired[name] + int(one.any()) for name, one in exact.spikes.items()}
        spikes, readouts = disagreements(run, exact)
        self._spikes += spikes
        self._readouts += readouts
        return run.readout

    @property
    def figures(self) -> dict[str, Any]:
        """The backend, and how many spikes and readouts differ so far."""
        return {"backend": self._backend, "spike_mismatches": self._spikes, "readout_mismatches": self._readouts}

    def warn(self, seen: str) -> None:
        """Of layers that never fired in what was seen, such as "7 recordings"."""
        warn_dead_layers("predict", dead_integers(self._network, self._fired, seen))

    def say(self) -> None:
        """A line for the person: how many differ."""
        said = f"{self._spikes} spikes and {self._readouts} readouts"
        show.out.print(f"{said} differ from the exact simulator's", highlight=False)

    def end(self) -> None:
        """End the command with status 1 if anything differed."""
        if self._spikes or self._readouts:
            raise typer.Exit(1)
