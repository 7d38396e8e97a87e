"""The integer leaky integrate-and-fire neuron: any thresholds and biases, `>=`, an arithmetic shift as its leak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qpsnn_backends.lava.processes.flow import pooled
from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.errors import UnsupportedError, expected
from qpsnn_core.common.types import Array


def _to_zero(u: Array, threshold: Array, spikes: Array) -> None:
    np.copyto(u, 0, where=spikes)


def _subtract(u: Array, threshold: Array, spikes: Array) -> None:
    np.subtract(u, threshold, out=u, where=spikes)


RESETS: dict[str, Callable[[Array, Array, Array], None]] = {"zero": _to_zero, "subtract": _subtract}
"""Changes u, in place, where there are spikes."""


class IntLIF(AbstractProcess):
    """`u = ((u * multiplier) >> shift) + bias + a_in; spike = u >= threshold`, u from 0 in each sample.

    The reset: `u[spike] = 0`, or `u[spike] -= threshold`; UnsupportedError for another one. With levels,
    u then goes to the nearest of them; where a prior reads it, the levels that the step before left go out by `m_out`.
    What it sends is pooled first where its part says so. Where the wiring asks for it, every spike and membrane (after
    the reset) of every step is appended to `<name>.spikes` (uint8) and `<name>.membranes` (int32).
    """

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, threshold: Any, bias: Any) -> None:
        if part.settings["reset"] not in RESETS:
            want = f"a reset that Lava's IntLIF knows ({', '.join(RESETS)})"
            raise UnsupportedError(expected(f"{part.name}.reset", want, part.settings["reset"]))
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.a_in = InPort(shape=part.inputs)
        self.s_out = OutPort(shape=part.outputs)
        self.m_out = OutPort(shape=part.inputs)
        self.u = Var(shape=part.inputs, init=0)
        self.threshold = Var(shape=threshold.shape, init=threshold)
        self.bias = Var(shape=bias.shape, init=bias)


@implements(proc=IntLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IntLIFModel(GuardedModel):
    """The neuron's arithmetic, all of one layer at once: in int32, which the network's check shows to hold every sum.

    Only the product of another leak than a shift needs 64 bits.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    m_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u: Array = LavaPyType(np.ndarray, np.int32)
    threshold: Array = LavaPyType(np.ndarray, np.int32)
    bias: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]
        self.wiring: Wiring = proc_params["wiring"]
        self.silence = np.zeros(self.part.outputs, np.int32)
        self.shown = any(one.kind == "prior" and self.part.name in one.reads for one in self.wiring)
        self.spike_file = opened(f"{self.part.name}.spikes", self.wiring.spikes)
        self.membrane_file = opened(f"{self.part.name}.membranes", self.wiring.membranes)

    def step(self) -> None:
        """One step of the sample that has arrived here; silence before the first one and after the last."""
        current = self.a_in.recv()
        step = self.time_step - 1 - self.part.latency
        if not 0 <= step < self.wiring.samples * self.wiring.steps:
            self.s_out.send(self.silence)
            self.show(np.zeros_like(self.u))
            return
        if step % self.wiring.steps == 0:
            self.u[:] = 0
        self.show(self.u)
        spikes = self.update(current, **self.part.settings)
        self.s_out.send(pooled(spikes, self.part.pool) if self.part.pool else spikes)
        append(self.spike_file, spikes)
        append(self.membrane_file, self.u, np.int32)

    def show(self, stored: Array) -> None:
        """Send what is stored, in levels, to a prior, if there is one."""
        if self.shown:
            self.m_out.send(stored // (self.threshold // self.part.settings["membrane"]["parts"]))

    def update(
        self, current: Array, multiplier: int, shift: int, reset: str, membrane: Mapping[str, int] | None
    ) -> Array:
        """The spikes of one step; `u` is what is stored. The others: the options of an IntLIF."""
        if multiplier == 1:
            self.u >>= shift
        else:
            self.u[:] = (self.u.astype(np.int64) * multiplier) >> shift
        self.u += self.bias
        self.u += current
        spikes: Array = self.u >= self.threshold
        RESETS[reset](self.u, self.threshold, spikes)
        if membrane is not None:
            self.u[:] = to_level(self.u, self.threshold, **membrane)
        return spikes


def to_level(u: Array, threshold: Array, low: int, high: int, parts: int) -> Array:
    """The nearest level of each membrane, of two the lower one; low, high: in thresholds of so many parts."""
    step = threshold.astype(np.int64) // parts
    level: Array = np.clip((2 * u.astype(np.int64) + step - 1) // (2 * step), low * parts, high * parts) * step
    return level


def opened(name: str, wanted: bool) -> BinaryIO | None:
    """An unbuffered file in the job's folder."""
    return open(name, "wb", buffering=0) if wanted else None


def append(file: BinaryIO | None, array: Array, dtype: Any = np.uint8) -> None:
    """All of the array; raises OSError where the disk is full."""
    if file is not None:
        data = np.ascontiguousarray(array, dtype).tobytes()
        written = 0
        while written < len(data):
            written += file.write(data[written:])
