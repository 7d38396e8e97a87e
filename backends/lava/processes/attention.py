"""Spiking transformers: a process that attends, and the readout of currents that no neuron has read."""

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
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.types import Array


class Attention(AbstractProcess):
    """`a_out[i] = gain * sum_j (q_in[i] . k_in[j]) v_in[j]` in each head; the places of a map are the tokens i, j."""

    def __init__(self, part: LavaProcessSpec, gain: Any) -> None:
        super().__init__(name=part.name, part=part)
        self.q_in = InPort(shape=part.inputs)
        self.k_in = InPort(shape=part.inputs)
        self.v_in = InPort(shape=part.outputs)
        self.a_out = OutPort(shape=part.outputs)
        self.gain = Var(shape=gain.shape, init=gain)


class Stream(AbstractProcess):
    """`Y += gain * (codes^T (factor * R(Z))) + (bias << bias_shift)` at each step of a sample, Z what `a_in` sums.

    Of the mean, Z is added up over all places. Appended to `NAME.readout` as int64 [classes], or [H, W, channels].
    """

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, codes: Any, factor: Any, gain: Any, bias: Any) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.a_in = InPort(shape=part.inputs)
        for name, array in (("codes", codes), ("factor", factor), ("gain", gain), ("bias", bias)):
            setattr(self, name, Var(shape=array.shape, init=array))


@implements(proc=Attention, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AttentionModel(GuardedModel):
    """Multiplies within the step; nothing is kept. Products of float64 are exact up to 2**53."""

    q_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    k_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    v_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    gain: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]

    def step(self) -> None:
        """`q (k^T v)`, head by head."""
        query, key, value = (self._heads(port.recv()) for port in (self.q_in, self.k_in, self.v_in))
        sums = query @ (key.swapaxes(1, 2) @ value)
        self.a_out.send(sums.swapaxes(0, 1).reshape(self.part.outputs).astype(np.int32) * self.gain)

    def _heads(self, spikes: Array) -> Array:
        """(W, H, C) as float64 [heads, tokens, channels of a head]."""
        heads = self.part.settings["heads"]
        apart: Array = spikes.reshape(-1, heads, spikes.shape[2] // heads).swapaxes(0, 1).astype(np.float64)
        return apart


@implements(proc=Stream, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StreamModel(GuardedModel):
    """Starts each sample at 0, writes its sums after its last step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    codes: Array = LavaPyType(np.ndarray, np.int64)
    factor: Array = LavaPyType(np.ndarray, np.int64)
    gain: Array = LavaPyType(np.ndarray, np.int64)
    bias: Array = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]
        self.wiring: Wiring = proc_params["wiring"]
        self.file = open(f"{self.part.name}.readout", "wb", buffering=0)  # noqa: SIM115 - open as long as the process lives
        self.y: Array = np.zeros(self.part.outputs, np.int64)

    def step(self) -> None:
        """Add this step's sums to those of the sample that they belong to."""
        current = self.a_in.recv().astype(np.int64)
        sample, step = divmod(self.time_step - 1 - self.part.latency, self.wiring.steps)
        if not 0 <= sample < self.wiring.samples:
            return
        settings = self.part.settings
        if settings["places"] == "mean":
            current = current.sum((0, 1), keepdims=True)
        rounded = (current + ((1 << settings["shift"]) >> 1)) >> settings["shift"]
        found = (rounded * self.factor) @ self.codes * self.gain + (self.bias << settings["bias_shift"])
        self.y = self.y + found if step else found
        if step == self.wiring.steps - 1:
            self.file.write(np.ascontiguousarray(self.y.swapaxes(0, 1)).tobytes())
