"""What a backend is: something that runs integer networks and gives what the exact simulator gives, bit for bit."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.run import Record, Run

__all__ = ["Backend", "Record", "Run"]


@runtime_checkable
class Backend(Protocol):
    """Runs integer networks."""

    @property
    def name(self) -> str:
        """The word that `qpsnn_backends.get` knows it by."""

    def check(self, network: IntegerNetwork) -> None:
        """Raises UnsupportedError, with figures, where this backend or this machine cannot run the network."""

    def run(self, network: IntegerNetwork, images: npt.NDArray[Any], record: Record = "spikes") -> Run:
        """Run images [B, H, W, C] or frames [T, B, H, W, C] and return what was asked for.

        record: "none", "spikes" of all LIF, or "all" their spikes and membranes.
        Raises UnsupportedError before anything starts, BackendError, BackendTimeout, or what is wrong with the images.
        """
