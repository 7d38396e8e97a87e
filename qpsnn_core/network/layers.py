"""Layers to write a network with: the options of a node, without the name and the sources that a builder gives it.

`sequential` and `Builder` (network/builder.py) take them. Each has the options of the node of its name, whose docstring
(network/nodes.py, network/synapses.py) has the equation. A layer is data, so one may stand at several places.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.pairs import both, checked_pair
from qpsnn_core.common.types import Pair, Shape
from qpsnn_core.network import nodes, synapses
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.pools import READS
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import Quantizer


@dataclass(frozen=True)
class Layer:
    """What all layers have in common. name: of the node; "" lets the builder choose, such as "conv2".

    kind: of the node. prefix: of the names that a builder gives. reads: the kinds of value (network/values.py). many:
    whether it reads several.
    """

    kind: ClassVar[type[Any]]
    prefix: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    many: ClassVar[bool] = False
    name: str = field(default="", kw_only=True)

    def __repr__(self) -> str:
        """Only what differs from the defaults, the name last."""
        known = sorted(fields(self), key=lambda one: one.name == "name")
        options = [f"{one.name}={value!r}" for one in known if (value := getattr(self, one.name)) != one.default]
        return f"{type(self).__name__}({', '.join(options)})"

    def options(self, place: str, values: tuple[ValueSpec, ...]) -> dict[str, Any]:
        """The node's options, for these values that it reads; place: what messages call the node."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}

    def node(self, name: str, sources: tuple[str, ...], values: tuple[ValueSpec, ...]) -> nodes.Node:
        """The node. Raises ConfigError or ShapeError, naming it and the option."""
        reads: Any = {"sources": sources} if self.many else {"source": sources[0]} if sources else {}
        made: nodes.Node = self.kind(name=name, **reads, **self.options(name, values))
        return made


@dataclass(frozen=True, repr=False)
class Input(Layer):
    """What the network reads, where that is not images of 0..255: `Input((8, 8, 2), scale=1.0, spikes=True)`: events.

    The builder's first argument; images need no more than their shape there. low: below 0 for signed images.
    """

    kind = nodes.Input
    prefix = "input"
    reads = ()
    shape: Shape
    peak: int | None = nodes.Input.peak
    scale: float = nodes.Input.scale
    spikes: bool = nodes.Input.spikes
    low: int = nodes.Input.low


@dataclass(frozen=True, repr=False)
class Conv(Layer):
    """A convolution with batch norm. Reads images or spikes, gives a Current.

    channels: of the output. kernel, stride: in pixels, one number both ways or (rows, columns). padding: None is
    `kernel // 2`, which keeps the size of the map at a stride of 1 (for an odd kernel). groups: of channels that are
    convolved apart; as many as it reads: depthwise. quantizer: None is floating point; the default is chosen by the
    place of the layer, with the builder's `bits`. bias: before batch norm. batch_norm: without it, quantizer and gain
    change as well. sparse: a weight that is 0 is pruned, and stays 0. gain: of fresh weights, drawn from
    `N(0, gain / sqrt(inputs of a window))`; 0 is Kaiming's of the fan-out; None is chosen by the place.
    gate, input_gate: names of gates that mask its sums, and the spikes that it reads. bn_weight, initial_shift: of
    fresh scales and shifts of batch norm, or biases.
    """

    kind = synapses.Conv
    prefix = "conv"
    reads = ("analog", "spikes")
    channels: int
    kernel: Pair = synapses.Conv.kernel
    stride: Pair = synapses.Conv.stride
    padding: Pair | None = None
    quantizer: Quantizer | None = synapses.Conv.quantizer
    bias: bool = synapses.Conv.bias
    batch_norm: bool = synapses.Conv.batch_norm
    sparse: bool = synapses.Conv.sparse
    gain: float | None = synapses.Conv.gain
    groups: int = synapses.Conv.groups
    gate: str | None = synapses.Conv.gate
    input_gate: str | None = synapses.Conv.input_gate
    bn_weight: float = synapses.Conv.bn_weight
    initial_shift: float = synapses.Conv.initial_shift

    def options(self, place: str, values: tuple[ValueSpec, ...]) -> dict[str, Any]:
        """With the padding as numbers."""
        found = super().options(place, values)
        if self.padding is None:
            found["padding"] = tuple(one // 2 for one in both(checked_pair(f"{place}.kernel", self.kernel, 1)))
        return found


@dataclass(frozen=True, repr=False)
class Linear(Layer):
    """A fully connected layer, over (H, W, C) flattened in that order. Reads images or spikes, gives a Current.

    The last one gives the logits; with a LIF behind it, that one's spikes are counted. features: of the output. gain:
    of fresh weights, drawn from `N(0, gain / sqrt(numbers read))`; 0 is `N(0, 0.01)`; None is chosen by the place. The
    others as of Conv.
    """

    kind = synapses.Linear
    prefix = "linear"
    reads = ("analog", "spikes")
    features: int
    quantizer: Quantizer | None = synapses.Linear.quantizer
    bias: bool = synapses.Linear.bias
    batch_norm: bool = synapses.Linear.batch_norm
    sparse: bool = synapses.Linear.sparse
    gain: float | None = synapses.Linear.gain
    initial_shift: float = synapses.Linear.initial_shift


@dataclass(frozen=True, repr=False)
class Shortcut(Layer):
    """Spikes led past other layers, as a Current: every `stride`-th pixel, channel by channel; without weights.

    channels: None is as many as it reads; of more, the others are 0. channel_map: the source of each channel.
    """

    kind = synapses.Shortcut
    prefix = "shortcut"
    reads = ("spikes",)
    channels: int | None = None
    stride: int = synapses.Shortcut.stride
    channel_map: tuple[int, ...] | None = synapses.Shortcut.channel_map

    def options(self, place: str, values: tuple[ValueSpec, ...]) -> dict[str, Any]:
        """With the number of channels."""
        found = super().options(place, values)
        if self.channels is None:
            found["channels"] = len(self.channel_map) if self.channel_map is not None else values[0].shape[2]
        return found


@dataclass(frozen=True, repr=False)
class LIF(Layer):
    """Neurons, which sum the Currents that they read: `U~[t] = beta*U[t-1] + X[t]`, and fire where U~ >= threshold.

    threshold: in units of the membrane potential. beta: the share of it that is left after a step, 0 to 1. tau:
    instead of beta, the time constant in steps, at least 1: `beta = 1 - 1/tau`; the current is not divided by it.
    reset: a spike sets the potential to "zero", or "subtract": takes the threshold off it. surrogate: whose derivative
    stands in for a spike's in training, "triangle", "sigmoid", "arctan" or "rectangular", of that `width`.
    detach_reset: no gradient through the reset. membrane: a MembraneQuantizer of the potential that is kept from one
    step to the next; None keeps it whole. learn: ("threshold",), ("leak",) or both are trained from those values on;
    learn_per: one for the "layer" or for each "channel". threshold_gradient: "surrogate", or "spquant" as published.
    """

    kind = nodes.LIF
    prefix = "lif"
    reads = ("current",)
    many = True
    threshold: float = nodes.LIF.threshold
    beta: float = nodes.LIF.beta
    surrogate: str = nodes.LIF.surrogate
    width: float = nodes.LIF.width
    detach_reset: bool = nodes.LIF.detach_reset
    reset: str = nodes.LIF.reset
    tau: float | None = nodes.LIF.tau
    membrane: MembraneQuantizer | None = nodes.LIF.membrane
    learn: tuple[str, ...] = nodes.LIF.learn
    learn_per: str = nodes.LIF.learn_per
    threshold_gradient: str = nodes.LIF.threshold_gradient


@dataclass(frozen=True, repr=False)
class MaxPool(Layer):
    """The largest of each window of spikes, of an image, or of a Current in front of a LIF.

    size, stride, padding: one number, or (rows, columns). stride: 0 is `size`, windows side by side.
    """

    kind = nodes.MaxPool
    prefix = "pool"
    reads = READS
    size: Pair = nodes.MaxPool.size
    stride: Pair = nodes.MaxPool.stride
    padding: Pair = nodes.MaxPool.padding


@dataclass(frozen=True, repr=False)
class AvgPool(Layer):
    """The mean of each window of spikes, of an image, or of a Current in front of a LIF.

    size, stride: one number, or (rows, columns). size: None is the whole map. stride: 0 is `size`.
    """

    kind = nodes.AvgPool
    prefix = "average"
    reads = READS
    size: Pair | None = nodes.AvgPool.size
    stride: Pair = nodes.AvgPool.stride

    def options(self, place: str, values: tuple[ValueSpec, ...]) -> dict[str, Any]:
        """With the size as numbers."""
        found = super().options(place, values)
        if self.size is None:
            found["size"] = values[0].shape[:2]
        return found


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training alone, spikes or pixels left out at random, the same at all steps of a sample. rate: the chance."""

    kind = nodes.Dropout
    prefix = "dropout"
    reads = ("spikes", "analog")
    rate: float = nodes.Dropout.rate


@dataclass(frozen=True, repr=False)
class SelfAttention(Layer):
    """Spiking self-attention of three trains of spikes, queries, keys and values: `scale * (q k^T) v` in each head.

    heads: runs of channels side by side, of equal size. Gives a Current, which a LIF() makes spikes of.
    """

    kind = nodes.SelfAttention
    prefix = "attention"
    reads = ("spikes",)
    many = True
    heads: int
    scale: float = nodes.SelfAttention.scale

    def node(self, name: str, sources: tuple[str, ...], values: tuple[ValueSpec, ...]) -> nodes.Node:
        """The node. Raises as of any layer, and ConfigError unless it reads three values."""
        if len(sources) != 3:
            want = "three values: queries, keys and values"
            raise ConfigError(expected(f"{name}.sources", want, Unquoted(", ".join(sources))))
        return nodes.SelfAttention(name, *sources, **self.options(name, values))


@dataclass(frozen=True, repr=False)
class Readout(Layer):
    """The Current of the last layer as logits, or its spikes, counted; a builder adds it where it is not written.

    mode: of the membrane `U[t] = beta*U[t-1] + X[t]` over the steps: "mean", "last" or "max". beta, tau: the leak, as
    of LIF; None, with "mean", is 0: the mean of the currents. places: "one" pixel is read, or "each" of a map.
    """

    kind = nodes.Readout
    prefix = "readout"
    reads = ("current", "spikes")
    mode: str = nodes.Readout.mode
    beta: float | None = nodes.Readout.beta
    tau: float | None = nodes.Readout.tau
    places: str = nodes.Readout.places


class Branches:
    """Several ways from one value: `Branches([Conv(64), LIF(), Conv(64)], [Shortcut()])`; what follows joins them.

    paths: lists of layers; an empty one is the value itself. A LIF() behind them sums Currents (ResNet), a Sum() adds
    spikes (SEW), a Concat() puts their channels side by side.
    """

    def __init__(self, *paths: list[Layer | Branches]) -> None:
        self.paths = paths

    def __repr__(self) -> str:
        return f"Branches({', '.join(map(repr, self.paths))})"
