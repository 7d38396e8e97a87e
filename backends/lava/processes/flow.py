"""Processes without weights: where images enter, where spikes are pooled or wait, where currents are summed up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.wiring import LavaProcessSpec, Pool, Wiring
from qpsnn_core.common.types import Array


class Source(AbstractProcess):
    """Sends sample s at the T steps from s*T on: `images.npy` is [B, W, H, C], the same each step, or [T, B, ...]."""

    def __init__(self, part: LavaProcessSpec, wiring: Wiring) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.s_out = OutPort(shape=part.outputs)


class Relay(AbstractProcess):
    """Sends what it reads, pooled, some steps later, among zeros or repeated: a part of kind "pool" or "delay"."""

    def __init__(self, part: LavaProcessSpec) -> None:
        super().__init__(name=part.name, part=part)
        self.s_in = InPort(shape=part.inputs)
        self.s_out = OutPort(shape=part.outputs)


class Readout(AbstractProcess):
    """`Y = sum_t (a_in[t] + bias)` of each sample, or what ANSWERS says of a membrane of them.

    Appended to `NAME.readout` as int64 [H, W, classes].
    """

    def __init__(self, part: LavaProcessSpec, wiring: Wiring, bias: Any) -> None:
        super().__init__(name=part.name, part=part, wiring=wiring)
        self.a_in = InPort(shape=part.inputs)
        self.y = Var(shape=part.inputs, init=0)
        self.bias = Var(shape=bias.shape, init=bias)


ANSWERS: dict[str, Callable[[Array, Array], Array]] = {
    "mean": np.add,
    "last": lambda answer, membrane: membrane,
    "max": np.maximum,
}
"""By the readout's mode, the answer after a step, from that before it and the membrane."""


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SourceModel(GuardedModel):
    """Reads the images from the job's folder as they are needed."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.wiring: Wiring = proc_params["wiring"]
        self.images = np.load("images.npy", mmap_mode="r", allow_pickle=False)
        self.silence = np.zeros(proc_params["part"].outputs, np.int32)

    def step(self) -> None:
        """The image, or event frame, of this step; silence after the last."""
        sample, frame = divmod(self.time_step - 1, self.wiring.steps)
        if sample >= self.wiring.samples:
            self.s_out.send(self.silence)
        elif self.images.ndim == 5:
            self.s_out.send(self.images[frame, sample].astype(np.int32))
        else:
            self.s_out.send(self.images[sample].astype(np.int32))


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RelayModel(GuardedModel):
    """A queue as long as the delay; without one it answers within the step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]
        delay = self.part.settings.get("delay", 0)
        self.waiting = deque([np.zeros(self.part.outputs, np.int32)] * delay)

    def step(self) -> None:
        """Send the oldest, keep the newest."""
        if self.waiting:
            self.s_out.send(self.waiting.popleft())
            self.waiting.append(self.s_in.recv())
            return
        value = self.s_in.recv()
        if "first" in self.part.settings:
            first, whole = self.part.settings["first"], np.zeros(self.part.outputs, np.int32)
            whole[..., first : first + value.shape[2]] = value
            value = whole
        if "repeat" in self.part.settings:
            value = value.repeat(self.part.settings["repeat"], 0).repeat(self.part.settings["repeat"], 1)
        self.s_out.send(pooled(value, self.part.pool) if self.part.pool else value)


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ReadoutModel(GuardedModel):
    """Starts each sample at 0, writes its sums after its last step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    y: Array = LavaPyType(np.ndarray, np.int64)
    bias: Array = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.part: LavaProcessSpec = proc_params["part"]
        self.wiring: Wiring = proc_params["wiring"]
        self.file = open(f"{self.part.name}.readout", "wb", buffering=0)  # noqa: SIM115 - open as long as the process lives
        settings = self.part.settings
        self.answer = ANSWERS[settings["mode"]]
        self.multiplier, self.shift = settings["multiplier"], settings["shift"]
        self.membrane: Array = np.zeros(self.part.inputs, np.int64)

    def step(self) -> None:
        """Add this step's currents to the membrane, and that to the answer, of the sample they belong to."""
        current = self.a_in.recv()
        sample, step = divmod(self.time_step - 1 - self.part.latency, self.wiring.steps)
        if not 0 <= sample < self.wiring.samples:
            return
        if step == 0:
            self.membrane[:] = 0
        self.membrane = ((self.membrane * self.multiplier) >> self.shift) + current + self.bias
        self.y[:] = self.answer(self.y, self.membrane) if step else self.membrane
        if step == self.wiring.steps - 1:
            self.file.write(np.ascontiguousarray(self.y.swapaxes(0, 1)).tobytes())


def pooled(counts: npt.NDArray[Any], pool: Pool) -> npt.NDArray[Any]:
    """The largest count (of the same type) or the sum (int32) of each window. counts, and the result: (W, H, C)."""
    (left, top), (across, down), (columns, rows) = pool.padding, pool.stride, pool.size
    least = np.iinfo(counts.dtype).min if pool.largest and counts.dtype.kind == "i" else 0
    edges = ((left, left), (top, top), (0, 0))
    padded = np.pad(counts, edges, constant_values=least) if left or top else counts
    width, height = (padded.shape[0] - columns) // across + 1, (padded.shape[1] - rows) // down + 1
    combine = np.maximum if pool.largest else np.add
    result = np.full((width, height, counts.shape[2]), least, counts.dtype if pool.largest else np.int32)
    for x in range(columns):
        for y in range(rows):
            combine(result, padded[x : x + width * across : across, y : y + height * down : down], out=result)
    return result
