"""Networks that learnt locally as they are deployed: integers alone, the same for the exact simulator, C and Lava.

Their constants are those of the kernels that trained them: nothing is rounded again, but for DECOLLE's readouts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Ints, Labels, Longs, Shape
from qpsnn_core.integer.local.decolle_maps import LayerMap
from qpsnn_core.kernels.neurons.decolle_layout import Dynamics
from qpsnn_core.kernels.neurons.diehl_cook import MEMBRANES, WINNERS, Layers

TESTED = 2**31
"""The number of the first sample that a network responds to without learning: its draws are not those of learning."""


class Stored(NamedTuple):
    """A variable that lives from step to step. low, high: its smallest and largest integer. written: its format."""

    name: str
    shape: tuple[int, ...]
    low: int
    high: int
    written: str


class Codes(NamedTuple):
    """The integers of a format: the smallest, the largest, and how it is written."""

    low: int
    high: int
    written: str


@dataclass(frozen=True, eq=False)
class IntDiehlCook:
    """Diehl & Cook's network in integers: weights `[inputs, neurons]`, thresholds int32 `[neurons]`, as stored.

    layers: the kernel's constants. steps: of a sample. membrane, threshold: their codes. form: "W(Q1.6)-N(Qi.6)". bits:
    memory of weights and neurons (Eqs. 6, 7). assignments: the class of each neuron, -1: none; None: not known.
    classes: how many there are. A sample is spikes `[steps, inputs]`, uint8 0 or 1; it answers with the spikes of each
    neuron.
    """

    layers: Layers
    weights: Array
    thresholds: Ints
    steps: int
    membrane: Codes
    threshold: Codes
    weight: Codes
    form: str
    bits: int
    assignments: Labels | None = None
    classes: int = 0
    name: str = "network"

    @property
    def inputs(self) -> int:
        """Of a step."""
        return int(self.weights.shape[0])

    @property
    def neurons(self) -> int:
        """That answer."""
        return int(self.weights.shape[1])

    @property
    def direct(self) -> bool:
        """Whether neurons inhibit each other, without an inhibitory layer in between."""
        return bool(self.layers.inhibitory.refractory < 0)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of what a step takes."""
        return (self.inputs,)

    @property
    def most(self) -> int:
        """The largest input."""
        return 1

    @property
    def answers(self) -> int:
        """How many numbers a sample is answered with."""
        return self.neurons

    @property
    def streams(self) -> dict[str, int]:
        """Streams of random words, by the variable that they round, or "winner"."""
        return {"winner": WINNERS, "membranes": MEMBRANES}

    @property
    def variables(self) -> tuple[Stored, ...]:
        """What is stored, in the order in which it is compared."""
        n, v = (self.neurons,), self.membrane
        found = [
            Stored("membranes", n, v.low, v.high, v.written),
            Stored("thresholds", n, *self.threshold),
            Stored("refractory", n, 0, self.layers.excitatory.refractory, "steps"),
            Stored("spikes", n, 0, 1, "bit"),
            Stored("counts", n, 0, self.steps, "spikes"),
        ]
        if not self.direct:
            found += [
                Stored("inhibitory.membranes", n, v.low, v.high, v.written),
                Stored("inhibitory.refractory", n, 0, self.layers.inhibitory.refractory, "steps"),
                Stored("inhibitory.spikes", n, 0, 1, "bit"),
            ]
        return tuple(found)

    def class_of(self, answers: Array) -> int:
        """The class whose neurons spike most, on average (all activity), of equal ones the lowest; -1: not known."""
        best, most, many = 0, 0, 1
        if self.assignments is None:
            return -1
        for k in range(self.classes):
            own = self.assignments == k
            spikes, neurons = int(answers[own].sum()), max(int(own.sum()), 1)
            if spikes * many > most * neurons:
                best, most, many = k, spikes, neurons
        return best

    @property
    def digest(self) -> str:
        """SHA-256 of all that the network computes with."""
        return _digest((*_numbers(self.layers), self.weights, self.thresholds, self.steps, self.assignments))


@dataclass(frozen=True, eq=False)
class IntDecolle:
    """DECOLLE's network in integers: weights `[kernel, kernel, channels, outputs]` of each layer, biases `[outputs]`.

    maps: of the layers. dynamics: the kernel's constants. readout: int32 `[features, classes]` of the last layer,
    readout_bias: int64 `[classes]`, both times `2**readout_fraction`. burnin: first steps that do not answer. codes: of
    the variables "q", "p", "r" and "membranes", and of "weights". form, bits: as of IntDiehlCook. A sample is counts
    `[steps, height, width, channels]`, uint8; it answers with how many steps each class had the highest readout.
    """

    maps: tuple[LayerMap, ...]
    dynamics: Dynamics
    weights: tuple[Ints, ...]
    biases: tuple[Ints, ...]
    readout: Ints
    readout_bias: Longs
    readout_fraction: int
    steps: int
    burnin: int
    codes: dict[str, Codes]
    form: str
    bits: int
    name: str = "network"

    @property
    def sample_shape(self) -> Shape:
        """Of what a step takes."""
        return self.maps[0].inputs

    @property
    def most(self) -> int:
        """The largest input."""
        return 255

    @property
    def answers(self) -> int:
        """Classes."""
        return len(self.readout_bias)

    @property
    def variables(self) -> tuple[Stored, ...]:
        """What is stored, in the order in which it is compared: layer by layer, then the votes so far."""
        found = []
        for k, one in enumerate(self.maps):
            shapes = {"q": one.inputs, "p": one.inputs, "r": one.outputs, "membranes": one.outputs}
            found += [Stored(f"layer{k}.{name}", shape, *self.codes[name]) for name, shape in shapes.items()]
            found.append(Stored(f"layer{k}.spikes", one.outputs, 0, 1, "bit"))
        found.append(Stored("votes", (self.answers,), 0, self.steps, "steps"))
        return tuple(found)

    def class_of(self, answers: Array) -> int:
        """The class that has most steps, of equal ones the lowest."""
        return int(answers.argmax())

    @property
    def digest(self) -> str:
        """SHA-256 of all that the network computes with."""
        shapes = np.array([(*one.inputs, *one.outputs, one.kernel, one.padding, one.pool) for one in self.maps])
        arrays = (*self.weights, *self.biases, self.readout, self.readout_bias, shapes)
        return _digest((*_numbers(self.dynamics), *arrays, self.steps, self.burnin, self.readout_fraction))


IntLocal = IntDiehlCook | IntDecolle
"""Every network that learnt locally and can be deployed."""


def _numbers(value: Any) -> Iterator[Any]:
    """The leaves of tuples in tuples."""
    if isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)
    else:
        yield value


def _digest(values: tuple[Any, ...]) -> str:
    total = hashlib.sha256()
    for one in values:
        array = np.zeros(0, np.int64) if one is None else np.ascontiguousarray(one)
        total.update(f"{array.shape} ".encode())
        total.update(array.tobytes() if array.dtype.kind in "iu" else str(array).encode())
    return total.hexdigest()
