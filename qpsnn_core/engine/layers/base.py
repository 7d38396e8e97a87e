"""The contract of a layer: three functions (init, forward, backward) and their arguments and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.arithmetic import PORTABLE
from qpsnn_core.common.types import Array, Floats, NamedFloats
from qpsnn_core.network.values import ValueSpec


class Current(NamedTuple):
    """`X = scale*acc + shift` per channel, not multiplied out.

    acc: int16, int32 or float32 [T or 1, B, H, W, C] (1: the same at every step); scale, shift: float32 [C].
    """

    acc: Array
    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class CurrentGradient:
    """dL/dX of a current: `array`, float32, shaped as its acc, and two float64 [C] that batch norm needs of it.

    sums, products: of the gradient, and of the gradient times acc, over all but the channels.
    """

    array: Floats
    sums: Array
    products: Array

    def __add__(self, other: CurrentGradient) -> CurrentGradient:
        """Of a current that goes to two neurons."""
        return self.added(other, self.array + other.array)

    def added(self, other: CurrentGradient, array: Floats) -> CurrentGradient:
        """The same, with the sum of both arrays given."""
        return CurrentGradient(array, self.sums + other.sums, self.products + other.products)


@dataclass(frozen=True, eq=False)
class MaskGradient:
    """What a synapse tells its gate. task: dL/dM of the mask, float32 [T or 1, B, H, W, 1], for places; else None.

    activations: one for each synapse, what it would have given without the gate: the magnitudes of its sums (or the
    spikes that it reads) added up over places, [T or 1, B, 1, 1, C], for channels; over channels, [T or 1, B, H, W, 1],
    for places.
    """

    task: Floats | None
    activations: tuple[Array, ...] = ()

    def __add__(self, other: MaskGradient) -> MaskGradient:
        """Of a gate that several synapses take."""
        tasks = [one.task for one in (self, other) if one.task is not None]
        task = tasks[0] + tasks[1] if len(tasks) > 1 else tasks[0] if tasks else None
        return MaskGradient(task, self.activations + other.activations)


class LayerContext(NamedTuple):
    """What a layer's forward gets besides its inputs: the arrays of its node, and the settings of the pass.

    needs_input_grad: whether the backward pass will need the gradient of the inputs. parts: how many parts each sum
    over samples has (`parts_of`), 0 for as many as the batch alone says. arithmetic: of ARITHMETICS. draw: the key of
    this node's random words in this pass, for dropout; None: nothing is left out. sums: currents that were added up in
    this pass, by the names of their nodes in order, for neurons that read some more; None: each adds up its own.
    """

    params: NamedFloats
    state: NamedFloats
    inputs: tuple[ValueSpec, ...]
    steps: int
    train: bool
    needs_input_grad: bool
    parts: int = 0
    arithmetic: str = PORTABLE
    draw: int | None = None
    sums: dict[tuple[str, ...], Floats] | None = None


class LayerOutput(NamedTuple):
    """What a layer's forward gives: a value, what its backward needs, and the node's new running statistics."""

    value: Any
    cache: Any
    state: NamedFloats


class Gradients(NamedTuple):
    """What a layer's backward gives: a gradient for each input (None: not needed), and for each parameter."""

    inputs: tuple[Any, ...]
    params: NamedFloats


class Layer(NamedTuple):
    """`init(node, inputs, rng) -> (params, state)`; `forward(node, context, *values) -> LayerOutput`;
    `backward(node, cache, gradient) -> Gradients`.

    Gradients are with respect to the stored integers of spikes (float32), to the real current X (CurrentGradient), and
    to a mask (MaskGradient). reads: `(source, its cache, its value) -> value`, of a layer that reads something else
    than what its source gives.
    """

    init: Callable[..., tuple[NamedFloats, NamedFloats]]
    forward: Callable[..., LayerOutput]
    backward: Callable[..., Gradients]
    reads: Callable[[Any, Any, Array], Array] | None = None


def nothing(node: Any, inputs: tuple[ValueSpec, ...], rng: np.random.Generator) -> tuple[NamedFloats, NamedFloats]:
    """The init of a layer without arrays."""
    return {}, {}


def rows(array: Array) -> Array:
    """Any array as contiguous [rows, C]."""
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])
