"""What processes of networks that learnt locally share: which step of which sample it is, draws, records."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from qpsnn_backends.lava.processes.fixed import sample_key
from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.processes.neuron import append, opened
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.types import Array


class LocalModel(GuardedModel):
    """What the models share: which sample and step it is, and files of what is stored."""

    def begin(self, proc_params: Any, names: tuple[str, ...]) -> None:
        """names: of what is written, each to `<part>.<name>` as int32."""
        self.part: LavaProcessSpec = proc_params["part"]
        self.wiring: Wiring = proc_params["wiring"]
        self.c: dict[str, Any] = self.part.settings
        self.files: dict[str, BinaryIO | None] = {
            name: opened(f"{self.part.name}.{name}", self.wiring.membranes) for name in names
        }

    def now(self) -> tuple[int, int] | None:
        """(sample, step) of what arrives; None before the first sample and after the last."""
        sample, step = divmod(self.time_step - 1 - self.part.latency, self.wiring.steps)
        return (sample, step) if 0 <= sample < self.wiring.samples else None

    def keys(self, sample: int) -> dict[str, int]:
        """The keys of a sample's draws, by variable."""
        number, seed = self.c["first"] + sample, self.c["seed"]
        return {name: sample_key(seed, stream, number) for name, stream in self.c["streams"].items()}

    def keep(self, **arrays: Array) -> None:
        """Append what is stored."""
        for name, array in arrays.items():
            append(self.files[name], array, np.int32)
