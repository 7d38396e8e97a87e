"""The exact simulator of networks that learnt locally, as a backend: the reference, and the one that learns on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qpsnn_core.common.types import Images
from qpsnn_core.integer.local.backends import LocalRecord, LocalRun
from qpsnn_core.integer.local.networks import TESTED, IntDiehlCook, IntLocal
from qpsnn_core.integer.local.simulate import Learnt, learn_local, simulate_local


@dataclass(frozen=True)
class ExactLocalBackend:
    """Runs every deployed network in this process, and lets STDP go on in integers."""

    name: ClassVar[str] = "exact"

    def check(self, network: IntLocal) -> None:
        """Nothing is refused: what was lowered fits."""

    def run(self, network: IntLocal, samples: Images, record: LocalRecord = "none", first: int = TESTED) -> LocalRun:
        """As `simulate_local`."""
        return simulate_local(network, samples, record=record, first=first)

    def learn(self, network: IntDiehlCook, samples: Images, record: LocalRecord = "none", first: int = 0) -> Learnt:
        """As `learn_local`."""
        return learn_local(network, samples, record=record, first=first)
