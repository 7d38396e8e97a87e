"""What writes down the spikes of Lava's own neurons, which keep no record themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.processes.neuron import append, opened
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring


class Record(AbstractProcess):
    """Appends the spikes that it reads, of every step of every sample, to `<LIF>.spikes` (uint8)."""

    def __init__(self, part: LavaProcessSpec, wiring: Wiring) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.s_in = InPort(shape=part.inputs)


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordModel(GuardedModel):
    """Leaves out what comes before the first sample and after the last."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]
        self.wiring: Wiring = proc_params["wiring"]
        self.file = opened(f"{self.part.reads[0]}.spikes", True)

    def step(self) -> None:
        """Write one step's spikes."""
        spikes = self.s_in.recv()
        if 0 <= self.time_step - 1 - self.part.latency < self.wiring.samples * self.wiring.steps:
            append(self.file, spikes)
