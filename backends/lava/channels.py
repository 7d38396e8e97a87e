"""Channels between Lava's processes that wait on their semaphores themselves, without a thread at either end.

Each end of Lava's own has a thread that waits for the other side and then wakes the one that computes: a message costs
four such changes, and a step of a network dozens of messages. Here a slot is taken and handed over by two semaphores,
and that is all; what is sent, and when a sender or a receiver has to wait, is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import Semaphore
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSelector, CspSendPort, Proto, PyPyChannel
from lava.magma.compiler.channels.watchdog import NoOPWatchdog
from lava.magma.runtime.message_infrastructure import multiprocessing as infrastructure

POLL = 1e-4
"""Seconds between two looks where one waits for several channels; ours wait for one."""


class SendPort(CspSendPort):
    """The sender's end. `_ack` counts the slots that are free, `_req` those that are full."""

    def start(self) -> None:
        """Map the slots, in the process that sends; all are free."""
        self._array, self._next = slots(self), 0
        for _ in self._array:
            self._ack.release()

    def probe(self) -> bool:
        """Whether `send` would not have to wait."""
        return bool(self._ack.get_value() > 0)

    def send(self, data: npt.NDArray[Any]) -> None:
        """Put a message into the next slot, once that is free. Raises AssertionError for another shape."""
        if data.shape != self._shape:
            raise AssertionError(f"{self._name}: expected {self._shape}, got {data.shape}")
        self._ack.acquire()
        self._array[self._next][...] = data
        self._next = (self._next + 1) % self._size
        self._req.release()

    def join(self) -> None:
        """Nothing waits in the background."""


class RecvPort(CspRecvPort):
    """The receiver's end."""

    def start(self) -> None:
        """Map the slots, in the process that receives."""
        self._array, self._next = slots(self), 0

    def probe(self) -> bool:
        """Whether `recv` would not have to wait."""
        return bool(self._req.get_value() > 0)

    def wait(self) -> None:
        """Wait until there is a message, and leave it there."""
        self._req.acquire()
        self._req.release()

    def peek(self) -> npt.NDArray[Any]:
        """The next message, which stays; waits until there is one."""
        self.wait()
        message: npt.NDArray[Any] = self._array[self._next].copy()
        return message

    def recv(self) -> npt.NDArray[Any]:
        """The next message; waits until there is one."""
        self._req.acquire()
        message: npt.NDArray[Any] = self._array[self._next].copy()
        self._next = (self._next + 1) % self._size
        self._ack.release()
        return message

    def join(self) -> None:
        """Nothing waits in the background."""


def slots(port: SendPort | RecvPort) -> list[npt.NDArray[Any]]:
    """Each message that the channel can hold, in shared memory."""
    buffer, nbytes = port._shm.buf, int(port._nbytes)
    return [np.ndarray(port._shape, port._dtype, buffer, nbytes * slot) for slot in range(port._size)]


class DirectChannel(PyPyChannel):
    """Made as Lava's own; the watchdogs, which look after its threads, go unused."""

    def __init__(self, infrastructure: Any, source: str, sink: str, shape: Any, dtype: Any, size: int, *_: Any) -> None:
        kind = np.dtype(np.int32 if dtype == 4 else dtype)  # Lava's LavaCDataType.INT32 is 4
        proto = Proto(shape, kind, int(np.prod(shape)) * kind.itemsize)
        memory = infrastructure.smm.create_shared_memory(proto.nbytes * size)
        parts = (memory, proto, size, Semaphore(0), Semaphore(0), NoOPWatchdog(None), NoOPWatchdog(None))
        self._src_port, self._dst_port = SendPort(source, *parts), RecvPort(sink, *parts)


def select(_: CspSelector, *channel_actions: tuple[RecvPort, Callable[[], Any]]) -> Any:
    """Wait until one of the channels has a message, then do what is to be done and return its result."""
    if len(channel_actions) == 1:
        channel_actions[0][0].wait()
    while True:
        for channel, action in channel_actions:
            if channel.probe():
                return action()
        time.sleep(POLL)


def use_direct_channels() -> None:
    """All channels that Lava makes from now on, in this process and its children, are direct ones."""
    infrastructure.PyPyChannel = DirectChannel
    CspSelector.select = select
