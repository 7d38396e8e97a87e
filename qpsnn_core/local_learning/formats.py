"""In which format each stored variable is kept, and the memory that this takes (Q-SpiNN, Table II)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import check_choice, check_kind, check_kinds
from qpsnn_core.local_learning.network import DiehlCook
from qpsnn_core.quantization.fixed_point import ROUNDINGS, FixedPoint

FLOAT_BITS = 32


@dataclass(frozen=True)
class NeuronFormats:
    """membrane: V. threshold: Vth with its adaptation, one number per neuron. reset: Vreset. increment: of Vth.

    conductance: ge and gi, of a network that has them; else None.
    """

    membrane: FixedPoint
    threshold: FixedPoint
    reset: FixedPoint
    increment: FixedPoint
    conductance: FixedPoint | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name != "conductance" or self.conductance is not None:
                check_kind(f"NeuronFormats.{one.name}", getattr(self, one.name), FixedPoint)


@dataclass(frozen=True)
class NumberFormats:
    """weights, neurons: fixed point, or None for float32.

    rounding: "truncation", "nearest" or "stochastic"; None if all is float32. `NumberFormats(None, None, None)` is
    W(FP32)-N(FP32).
    """

    weights: FixedPoint | None
    neurons: NeuronFormats | None
    rounding: str | None

    def __post_init__(self) -> None:
        check_kinds("NumberFormats", FixedPoint, weights=self.weights)
        check_kinds("NumberFormats", NeuronFormats, neurons=self.neurons)
        if self.rounding is not None:
            check_choice("NumberFormats.rounding", self.rounding, tuple(ROUNDINGS))
        if (self.rounding is None) != (self.weights is None and self.neurons is None):
            want = f"one of {', '.join(ROUNDINGS)} for formats in fixed point, None for none"
            raise ConfigError(expected("NumberFormats.rounding", want, self.rounding))

    def __str__(self) -> str:
        neurons = f"Qi.{self.neurons.membrane.fraction}" if self.neurons else "FP32"
        return f"W({self.weights or 'FP32'})-N({neurons})"


FLOAT = NumberFormats(None, None, None)
"""All in float32."""


def memory_bits(network: DiehlCook, formats: NumberFormats) -> int:
    """The bits of weights and of each neuron's V, Vth, Vreset and increment, as Q-SpiNN counts them (Eqs. 6, 7).

    And of each neuron's ge and gi, if it has them.
    """
    weights = formats.weights.bits if formats.weights else FLOAT_BITS
    n = formats.neurons
    neuron = 4 * FLOAT_BITS if n is None else sum(one.bits for one in (n.membrane, n.threshold, n.reset, n.increment))
    if network.conductances is not None:
        neuron += 2 * (FLOAT_BITS if n is None or n.conductance is None else n.conductance.bits)
    return network.inputs * network.neurons * weights + network.neurons * neuron
