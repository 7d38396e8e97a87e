"""All kernel calls of an integer network for images of one shape, with their memory: made once, run many times.

What the interpreter does between two kernels (shapes, tables of channels, memory from the system) takes a tenth and
more of the time of a small network; a plan does it once. The plans that ran last are kept with their networks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from math import prod
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntMembrane, IntNode
from qpsnn_core.integer.operations import OPERATIONS
from qpsnn_core.integer.step import Fired, IntCurrent, OperationContext
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.network.ordered_graph import sources_of

KEPT = 2**27
"""Bytes that all plans which wait for their next run may take together; those that ran longest ago go first."""

_ready: WeakKeyDictionary[IntegerNetwork, dict[str, dict[str, Any]]] = WeakKeyDictionary()
_waiting: WeakKeyDictionary[IntegerNetwork, dict[Key, Plan]] = WeakKeyDictionary()
_turns = count()
_lock = Lock()


class Key(NamedTuple):
    """What a plan of a network depends on.

    shape: of the images, [T or 1, B, H, W, C]. keep: the LIF whose membranes are kept. initial: those whose membranes
    before the first step are given.
    """

    shape: tuple[int, ...]
    keep: frozenset[str]
    initial: frozenset[str]


class Planned(NamedTuple):
    """A node of a plan: what it gives, as in an operation's Step, once `run` was called."""

    name: str
    value: Any
    run: Callable[[], object]


class Plan:
    """The steps of a network for images of one shape. A value lasts until the last node that reads it has run."""

    def __init__(self, network: IntegerNetwork, key: Key) -> None:
        self._memory = Memory()
        self.images = np.empty(key.shape, image_type(network.input.low, network.input.peak))
        batch = key.shape[1]
        self.initial = {name: np.empty((batch, *network.shape(name)), np.int32) for name in key.initial}
        self.steps: list[Planned] = []
        left = {node.name: len(network.consumers(node.name)) for node in network}
        for one in prepared(network, self.images, self.initial, key.keep, self._memory.take):
            self.steps.append(one)
            sources = sources_of(network[one.name])
            self._memory.hold(one.name, arrays_of(one.value), sources)
            for source in sources:
                left[source] -= 1
                if not left[source]:
                    self._memory.release(source)
        own = self.images.nbytes + sum(array.nbytes for array in self.initial.values())
        self.bytes = own + self._memory.bytes
        self.turn = 0

    def run(self, images: Array, initial: Mapping[str, Array]) -> Iterator[tuple[str, Any]]:
        """Each node's name and what it gives, in order. images: integers; initial: membranes; both of the key's."""
        np.copyto(self.images, images, casting="unsafe")
        for name, membranes in self.initial.items():
            np.copyto(membranes, initial[name])
        for name, value, run in self.steps:
            run()
            yield name, value


class Memory:
    """Blocks for the values of one plan: a block is taken again as soon as no value in it is still read."""

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._new: list[Array] = []
        self._held: dict[str, list[Array]] = {}
        self.bytes = 0

    def take(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array, of the smallest free block that has room for it, and of which it takes half or more."""
        size = prod(shape) * np.dtype(dtype).itemsize
        fitting = [place for place, block in enumerate(self._free) if size <= len(block) <= 2 * size]
        if fitting:
            block = self._free.pop(min(fitting, key=lambda place: len(self._free[place])))
        else:
            block = empty((size,), np.uint8)
            self.bytes += size
        self._new.append(block)
        found: Array = block[:size].view(dtype).reshape(shape)
        return found

    def hold(self, name: str, arrays: list[Array], sources: Collection[str]) -> None:
        """What was taken since the last call is the node's, and what its value has in common with its sources'."""
        shared = [block for source in sources for block in self._held.get(source, ()) if _within(block, arrays)]
        self._held[name], self._new = self._new + shared, []

    def release(self, name: str) -> None:
        """The node's value is not read any more; its blocks are free, but for those that another node holds."""
        blocks = self._held.pop(name, [])
        others = {id(block) for held in self._held.values() for block in held}
        self._free += {id(block): block for block in blocks if id(block) not in others}.values()


def prepared(
    network: IntegerNetwork,
    images: Array,
    initial: Mapping[str, Array],
    keep: Collection[str],
    room: Callable[[tuple[int, ...], Any], Array],
) -> Iterator[Planned]:
    """The nodes' operations on these arrays, in order, each with memory from `room`.

    images: [T or 1, B, H, W, C], in the type of `image_type`. initial: membranes before the first step, by LIF.
    keep: the LIF whose membranes are wanted, besides those that a prior reads. A value that the caller drops is dropped
    here after its last reader.
    """
    kept = {*keep, *(node.source for node in network.of(IntMembrane))}
    left = {node.name: len(network.consumers(node.name)) for node in network}
    with _lock:
        ready = _ready.setdefault(network, {node.name: {} for node in network})
    values: dict[str, Any] = {}
    for node in network:
        sources = sources_of(node)
        inputs = [_read(node, values[source]) for source in sources] or [images]
        reads = tuple(network.values[source] for source in sources)
        given = network.arrays[node.name], reads, network.values[node.name], network.steps
        context = OperationContext(*given, node.name in kept, ready[node.name], room, initial.get(node.name))
        step = OPERATIONS[node](node, context, *inputs)
        yield Planned(node.name, step.value, step.run)
        values[node.name] = step.value
        for source in sources:
            left[source] -= 1
            if not left[source]:
                del values[source]
        del inputs, step


def _read(node: IntNode, value: Any) -> Any:
    """Of a LIF its spikes, but what reads membranes gets all of it."""
    return value.spikes if isinstance(value, Fired) and type(node) is not IntMembrane else value


def arrays_of(value: Any) -> list[Array]:
    """The arrays of what a node gives that another may read or a caller record."""
    if isinstance(value, Fired):
        return [value.spikes] if value.membranes is None else [value.spikes, value.membranes]
    return [value.acc if isinstance(value, IntCurrent) else value]


@contextmanager
def plan_for(network: IntegerNetwork, key: Key) -> Iterator[Plan]:
    """A plan that nobody else runs meanwhile: one that waits, or a new one; it waits again after the block.

    One that an exception leaves is forgotten. Of several with one key, those of several threads, one waits.
    """
    with _lock:
        plan = _waiting.get(network, {}).pop(key, None)
    if plan is None:
        plan = Plan(network, key)
    yield plan
    with _lock:
        plan.turn = next(_turns)
        _waiting.setdefault(network, {})[key] = plan
        _forget(KEPT)


def forget_plans() -> None:
    """Give back the memory of all plans that wait."""
    with _lock:
        _forget(0)


def _forget(most: int) -> None:
    """Forget plans that wait, those that ran longest ago first, until the others take `most` bytes at most."""
    plans = [(plan.turn, key, own) for own in _waiting.values() for key, plan in own.items()]
    total = sum(own[key].bytes for _, key, own in plans)
    for _, key, own in sorted(plans, key=lambda one: one[0]):
        if total <= most:
            break
        total -= own.pop(key).bytes


def _within(block: Array, arrays: list[Array]) -> bool:
    return any(np.may_share_memory(block, array) for array in arrays)
