"""Gates: a process that makes a mask of a predictor's currents, and one that masks what passes through it."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.wiring import LavaProcessSpec
from qpsnn_core.common.types import Array


class Gate(AbstractProcess):
    """`s_out[x, y, c] = a_in[x*w // W, y*h // H, c // size] >= threshold[c // size]`, 0 or 1."""

    def __init__(self, part: LavaProcessSpec, threshold: Any) -> None:
        super().__init__(name=part.name, part=part)
        self.a_in = InPort(shape=part.inputs)
        self.s_out = OutPort(shape=part.outputs)
        self.threshold = Var(shape=threshold.shape, init=threshold)


class Mask(AbstractProcess):
    """`s_out = s_in * m_in`: the mask has one channel, or one place, or as many as there are."""

    def __init__(self, part: LavaProcessSpec) -> None:
        super().__init__(name=part.name, part=part)
        self.s_in = InPort(shape=part.inputs)
        self.m_in = InPort(shape=part.opening)
        self.s_out = OutPort(shape=part.outputs)


@implements(proc=Gate, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GateModel(GuardedModel):
    """Compares within the step; nothing is kept."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    threshold: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        part: LavaProcessSpec = proc_params["part"]
        self.size = part.settings["size"]
        self.columns, self.rows = (
            np.arange(whole) * small // whole for whole, small in zip(part.outputs[:2], part.inputs[:2], strict=True)
        )

    def step(self) -> None:
        """Each number serves the channels, or the places, nearest to it."""
        small = (self.a_in.recv() >= self.threshold).astype(np.int32)
        self.s_out.send(np.repeat(small[self.columns][:, self.rows], self.size, axis=2))


@implements(proc=Mask, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MaskModel(GuardedModel):
    """Multiplies within the step; nothing is kept."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    m_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def step(self) -> None:
        """Counts, or currents, where the mask is 1."""
        self.s_out.send(self.s_in.recv() * self.m_in.recv())
