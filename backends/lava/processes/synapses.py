"""Synapses: fast models for Lava's own Conv and Dense, and the shortcut. Each sends what it received a step ago.

The products run in BLAS: in float32 where every partial sum stays under 2**24, in float64 otherwise, so that they are
the exact integers. Nothing is clipped and nothing wraps.
"""

from __future__ import annotations

from collections import deque
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
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense

from qpsnn_backends.lava.processes.guard import GuardedModel
from qpsnn_backends.lava.wiring import LavaProcessSpec
from qpsnn_core.common.types import Array

EXACT_IN_FLOAT32 = 2**24


class Shortcut(AbstractProcess):
    """`a_out[x, y, c] = gain[c] * s_in[x*stride, y*stride, channel_map[c]]`, 0 where the map says -1, `delay` later."""

    def __init__(self, part: LavaProcessSpec, gain: Any, channel_map: Any) -> None:
        super().__init__(name=part.name, part=part)
        self.s_in = InPort(shape=part.inputs)
        self.a_out = OutPort(shape=part.outputs)
        self.gain = Var(shape=gain.shape, init=gain)
        self.channel_map = Var(shape=channel_map.shape, init=channel_map)


@implements(proc=Shortcut, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ShortcutModel(GuardedModel):
    """Synapses one to one."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    gain: Array = LavaPyType(np.ndarray, np.int32)
    channel_map: Array = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        part: LavaProcessSpec = proc_params["part"]
        self.stride = part.settings["stride"]
        self.waiting = deque([np.zeros(part.outputs, np.int32)] * part.settings["delay"])

    def step(self) -> None:
        """Send the oldest currents, compute the newest."""
        self.a_out.send(self.waiting.popleft())
        chosen = self.s_in.recv()[:: self.stride, :: self.stride, np.maximum(self.channel_map, 0)]
        self.waiting.append(chosen * np.where(self.channel_map < 0, 0, self.gain))


class SynapseModel(GuardedModel):
    """What the models of Conv and Dense share: one step of delay, boolean or graded messages."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.ready: npt.NDArray[np.int32] | None = None
        self.matrix: Array = np.zeros((0, 0))

    def exact(self, weight: npt.NDArray[np.int32]) -> Array:
        """The weights [out, ...] as floats in which no partial sum is rounded; [..., out]."""
        max_count = max((1 << int(self.num_message_bits.item())) - 1, 1)
        rows = np.abs(weight.astype(np.int64)).reshape(len(weight), -1)
        narrow = int(rows.sum(1).max()) * max_count < EXACT_IN_FLOAT32
        return np.moveaxis(weight, 0, -1).astype(np.float32 if narrow else np.float64)

    def prepare(self) -> None:
        """Lay out the weights; called once, before the first product."""
        raise NotImplementedError

    def product(self, counts: Array) -> Array:
        """The currents that these counts cause."""
        raise NotImplementedError

    def step(self) -> None:
        """Send the last step's currents, compute the next ones."""
        if self.ready is None:
            self.prepare()
            self.ready = np.zeros(self.a_out.shape, np.int32)
        self.a_out.send(self.ready)
        counts = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            counts = counts != 0
        self.ready = self.product(counts).astype(np.int32) if counts.any() else np.zeros(self.a_out.shape, np.int32)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FastConvModel(SynapseModel):
    """Lava's convolution as one matrix product: the same integers as its own model, hundreds of times faster."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a_buf: Array = LavaPyType(np.ndarray, np.int32)
    weight: Array = LavaPyType(np.ndarray, np.int32)
    kernel_size: Array = LavaPyType(np.ndarray, np.int32)
    stride: Array = LavaPyType(np.ndarray, np.int32)
    padding: Array = LavaPyType(np.ndarray, np.int32)
    dilation: Array = LavaPyType(np.ndarray, np.int32)
    groups: Array = LavaPyType(np.ndarray, np.int32)
    num_message_bits: Array = LavaPyType(np.ndarray, np.int32)
    weight_exp: Array = LavaPyType(np.ndarray, np.int32)
    num_weight_bits: Array = LavaPyType(np.ndarray, np.int32)

    def prepare(self) -> None:
        """The unflipped kernel as [groups, kx*ky*in, out], and room for the padded input and its windows."""
        if (self.dilation != 1).any():
            raise ValueError(f"expected dilation 1, got {self.dilation}")
        outputs, *kernel, inputs = self.weight.shape
        groups = int(self.groups.item())
        matrix = self.exact(self.weight[:, ::-1, ::-1]).reshape(-1, groups, outputs // groups)
        self.matrix = np.ascontiguousarray(matrix.swapaxes(0, 1))
        width, height, _ = self.s_in.shape
        left, top = self.padding.tolist()
        self.padded = np.zeros((width + 2 * left, height + 2 * top, groups * inputs), self.matrix.dtype)
        self.inside = self.padded[left : left + width, top : top + height]
        self.windows = np.zeros((*self.a_out.shape[:2], *kernel, groups * inputs), self.matrix.dtype)

    def product(self, counts: Array) -> Array:
        """(W', H', out) from (W, H, in)."""
        self.inside[:] = counts
        width, height, kx, ky, _ = self.windows.shape
        right, down = self.stride.tolist()
        for x in range(kx):
            for y in range(ky):
                self.windows[:, :, x, y] = self.padded[x : x + width * right : right, y : y + height * down : down]
        groups = len(self.matrix)
        by_group = self.windows.reshape(width * height, kx * ky, groups, -1).transpose(2, 0, 1, 3)
        currents: Array = by_group.reshape(groups, width * height, -1) @ self.matrix
        return currents.swapaxes(0, 1).reshape(self.a_out.shape)


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FastDenseModel(SynapseModel):
    """Lava's dense synapses with weights of any width: its own model clips them to 8 bits."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a_buff: Array = LavaPyType(np.ndarray, np.int32)
    weights: Array = LavaPyType(np.ndarray, np.int32)
    num_message_bits: Array = LavaPyType(np.ndarray, np.int32)

    def prepare(self) -> None:
        """[in, out]."""
        self.matrix = np.ascontiguousarray(self.exact(self.weights))

    def product(self, counts: Array) -> Array:
        """(out,) from (in,)."""
        currents: Array = counts.astype(self.matrix.dtype) @ self.matrix
        return currents
