"""What the networks of the zoo share: their neurons, their ends, and how channel counts and quantizers are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_choice
from qpsnn_core.network.defaults import INTEGER_FIRST, INTEGER_LAST
from qpsnn_core.network.nodes import LIF, AvgPool, Input, Node, Readout
from qpsnn_core.network.synapses import Linear
from qpsnn_core.quantization.formats import Quantizer

ENDS = ("integer", "float")

INITIAL = ("auto", "paper")

POOL = 0


Neuron = partial(LIF, "neuron", ("current",))
"""`Neuron(threshold, beta, ...)`: the LIF that all neurons of a zoo network are `like`; its name and sources are not
used."""

PAPER_NEURON = Neuron()
PAPER_QUANTIZER = Quantizer(4, "mean")


def widths_of(name: str, plan: Sequence[int], factor: float, widths: Sequence[int] | None) -> tuple[int, ...]:
    """The channels of each convolution: the plan's times `factor`, or those given."""
    base = [width for width in plan if width != POOL]
    if widths is None:
        if not 0 < factor < float("inf"):
            raise ConfigError(expected(f"{name}.width", "a positive number", factor))
        return tuple(max(1, round(width * factor)) for width in base)
    if factor != 1.0:
        raise ConfigError(expected(f"{name}.width", "1 where widths are given", factor))
    if len(widths) != len(base):
        raise ConfigError(expected(f"{name}.widths", f"{len(base)} channel counts", len(widths)))
    return tuple(widths)


def quantizers(inner: Quantizer | None, ends: str) -> tuple[Quantizer | None, Quantizer | None, Quantizer | None]:
    """Of the first convolution, of the layers between, of the linear layer."""
    check_choice("network.ends", ends, ENDS)
    if inner is None or ends == "float":
        return None, inner, None
    return INTEGER_FIRST, inner, INTEGER_LAST


def input_of(shape: Shape, events: bool, input_range: InputRange | None = None) -> Input:
    """Images, or counts of events. ConfigError: events of a range of real numbers."""
    if input_range is None:
        return Input("input", shape, scale=1.0, spikes=True) if events else Input("input", shape)
    if events:
        want = "none with events, which are counted and no real numbers"
        raise ConfigError(expected("build.input_range", want, Unquoted(f"{input_range}")))
    return Input("input", shape, input_range.peak, input_range.scale, low=input_range.low)


def head(source: str, pool: int, classes: int, quantizer: Quantizer | None) -> tuple[Node, ...]:
    """Average-pool, linear layer, readout."""
    return (
        AvgPool("average", source, pool),
        Linear("linear", "average", classes, quantizer=quantizer),
        Readout("readout", "linear"),
    )
