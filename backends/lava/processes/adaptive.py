"""Neurons with adaptive thresholds of which one spikes (Diehl & Cook), with their inhibitory layer."""

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

from qpsnn_backends.lava.processes.fixed import random_words, stored
from qpsnn_backends.lava.processes.local_model import LocalModel
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.types import Array


class AdaptiveNeurons(AbstractProcess):
    """`V = leak*(V - rest) + rest + a_in - inhibition`; those at their thresholds are reset, and one, drawn, spikes.

    a_in: sums of weights of the spikes of the step before. With an inhibitory layer, its neurons are in here, too.
    """

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, thresholds: Any) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.a_in = InPort(shape=part.inputs)
        self.s_out = OutPort(shape=part.outputs)
        self.thresholds = Var(shape=part.inputs, init=thresholds.reshape(part.inputs))
        for name in ("membranes", "refractory", "counts", "inhibitory_membranes", "inhibitory_refractory"):
            setattr(self, name, Var(shape=part.inputs, init=0))


@implements(proc=AdaptiveNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class AdaptiveNeuronsModel(LocalModel):
    """Stored variables are int32; a step computes in int64, and rounds each once."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    membranes: Array = LavaPyType(np.ndarray, np.int32)
    thresholds: Array = LavaPyType(np.ndarray, np.int32)
    refractory: Array = LavaPyType(np.ndarray, np.int32)
    counts: Array = LavaPyType(np.ndarray, np.int32)
    inhibitory_membranes: Array = LavaPyType(np.ndarray, np.int32)
    inhibitory_refractory: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        layers = ("", "inhibitory.") if proc_params["part"].settings["inhibitory"] else ("",)
        names = [f"{layer}{name}" for layer in layers for name in ("membranes", "refractory", "spikes")]
        self.begin(proc_params, (*names, "thresholds", "counts"))
        self.elements = np.arange(self.part.inputs[2])
        self.drawn: dict[str, int] = {}
        self.spikes = self.relayed = np.zeros(self.part.inputs, np.int32)

    def step(self) -> None:
        """One step of the sample that has arrived here."""
        totals, here = self.a_in.recv(), self.now()
        if here is None:
            self.s_out.send(np.zeros(self.part.outputs, np.int32))
            return
        sample, t = here
        if t == 0:
            self.begin_sample(sample)
            totals = np.zeros_like(totals)
        crossed = self.integrate(totals, t)
        if self.c["inhibitory"]:
            self.relay()
        self.spikes = self.winner(crossed, t)
        self.counts += self.spikes
        self.s_out.send(self.spikes)
        self.keep(
            membranes=self.membranes,
            thresholds=self.thresholds,
            refractory=self.refractory,
            spikes=self.spikes,
            counts=self.counts,
        )

    def begin_sample(self, sample: int) -> None:
        """All at rest; the keys of the sample's draws."""
        self.membranes[:] = self.c["rest"]
        for array in (self.refractory, self.counts, self.inhibitory_refractory):
            array[:] = 0
        self.spikes = self.relayed = np.zeros(self.part.inputs, np.int32)
        self.drawn = self.keys(sample)
        if self.c["inhibitory"]:
            self.inhibitory_membranes[:] = self.c["inhibitory"]["rest"]

    def integrate(self, totals: Array, t: int) -> Array:
        """Which membranes reach their thresholds, once they have leaked and integrated."""
        c = self.c
        source = self.relayed if c["inhibitory"] else self.spikes
        braking = (int(source.sum()) - source).astype(np.int64) * c["inhibition"]
        currents = (totals.astype(np.int64) << c["charge_shift"]) - braking
        x = leaked(self.membranes, c) + np.where(self.refractory > 0, 0, currents)
        self.refractory[:] = np.maximum(self.refractory - 1, 0)
        crossed: Array = x >= self.thresholds.astype(np.int64) << c["threshold_shift"]
        reset = np.full_like(x, c["reset"])
        for number, where in ((x, ~crossed), (reset, crossed)):
            codes = stored(number, c["membrane"], t, self.elements, self.drawn["membranes"])
            self.membranes[where] = codes[where]
        self.refractory[crossed] = c["refractory"]
        return crossed

    def winner(self, crossed: Array, t: int) -> Array:
        """The spike of one of those that crossed."""
        spikes = np.zeros(self.part.inputs, np.int32)
        among = np.flatnonzero(crossed)
        if len(among):
            word = int(random_words(t, np.zeros(1, np.int64), self.drawn["winner"])[0])
            spikes.reshape(-1)[among[word * len(among) >> 32]] = 1
        return spikes

    def relay(self) -> None:
        """The inhibitory layer, which each spike of the step before excites."""
        c, v = self.c["inhibitory"], self.inhibitory_membranes
        excited = (self.spikes > 0) & (self.inhibitory_refractory <= 0)
        x = leaked(v, c) + np.where(excited, c["excitation"], 0)
        self.inhibitory_refractory[:] = np.maximum(self.inhibitory_refractory - 1, 0)
        fired = x >= c["threshold"]
        self.inhibitory_refractory[fired] = c["refractory"]
        v[:] = stored(np.where(fired, c["reset"], x), c["membrane"], 0, self.elements, 0)
        self.relayed = fired.astype(np.int32)
        state = {"membranes": v, "refractory": self.inhibitory_refractory, "spikes": self.relayed}
        self.keep(**{f"inhibitory.{name}": array for name, array in state.items()})


def leaked(v: Array, c: dict[str, Any]) -> Array:
    """Membranes after their leak, int64 with many fraction bits."""
    moved: Array = (v.astype(np.int64) - c["rest"]) * c["leak"] + (c["rest"] << c["membrane"]["shift"])
    return moved
