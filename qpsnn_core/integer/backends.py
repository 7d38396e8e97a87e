"""What an integer network runs on: what a backend is, what a run gives, and backends by name, loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.ordered_graph import only

BACKENDS = {
    "exact": ("qpsnn_backends.exact", "ExactBackend"),
    "lava": ("qpsnn_backends.lava.backend", "LavaBackend"),
    "c": ("qpsnn_backends.c.backend", "CBackend"),
}
"""The module and class of each backend, by name; another package may add its own."""

EXPORTERS = {"c": ("qpsnn_backends.c.export", "export")}
"""The module and function of what writes a network as sources: of the network, a folder, a name and test images."""

Record = Literal["none", "spikes", "all"]
"""What is kept besides the readout: nothing, the spikes of all LIF, or their spikes and membranes."""


@dataclass(frozen=True, eq=False)
class Run:
    """What came out of a network.

    readouts: int64 [B, K], or [B, H, W, K] of one that reads each place, by the readout's name: the sum over T, or what
    another mode gives. spikes: of each recorded LIF, uint8 [T, B, H, W, C]. membranes: of each recorded LIF, int32
    [T, B, H, W, C], after the reset. counts: of every node that gives counts, their sum over all steps and images,
    int64 [H, W, C] (only from the exact simulator): times the fan-out, the synaptic operations; of gated convolutions,
    additions of each sum.
    """

    readouts: dict[str, npt.NDArray[np.int64]]
    spikes: dict[str, npt.NDArray[np.uint8]]
    membranes: dict[str, npt.NDArray[np.int32]]
    counts: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Shapes, not the arrays."""
        parts = (("spikes", self.spikes), ("membranes", self.membranes), ("counts", self.counts))
        alone = len(self.readouts) == 1
        given = [f"{'readout' if alone else name} {list(one.shape)}" for name, one in self.readouts.items()]
        return f"Run({', '.join([*given, *(f'{len(a)} {name}' for name, a in parts)])})"

    @property
    def readout(self) -> npt.NDArray[np.int64]:
        """That of the only readout. NetworkError, naming them, where there are several."""
        return only(self.readouts)


@runtime_checkable
class Backend(Protocol):
    """Runs integer networks."""

    @property
    def name(self) -> str:
        """The word that `get` knows it by."""

    def check(self, network: IntegerNetwork) -> None:
        """Raises UnsupportedError, with figures, where this backend or this machine cannot run the network."""

    def run(self, network: IntegerNetwork, images: npt.NDArray[Any], record: Record = "spikes") -> Run:
        """Run images [B, H, W, C] or frames [T, B, H, W, C] and return what was asked for.

        record: "none", "spikes" of all LIF, or "all" their spikes and membranes.
        Raises UnsupportedError before anything starts, BackendError, BackendTimeout, or what is wrong with the images.
        """


def get(name: str, **options: Any) -> Backend:
    """The backend of that name, made with its own options. ConfigError for a name or an option that it has not."""
    if name not in BACKENDS:
        raise ConfigError(expected("backend", f"one of {', '.join(BACKENDS)}", name) + did_you_mean(name, BACKENDS))
    module, kind = BACKENDS[name]
    made = getattr(import_module(module), kind)
    known = list(signature(made).parameters)
    for option in options:
        if option not in known:
            want = f"one of {', '.join(known)}" if known else "no options"
            raise ConfigError(expected(f"backend.{name}", want, option) + did_you_mean(option, known))
    backend: Backend = made(**options)
    return backend


def exporter(name: str) -> Callable[..., Any]:
    """What writes integer networks as sources of that kind; ConfigError for a name that it has not."""
    if name not in EXPORTERS:
        raise ConfigError(expected("export", f"one of {', '.join(EXPORTERS)}", name) + did_you_mean(name, EXPORTERS))
    module, function = EXPORTERS[name]
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
