"""The nodes that turn spikes or images into currents: Conv, Linear, Shortcut, and how weights are quantized."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.pairs import both, check_below, checked_pair
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER, FORMERLY
from qpsnn_core.common.types import Pair
from qpsnn_core.common.validation import check_at_least, check_at_most, check_name, check_number, is_positive
from qpsnn_core.network.gates import check_gates, gates_of
from qpsnn_core.network.values import ValueSpec, check_kind, windows
from qpsnn_core.quantization.formats import AUTO, BY_PLACE, Quantizer

MOST_CHANNELS = 2**20
"""Largest number of output channels of a layer."""

BN_EPSILON = 1e-5
BN_MOMENTUM = 0.1

_QUANTIZER = {FORMERLY: Quantizer(4, "mean")}
_GAIN = {**ADDED_LATER, FORMERLY: 0.0}


@dataclass(frozen=True)
class Conv:
    """`X = BN(sum_{ky,kx,ci} W_hat[ky, kx, ci, co] S[y*stride + ky - padding, x*stride + kx - padding, ci] + bias)`.

    kernel, stride, padding: one number, or (rows, columns). groups: of channels, in order; ci goes over those of co's
    group alone, C_in of them is depthwise (Howard et al., arXiv:1704.04861).

    `quantizer=None` keeps the weights in floating point. `gain`: fresh weights are `N(0, gain / sqrt(k*k*C_in))`; 0:
    Kaiming's of the fan-out, as in the paper. A quantizer that is not given, a quantizer's gamma "auto", and a gain of
    None, the default, are chosen by the Network (network/defaults.py). `sparse`: a weight that is 0 is pruned, and
    stays 0. `gate`, `input_gate`: the names of gates. The sums that `gate` closes are 0, before bias and batch norm; of
    what is read, spikes that `input_gate` closes are 0. `bn_weight`, `initial_shift`: what fresh scales and shifts of
    batch norm (without one, biases) are. Gives a Current.
    """

    name: str
    source: str
    channels: int
    kernel: Pair = 3
    stride: Pair = 1
    padding: Pair = 1
    quantizer: Quantizer | None = field(default=BY_PLACE, metadata=_QUANTIZER)
    bias: bool = False
    batch_norm: bool = True
    sparse: bool = False
    gain: float | None = field(default=None, metadata=_GAIN)
    groups: int = field(default=1, metadata=ADDED_LATER)
    gate: str | None = field(default=None, metadata=ADDED_LATER)
    input_gate: str | None = field(default=None, metadata=ADDED_LATER)
    bn_weight: float = field(default=1.0, metadata=ADDED_LATER)
    initial_shift: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        for label in ("channels", "groups"):
            check_at_least(f"{self.name}.{label}", getattr(self, label), 1)
        for label, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
            object.__setattr__(self, label, checked_pair(f"{self.name}.{label}", getattr(self, label), least))
        check_at_most(f"{self.name}.channels", self.channels, MOST_CHANNELS)
        check_below(f"{self.name}.padding", self.padding, "kernel", self.kernel)
        check_number(f"{self.name}.bn_weight", self.bn_weight, "a positive number", is_positive)
        if self.channels % self.groups:
            raise ConfigError(
                expected(f"{self.name}.groups", f"a divisor of the channels ({self.channels})", self.groups)
            )
        check_weights(self)
        _check_shift(self)

    @property
    def sources(self) -> tuple[str, ...]:
        """The value it reads, and its gates."""
        return (self.source, *gates_of(self))

    def output(self, value: ValueSpec, *masks: ValueSpec) -> ValueSpec:
        """A Current of `channels` maps."""
        check_kind(self.name, self.source, value, "analog", "spikes")
        place = f"{self.name} (from {self.source})"
        if value.shape[2] % self.groups:
            raise ShapeError(
                expected(place, f"channels in {self.groups} groups", Unquoted(f"{value.shape[2]} channels"))
            )
        height, width = windows(place, value.shape, self.kernel, self.stride, self.padding)
        given = ValueSpec("current", (height, width, self.channels))
        if masks:
            check_gates(self, value, given, masks)
        return given

    def weight_shape(self, value: ValueSpec) -> tuple[int, ...]:
        """`(kernel rows, kernel columns, C_in / groups, C_out)`."""
        return (*both(self.kernel), value.shape[2] // self.groups, self.channels)

    @property
    def square(self) -> bool:
        """Whether its window is square, and moves alike along both axes."""
        return not any(isinstance(one, tuple) for one in (self.kernel, self.stride, self.padding))

    @property
    def plain(self) -> bool:
        """Whether it is square and has no groups."""
        return self.square and self.groups == 1


@dataclass(frozen=True)
class Linear:
    """`X[o] = BN(sum_i W_hat[i, o] S[i] + bias[o])`, `i` over (H, W, C) flattened in that order. Gives a Current.

    `gain`: fresh weights are `N(0, gain / sqrt(H*W*C_in))`; 0: `N(0, 0.01)`, as in the paper. The defaults of
    `quantizer` and `gain`, and `sparse` and `initial_shift`, as in Conv.
    """

    name: str
    source: str
    features: int
    quantizer: Quantizer | None = field(default=BY_PLACE, metadata=_QUANTIZER)
    bias: bool = True
    batch_norm: bool = False
    sparse: bool = False
    gain: float | None = field(default=None, metadata=_GAIN)
    initial_shift: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_at_least(f"{self.name}.features", self.features, 1)
        check_at_most(f"{self.name}.features", self.features, MOST_CHANNELS)
        check_weights(self)
        _check_shift(self)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    @property
    def channels(self) -> int:
        """Output features are channels of a 1x1 map."""
        return self.features

    def output(self, value: ValueSpec) -> ValueSpec:
        """A Current of shape (1, 1, features)."""
        check_kind(self.name, self.source, value, "analog", "spikes")
        return ValueSpec("current", (1, 1, self.features))

    def weight_shape(self, value: ValueSpec) -> tuple[int, ...]:
        """`(H * W * C_in, features)`."""
        height, width, channels = value.shape
        return (height * width * channels, self.features)


@dataclass(frozen=True)
class Shortcut:
    """`X[y, x, c] = S[y*stride, x*stride, channel_map[c]]`, zero where the map says -1. No weights. Gives a Current.

    `channel_map=None`: the source's channels in order, then zeros.
    """

    name: str
    source: str
    channels: int
    stride: int = 1
    channel_map: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_at_least(f"{self.name}.channels", self.channels, 1)
        check_at_most(f"{self.name}.channels", self.channels, MOST_CHANNELS)
        check_at_least(f"{self.name}.stride", self.stride, 1)
        if self.channel_map is not None and len(self.channel_map) != self.channels:
            raise ShapeError(expected(f"{self.name}.channel_map", f"{self.channels} entries", len(self.channel_map)))

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """A Current of `channels` maps, subsampled by `stride`."""
        check_kind(self.name, self.source, value, "spikes")
        height, width, inputs = value.shape
        if self.channel_map is None and inputs > self.channels:
            raise ShapeError(
                expected(f"{self.name}.channels", f"at least {inputs} (from {self.source})", self.channels)
            )
        for index in self.channel_map or ():
            if not -1 <= index < inputs:
                raise ShapeError(
                    expected(f"{self.name}.channel_map", f"-1 to {inputs - 1} (from {self.source})", index)
                )
        return ValueSpec("current", (-(-height // self.stride), -(-width // self.stride), self.channels))

    def mapping(self, inputs: int) -> tuple[int, ...]:
        """The source channel of each output channel, -1 for none."""
        if self.channel_map is not None:
            return self.channel_map
        return tuple(c if c < inputs else -1 for c in range(self.channels))


Synapse = Conv | Linear


class HasWeights(Protocol):
    """What nodes with weights have in common."""

    @property
    def name(self) -> str:
        """Of the node."""

    @property
    def quantizer(self) -> Quantizer | None:
        """Of the weights."""

    @property
    def sparse(self) -> bool:
        """Whether a weight that is 0 stays 0."""

    @property
    def gain(self) -> float | None:
        """Of fresh weights."""


def _check_shift(node: Conv | Linear) -> None:
    check_number(f"{node.name}.initial_shift", node.initial_shift, "a finite number", math.isfinite)
    if node.initial_shift and not (node.bias or node.batch_norm):
        want = "0, as it has neither batch norm nor biases"
        raise ConfigError(expected(f"{node.name}.initial_shift", want, node.initial_shift))


def check_weights(node: HasWeights) -> None:
    """ConfigError: a gain that is no number of at least 0; pruned weights without a code for 0."""
    if node.gain is not None:
        check_number(
            f"{node.name}.gain", node.gain, "a number of at least 0, or None", lambda gain: 0 <= gain < math.inf
        )
    if type(node.sparse) is not bool:
        raise ConfigError(expected(f"{node.name}.sparse", "true or false", node.sparse))
    own = node.quantizer
    if node.sparse and own is not None and own.gamma != AUTO and not own.zero:
        raise ConfigError(expected(f"{node.name}.quantizer.zero", "true where weights are pruned", False))


def neighbours(indices: Iterable[int]) -> slice | list[int]:
    """Channels side by side as a slice, which NumPy copies many times faster; others as they are."""
    found = [int(index) for index in indices]
    if found and found == list(range(found[0], found[0] + len(found))):
        return slice(found[0], found[0] + len(found))
    return found
