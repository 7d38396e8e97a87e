"""The kinds of node: frozen hyper-parameters, no arrays; each docstring is the equation.

Synapses (Conv, Linear, Shortcut), pools, joins, SelfAttention and readouts are next door; `Node` is the union of all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from qpsnn_core.common.errors import ConfigError, ShapeError, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import (
    check_at_least,
    check_choice,
    check_name,
    check_number,
    is_positive,
)
from qpsnn_core.network.attention import SelfAttention as SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout as CurrentReadout
from qpsnn_core.network.dropout import Dropout as Dropout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.images import check_low
from qpsnn_core.network.joins import Concat as Concat
from qpsnn_core.network.joins import Sum as Sum
from qpsnn_core.network.joins import Upsample as Upsample
from qpsnn_core.network.leak import BETA, leak_of
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.pools import AvgPool as AvgPool
from qpsnn_core.network.pools import MaxPool as MaxPool
from qpsnn_core.network.readouts import Readout as Readout
from qpsnn_core.network.surrogates import surrogate_of
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.network.values import ValueSpec, check_kind, check_sources

RESETS = ("zero", "subtract")
LEARNED = ("threshold", "leak")
LEARN_PER = ("layer", "channel")
THRESHOLD_GRADIENTS = ("surrogate", "spquant")


@dataclass(frozen=True)
class Input:
    """The image `x`: integers `low..peak` times `scale`; `peak=None`: real numbers. `spikes`: events, not an image.

    `[B, H, W, C]` is presented at every step (direct encoding); `[T, B, H, W, C]` gives each step its frame. low: 0, or
    negative for signed images, such as -128..127 of a sensor.
    """

    name: str
    shape: Shape
    peak: int | None = 255
    scale: float = 1 / 255
    spikes: bool = False
    low: int = field(default=0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        if len(self.shape) != 3:
            raise ShapeError(expected(f"{self.name}.shape", "(H, W, C)", self.shape))
        for size in self.shape:
            check_at_least(f"{self.name}.shape", size, 1)
        if self.peak is not None:
            check_at_least(f"{self.name}.peak", self.peak, 1)
        elif self.spikes:
            raise ConfigError(expected(f"{self.name}.peak", "an integer, for spikes", self.peak))
        check_low(self.name, self.low, self.peak)
        if self.low and self.spikes:
            raise ConfigError(expected(f"{self.name}.low", "0, as counts of events are never negative", self.low))
        check_number(f"{self.name}.scale", self.scale, "a positive number", is_positive)

    @property
    def sources(self) -> tuple[str, ...]:
        """Nothing comes before the input."""
        return ()

    def output(self) -> ValueSpec:
        """Analog or spikes of the given shape."""
        scale = self.scale if self.peak is not None else 1.0
        return ValueSpec("spikes" if self.spikes else "analog", self.shape, self.peak, scale, self.low)


@dataclass(frozen=True)
class LIF:
    """Eqs. 1 to 3: `U~[t] = beta*U[t-1] + sum_k X_k[t]`; `S[t] = U~[t] >= threshold`; `U[t]` is U~[t] after its reset.

    `reset` "zero" (Eq. 3): `U[t] = U~[t]*(1 - S[t])`; "subtract": `U[t] = U~[t] - threshold*S[t]`. Sums its currents as
    a dendrite does. `membrane`: what is stored is `U[t] = Q(U[t])`, after the reset; spikes see U~, which no one
    rounds; None: `Q(U) = U`. `tau`, instead of beta: `beta = 1 - 1/tau`; the node keeps beta, and its tau is None.
    Backward (Eq. 14): `dS/dU~` is the `surrogate` of that `width`; `detach_reset` cuts the gradient that flows through
    the reset's S[t]. `learn`: "threshold", "leak" (PLIF) or both are trained, one for the layer or, by `learn_per`,
    for each "channel": `threshold * e**r` and `sigmoid(logit(beta) + r)`, each r from 0 on, without weight decay. Their
    gradients are the chain rule's; `threshold_gradient` "spquant": a spike gives `-dL/dS * h * sigmoid(U~ - threshold)`
    and what did not fire nothing. Gives Spikes.
    """

    name: str
    sources: tuple[str, ...]
    threshold: float = 1.0
    beta: float = BETA
    surrogate: str = "triangle"
    width: float = 1.0
    detach_reset: bool = False
    reset: str = field(default="zero", metadata=ADDED_LATER)
    tau: float | None = field(default=None, metadata=ADDED_LATER)
    membrane: MembraneQuantizer | None = field(default=None, metadata=ADDED_LATER)
    learn: tuple[str, ...] = field(default=(), metadata=ADDED_LATER)
    learn_per: str = field(default="layer", metadata=ADDED_LATER)
    threshold_gradient: str = field(default="surrogate", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_sources(self.name, self.sources, 1)
        object.__setattr__(self, "beta", leak_of(self.name, self.beta, self.tau))
        object.__setattr__(self, "tau", None)
        check_number(f"{self.name}.threshold", self.threshold, "a positive number", is_positive)
        check_number(f"{self.name}.beta", self.beta, "a number from 0 to 1", lambda beta: 0 <= beta <= 1)
        surrogate_of(self.surrogate, f"{self.name}.surrogate")
        check_number(f"{self.name}.width", self.width, "a positive number", is_positive)
        check_choice(f"{self.name}.reset", self.reset, RESETS)
        self._check_learn()
        if self.membrane is not None and type(self.membrane) is not MembraneQuantizer:
            raise ConfigError(expected(f"{self.name}.membrane", "a MembraneQuantizer, or None", self.membrane))

    def _check_learn(self) -> None:
        """ConfigError: no names of what can be learned, or a leak that cannot move."""
        if isinstance(self.learn, list):
            object.__setattr__(self, "learn", tuple(self.learn))
        known = isinstance(self.learn, tuple) and set(self.learn) <= set(LEARNED)
        if not known or len(set(self.learn)) < len(self.learn):
            raise ConfigError(expected(f"{self.name}.learn", f"some of {', '.join(LEARNED)}, each once", self.learn))
        check_choice(f"{self.name}.learn_per", self.learn_per, LEARN_PER)
        check_choice(f"{self.name}.threshold_gradient", self.threshold_gradient, THRESHOLD_GRADIENTS)
        if "leak" in self.learn and not 0 < self.beta < 1:
            raise ConfigError(
                expected(f"{self.name}.beta", "above 0 and below 1, where the leak is learned", self.beta)
            )

    def like(self, name: str, *sources: str) -> LIF:
        """The same neuron under another name, with other currents."""
        return replace(self, name=name, sources=sources)

    def output(self, *values: ValueSpec) -> ValueSpec:
        """Spikes, 0 or 1, of the currents' shape."""
        for source, value in zip(self.sources, values, strict=True):
            check_kind(self.name, source, value, "current")
            if value.shape != values[0].shape:
                want = f"{values[0].shape} (from {self.sources[0]})"
                raise ShapeError(expected(f"{self.name} (from {source})", want, value.shape))
        how = self.membrane
        levels = None if how is None else (how.low, how.high, how.parts)
        return ValueSpec("spikes", values[0].shape, 1, levels=levels)


Node = (
    Input
    | Conv
    | Linear
    | Shortcut
    | LIF
    | MaxPool
    | AvgPool
    | Sum
    | Concat
    | Upsample
    | Dropout
    | ChannelGate
    | SpatialGate
    | Membrane
    | SelfAttention
    | Readout
    | CurrentReadout
)

READOUTS = (Readout, CurrentReadout)
"""The kinds that a network ends with."""
