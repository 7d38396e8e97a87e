"""The exact simulator as a backend: the reference that every other one is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from qpsnn_core.integer.backends import Record, Run
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate


@dataclass(frozen=True)
class ExactBackend:
    """Runs every integer network there is, in this process."""

    name: ClassVar[str] = "exact"

    def check(self, network: IntegerNetwork) -> None:
        """Nothing is refused: an IntegerNetwork has already been proven to fit."""

    def run(self, network: IntegerNetwork, images: npt.NDArray[Any], record: Record = "spikes") -> Run:
        """As `simulate`; raises ShapeError, DataError, NumericsError (images), ConfigError (record)."""
        return simulate(network, images, record=record)
