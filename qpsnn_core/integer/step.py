"""What the operations of the exact simulator take and give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from qpsnn_core.common.types import Array, NamedArrays
from qpsnn_core.integer.value_specs import IntValueSpec


class IntCurrent(NamedTuple):
    """`X = gain * acc` per channel, not multiplied out. acc: integers [T or 1, B, H, W, C]; gain: int32 [C]."""

    acc: Array
    gain: Array


class OperationContext(NamedTuple):
    """What an operation gets besides its inputs: the node's arrays, and the values it reads and gives.

    keep: whether a LIF's membranes are wanted. ready: what was made of the node's arrays for an earlier plan. room:
    gives memory, as `numpy.empty` does. initial: a LIF's membranes before the first step, int32 [B, H, W, C]; None: 0.
    """

    arrays: NamedArrays
    reads: tuple[IntValueSpec, ...]
    gives: IntValueSpec
    steps: int
    keep: bool
    ready: dict[str, Any]
    room: Callable[[tuple[int, ...], Any], Array]
    initial: Array | None = None


class Fired(NamedTuple):
    """What a LIF gives: spikes uint8 [T, B, H, W, C], and membranes after reset, int32 (None: not kept).

    step: int32 [C], what one level of a membrane is; None: whole. initial: membranes before the first step; None: 0.
    """

    spikes: Array
    membranes: Array | None
    step: Array | None = None
    initial: Array | None = None


class Step(NamedTuple):
    """What a node gives, an array, an IntCurrent or a Fired, and the call that writes it from the node's inputs."""

    value: Any
    run: Callable[[], object]
