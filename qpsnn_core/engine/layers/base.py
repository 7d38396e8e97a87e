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
        return CurrentGradient(self.array + other.array, self.sums + other.sums, self.products + other.products)


class LayerContext(NamedTuple):
    """What a layer's forward gets besides its inputs: the arrays of its node, and the settings of the pass.

    needs_input_grad: whether the backward pass will need the gradient of the inputs. parts: how many parts each sum
    over samples has (`parts_of`), 0 for as many as the batch alone says. arithmetic: of ARITHMETICS. draw: the key of
    this node's random words in this pass, for dropout; None: nothing is left out.
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

    Gradients are with respect to the stored integers of spikes (float32), and to the real current X (CurrentGradient).
    """

    init: Callable[..., tuple[NamedFloats, NamedFloats]]
    forward: Callable[..., LayerOutput]
    backward: Callable[..., Gradients]


def nothing(node: Any, inputs: tuple[ValueSpec, ...], rng: np.random.Generator) -> tuple[NamedFloats, NamedFloats]:
    """The init of a layer without arrays."""
    return {}, {}


def rows(array: Array) -> Array:
    """Any array as contiguous [rows, C]."""
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])
