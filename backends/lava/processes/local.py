"""Networks that learnt by local losses (DECOLLE): layers with traces, and votes."""

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

from qpsnn_backends.lava.processes.fixed import stored
from qpsnn_backends.lava.processes.local_model import LocalModel
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.types import Array


class LocalLayer(AbstractProcess):
    """`Q' = beta*Q + S; P' = alpha*P + Q; R' = gamma*R + S; V = w*P' + b - rho*R'`, pooled spikes where V is high."""

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, weights: Any, biases: Any) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.s_in = InPort(shape=part.inputs)
        self.s_out = OutPort(shape=part.outputs)
        self.weights = Var(shape=weights.shape, init=weights)
        self.biases = Var(shape=biases.shape, init=biases)
        for name in ("q", "p"):
            setattr(self, name, Var(shape=tuple(part.settings["inputs"]), init=0))
        for name in ("r", "v"):
            setattr(self, name, Var(shape=tuple(part.settings["outputs"]), init=0))


class Votes(AbstractProcess):
    """Counts in how many steps each class has the highest `a_in + bias`; to `NAME.readout` as int64 [classes]."""

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, bias: Any) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.a_in = InPort(shape=part.inputs)
        self.votes = Var(shape=part.inputs, init=0)
        self.bias = Var(shape=bias.shape, init=bias)


@implements(proc=LocalLayer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LocalLayerModel(LocalModel):
    """Stored variables are int32; a step computes in int64, and rounds each once. Maps are (H, W, C)."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    weights: Array = LavaPyType(np.ndarray, np.int32)
    biases: Array = LavaPyType(np.ndarray, np.int32)
    q: Array = LavaPyType(np.ndarray, np.int32)
    p: Array = LavaPyType(np.ndarray, np.int32)
    r: Array = LavaPyType(np.ndarray, np.int32)
    v: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.begin(proc_params, ("q", "p", "r", "membranes", "spikes"))
        (height, width, channels), pad = self.c["inputs"], self.c["padding"]
        y, x, k = np.ogrid[:height, :width, :channels]
        self.seen = self.c["first_input"] + ((y + pad) * (width + 2 * pad) + x + pad) * channels + k
        y, x, k = np.ogrid[: self.c["outputs"][0], : self.c["outputs"][1], : self.c["outputs"][2]]
        self.own = self.c["first_neuron"] + (y * self.c["outputs"][1] + x) * self.c["lanes"] + k
        self.drawn: dict[str, int] = {}
        self.spikes = np.zeros(self.c["outputs"], np.int64)

    def step(self) -> None:
        """One step of the sample that has arrived here."""
        frame, here = self.s_in.recv(), self.now()
        if here is None:
            self.s_out.send(np.zeros(self.part.outputs, np.int32))
            return
        sample, t = here
        if t == 0:
            for array in (self.q, self.p, self.r, self.v):
                array[:] = 0
            self.spikes = np.zeros(self.c["outputs"], np.int64)
            self.drawn = self.keys(sample)
        self.trace(frame.reshape(self.c["inputs"]).astype(np.int64), t)
        self.fire(t)
        self.s_out.send(self.pooled().reshape(self.part.outputs))
        self.keep(q=self.q, p=self.p, r=self.r, membranes=self.v, spikes=self.spikes)

    def trace(self, spikes: Array, t: int) -> None:
        """Q and P, P by the old Q."""
        c, q, p = self.c, self.q.astype(np.int64), self.p.astype(np.int64)
        self.q[:] = stored(c["beta"] * q + c["q_in"] * spikes, c["q"], t, self.seen, self.drawn["q"])
        self.p[:] = stored(c["alpha"] * p + c["p_in"] * q, c["p"], t, self.seen, self.drawn["p"])

    def fire(self, t: int) -> None:
        """R by the old spikes, V, and the new spikes."""
        c = self.c
        wide_r = c["gamma"] * self.r.astype(np.int64) + c["r_in"] * self.spikes
        self.r[:] = stored(wide_r, c["r"], t, self.own, self.drawn["r"])
        current = (self.sums() << c["sum_up"]) + (self.biases.astype(np.int64) << c["bias_up"])
        current -= c["rho"] * self.r.astype(np.int64)
        self.v[:] = stored(current, c["membranes"], t, self.own, self.drawn["membranes"])
        over = self.v >= c["threshold"] if c["inclusive"] else self.v > c["threshold"]
        self.spikes = over.astype(np.int64)

    def sums(self) -> Array:
        """`w*P` at every place, int64."""
        (height, width, outputs), pad, kernel = self.c["outputs"], self.c["padding"], self.weights.shape[0]
        padded = np.pad(self.p.astype(np.int64), ((pad, pad), (pad, pad), (0, 0)))
        total = np.zeros((height, width, outputs), np.int64)
        for y in range(kernel):
            for x in range(kernel):
                part, weights = padded[y : y + height, x : x + width], self.weights[y, x]
                if self.c["exact_in_float64"]:
                    total += (part.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
                else:
                    total += part @ weights.astype(np.int64)
        return total

    def pooled(self) -> Array:
        """Of each pool, the spike of the neuron with the highest membrane; of equal ones the first."""
        side, (height, width, outputs) = self.c["pool"], self.c["outputs"]
        rows, columns = height // side, width // side

        def windows(array: Array) -> Array:
            cut = array[: rows * side, : columns * side].reshape(rows, side, columns, side, outputs)
            return cut.transpose(0, 2, 4, 1, 3).reshape(rows, columns, outputs, side * side)

        best = windows(self.v).argmax(-1)[..., None]
        spikes: Array = np.take_along_axis(windows(self.spikes), best, -1)[..., 0].astype(np.int32)
        return spikes


@implements(proc=Votes, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class VotesModel(LocalModel):
    """Starts each sample at 0, writes its votes after its last step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    votes: Array = LavaPyType(np.ndarray, np.int64)
    bias: Array = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.begin(proc_params, ("votes",))
        self.file = open(f"{self.part.name}.readout", "wb", buffering=0)  # noqa: SIM115 - open as long as the process lives

    def step(self) -> None:
        """The class of the highest readout has one step more; of equal ones the lowest."""
        readout, here = self.a_in.recv().astype(np.int64) + self.bias, self.now()
        if here is None:
            return
        if here[1] == 0:
            self.votes[:] = 0
        if here[1] >= self.c["burnin"]:
            self.votes.reshape(-1)[int(readout.reshape(-1).argmax())] += 1
        self.keep(votes=self.votes)
        if here[1] == self.wiring.steps - 1:
            self.file.write(self.votes.tobytes())
