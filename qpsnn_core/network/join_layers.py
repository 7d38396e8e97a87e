"""What adds up values, puts them side by side or makes maps finer, as layers to write a network with."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.network import joins
from qpsnn_core.network.layers import Layer


@dataclass(frozen=True, repr=False)
class Sum(Layer):
    """The sum of several trains of spikes, spike by spike: SEW's residual. Or of Currents, which a pool then reads."""

    kind = joins.Sum
    prefix = "sum"
    reads = ("spikes", "current")
    many = True


@dataclass(frozen=True, repr=False)
class Concat(Layer):
    """The channels of several values of spikes, or of Currents, one after the other; of maps of one size."""

    kind = joins.Concat
    prefix = "concat"
    reads = ("spikes", "current")
    many = True


@dataclass(frozen=True, repr=False)
class Upsample(Layer):
    """Spikes, or a Current, on a map `factor` times as high and as wide: each pixel several times (nearest)."""

    kind = joins.Upsample
    prefix = "upsample"
    reads = ("spikes", "current")
    factor: int = joins.Upsample.factor
