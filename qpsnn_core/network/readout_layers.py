"""The readout of currents as a layer to write a network with; that of logits is with the others."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.network import current_readouts
from qpsnn_core.network.layers import Layer
from qpsnn_core.quantization.formats import Quantizer


@dataclass(frozen=True, repr=False)
class CurrentReadout(Layer):
    """Logits of the sum of several Currents, such as a residual stream's: a Linear of what no neuron has read.

    channels: classes, or what is told of each place. places: "mean", logits of the mean over the map; "each", a map of
    real numbers. The others as of Linear.
    """

    kind = current_readouts.CurrentReadout
    prefix = "readout"
    reads = ("current",)
    many = True
    channels: int
    places: str = current_readouts.CurrentReadout.places
    quantizer: Quantizer | None = current_readouts.CurrentReadout.quantizer
    bias: bool = current_readouts.CurrentReadout.bias
    sparse: bool = current_readouts.CurrentReadout.sparse
    gain: float | None = current_readouts.CurrentReadout.gain
