"""The table [network] of a recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check, check_at_least, check_at_most, choices, least, place, positive, typed
from qpsnn_core.network.file import load_network
from qpsnn_core.network.graph import MOST_STEPS, Network
from qpsnn_core.network.leak import leak_of
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.synapses import MOST_CHANNELS
from qpsnn_core.network.zoo.blocks import ENDS, INITIAL
from qpsnn_core.network.zoo.gated import GateOptions, with_gates
from qpsnn_core.network.zoo.spikingformer import TransformerOptions
from qpsnn_core.network.zoo.vgg import ZOO, build, inner_gamma, layers_of
from qpsnn_core.quantization.formats import (
    AUTO,
    GAMMAS,
    GRANULARITIES,
    SCALED,
    STRAIGHT_THROUGH,
    TERNARY,
    WITH_ZERO,
    Quantizer,
)
from qpsnn_core.quantization.formats import FULL_PRECISION as FULL_PRECISION

DEFAULT = "vgg_small"

FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

NEURON_KEYS = {field.name: field.name for field in fields(LIF) if field.name not in ("name", "sources")}
NEURON_KEYS["width"] = "surrogate_width"
"""From each option of a LIF to its key in a recipe, where `width` is that of the layers."""


@dataclass(frozen=True)
class NetworkConfig:
    """Which network: of the zoo, of a JSON file, or of a Python function; image shape and classes come with the data.

    name: of the ZOO ("" beside `file` and `function`, else vgg_small). file: what `save_network` wrote; a relative path
    starts where the command runs. function: "module:name" of `make(shape, classes, *, steps) -> Network` (and
    `input_range`, of data made of real numbers), which only `qpsnn train` and `run` import. Beside these two there
    is nothing but `steps`, which must agree with their network's.
    steps: T, time steps per image. width: a factor on all channel counts; widths: instead, the counts themselves, one
    for each convolution (of mlp: hidden layer), () for none. bits: per weight, 2 to 8, or 32 for floating point. gamma,
    granularity, ste, percentile: as in Quantizer ("auto", the default,
    becomes "mean" where the layers between the ends have batch norm, else "max"). ends: of the first
    convolution and the last linear layer, "integer" (8-bit, deployable) or "float". threshold: in units of the membrane
    potential. beta: the share of the potential that is left after one step, 0 to 1. tau: instead of it, the time
    constant in steps, `beta = 1 - 1/tau`; only beta is kept. surrogate, surrogate_width (in units of the potential),
    detach_reset, reset ("zero", "subtract"), membrane (a table of low, high and more), learn,
    learn_per, threshold_gradient: as in LIF, which has the
    defaults and the checks.
    transformer: a table of TransformerOptions, for the Spikingformers; None: the network's own.
    gates: a table of GateOptions, by which `with_gates` puts gates into the network; None: none.
    initial: of weights without batch norm (mlp), "auto": such that their neurons fire, or "paper": OSBC's.
    """

    name: str = ""
    width: float = 1.0
    widths: tuple[int, ...] = ()
    bits: int = 4
    steps: int = 4
    gamma: str = AUTO
    granularity: str = "channel"
    ste: str = "clip"
    percentile: float = 0.99
    ends: str = "integer"
    threshold: float = LIF.threshold
    beta: float = LIF.beta
    surrogate: str = LIF.surrogate
    surrogate_width: float = LIF.width
    detach_reset: bool = LIF.detach_reset
    reset: str = LIF.reset
    initial: str = "auto"
    file: str = ""
    function: str = ""
    tau: float | None = field(default=LIF.tau, metadata=ADDED_LATER)
    membrane: MembraneQuantizer | None = field(default=LIF.membrane, metadata=ADDED_LATER)
    learn: tuple[str, ...] = field(default=LIF.learn, metadata=ADDED_LATER)
    learn_per: str = field(default=LIF.learn_per, metadata=ADDED_LATER)
    threshold_gradient: str = field(default=LIF.threshold_gradient, metadata=ADDED_LATER)
    gates: GateOptions | None = field(default=None, metadata=ADDED_LATER)
    transformer: TransformerOptions | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        alone = bool(self.file or self.function)
        beta = leak_of(type(self).__name__, self.beta, None if alone else self.tau)
        object.__setattr__(self, "beta", beta)
        if not alone:
            object.__setattr__(self, "tau", None)
        typed(self)
        if alone:
            self._check_alone("file" if self.file else "function")
            return
        if not self.name:
            object.__setattr__(self, "name", DEFAULT)
        choices(
            self,
            name=tuple(ZOO),
            gamma=(*GAMMAS, SCALED, *WITH_ZERO, AUTO),
            granularity=GRANULARITIES,
            ste=STRAIGHT_THROUGH,
            ends=ENDS,
        )
        choices(self, initial=INITIAL)
        positive(self, "width", "surrogate_width")
        object.__setattr__(self, "learn", self._lif(type(self).__name__).learn)
        least(self, steps=1)
        check_at_most(place(self, "steps"), self.steps, MOST_STEPS)
        fits = self.transformer is None or ZOO[self.name].transformer
        check(self, "transformer", fits, f"none for {self.name}, which has no attention")
        if self.gamma == AUTO:
            object.__setattr__(self, "gamma", inner_gamma(self.name, self.widths))
        self._check_widths()
        bits = type(self.bits) is int and (2 <= self.bits <= 8 or self.bits == FULL_PRECISION)
        check(self, "bits", bits, f"an integer from 2 to 8, or {FULL_PRECISION}")
        ternary = self.gamma != TERNARY or self.bits in (2, FULL_PRECISION)
        check(self, "bits", ternary, f"2, where gamma is {TERNARY!r}")
        check(self, "percentile", 0.5 < self.percentile <= 1, "a number in (0.5, 1]")

    def _check_alone(self, own: str) -> None:
        """ConfigError where a network that says all itself has other settings beside it."""
        least(self, steps=1)
        for one in fields(self):
            if one.name not in (own, "steps") and getattr(self, one.name) != one.default:
                want = f"nothing beside {own}, whose network has its own"
                raise ConfigError(expected(place(self, one.name), want, getattr(self, one.name)))
        check(self, "function", not self.function or bool(FUNCTION.fullmatch(self.function)), '"module:function"')

    @property
    def title(self) -> str:
        """Such as "vgg_small at 4 bits", or the file or function that it is of."""
        return self.file or self.function or f"{self.name} at {self.bits} bits"

    def check_zoo(self, verb: str) -> None:
        """ConfigError where the network is not of the zoo, whose settings a study of that name varies."""
        if not self.name:
            want = f"a network of the zoo (network.name), as {verb} varies its settings"
            raise ConfigError(expected("network", want, self.title))

    def _check_widths(self) -> None:
        where, layers = place(self, "widths"), layers_of(self.name)
        if not isinstance(self.widths, tuple):
            raise ConfigError(expected(where, "a tuple of channel counts", self.widths))
        if not self.widths:
            return
        check(self, "width", self.width == 1, "1 where widths are given")
        for index, width in enumerate(self.widths):
            check_at_least(f"{where}[{index}]", width, 1)
            check_at_most(f"{where}[{index}]", width, MOST_CHANNELS)
        if layers is not None and len(self.widths) != layers:
            raise ConfigError(expected(where, f"{layers} channel counts for {self.name}", len(self.widths)))

    @property
    def quantizer(self) -> Quantizer | None:
        """Of the layers between the ends; None for floating point."""
        if self.bits == FULL_PRECISION:
            return None
        zero = self.gamma in WITH_ZERO
        return Quantizer(self.bits, self.gamma, self.granularity, self.ste, self.percentile, zero)

    @property
    def neuron(self) -> LIF:
        """What those of all layers are like."""
        return self._lif("neuron")

    def _lif(self, name: str) -> LIF:
        return LIF(name, ("current",), **{option: getattr(self, key) for option, key in NEURON_KEYS.items()})

    def build(
        self, shape: Shape, classes: int, *, events: bool = False, input_range: InputRange | None = None
    ) -> Network:
        """The network for images of `shape` (H, W, C), or for frames of counted events; input_range: as in `build`.

        A file's network says itself what its input is. Raises ConfigError and ShapeError (the file's network is of
        others, or it is a function's), and what `load_network` raises.
        """
        if self.function:
            want = "a network of the zoo or of a file: only `qpsnn train` and `run` import a function"
            raise ConfigError(expected("network.function", want, self.function))
        if self.file:
            return self.checked("network.file", load_network(self.file), shape, classes, events=events)
        own: dict[str, Any] = {} if ZOO[self.name].batch_norm else {"initial": self.initial}
        if self.transformer is not None:
            own |= self.transformer.given
        plain = build(
            self.name,
            shape,
            classes,
            steps=self.steps,
            width=self.width,
            widths=self.widths or None,
            quantizer=self.quantizer,
            ends=self.ends,
            neuron=self.neuron,
            events=events,
            input_range=input_range,
            **own,
        )
        return plain if self.gates is None else with_gates(plain, self.gates)

    def checked(self, place: str, network: Network, shape: Shape, classes: int, *, events: bool) -> Network:
        """The network as it is, if it takes such images, has so many classes, and the steps of the recipe."""
        own = f"{place}: {self.title}"
        if network.input.shape != tuple(shape):
            raise ShapeError(expected(f"{own}: input", f"{list(shape)}, as the data", list(network.input.shape)))
        if network.input.spikes != events:
            kinds = {True: "frames of events (spikes = true)", False: "images (spikes = false)"}
            raise ConfigError(expected(f"{own}: input", kinds[events], Unquoted(kinds[not events])))
        if network.classifies and network.classes != classes:  # maps fit a set's classes by their anchors
            raise ShapeError(expected(f"{own}: readout", f"{classes} classes, as the data", network.classes))
        if network.steps != self.steps:
            want = f"{network.steps}, as {self.title} says (write steps = {network.steps})"
            raise ConfigError(expected("network.steps", want, self.steps))
        return network
