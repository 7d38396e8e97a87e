"""Gates, and the membrane that they predict from, as layers to write a network with."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.network import gates
from qpsnn_core.network.layers import Layer


@dataclass(frozen=True, repr=False)
class ChannelGate(Layer):
    """A mask of channels, for the Conv that name it: open where the current it reads is above 0.

    size: channels that one number decides. target: the share of the pooled activation that the open channels are to
    hold; weight: of the loss that trains it.
    """

    kind = gates.ChannelGate
    prefix = "channelgate"
    reads = ("current",)
    size: int = gates.ChannelGate.size
    target: float = gates.ChannelGate.target
    weight: float = gates.ChannelGate.weight


@dataclass(frozen=True, repr=False)
class SpatialGate(Layer):
    """A mask of places, for the Conv that name it: open where the current it reads is at least 0.

    shape: (H, W) of what it masks. sampling: "gumbel" or "straight-through"; temperature: of the former. target: the
    share of the activation that the open places are to hold; weight: of the loss that trains it, beside the task's.
    """

    kind = gates.SpatialGate
    prefix = "spatialgate"
    reads = ("current",)
    shape: tuple[int, int]
    sampling: str = gates.SpatialGate.sampling
    temperature: float = gates.SpatialGate.temperature
    target: float = gates.SpatialGate.target
    weight: float = gates.SpatialGate.weight


@dataclass(frozen=True, repr=False)
class Membrane(Layer):
    """What a LIF stored at the step before, averaged over `size` x `size` windows: the prior of a spatial gate."""

    kind = gates.Membrane
    prefix = "membrane"
    reads = ("spikes",)
    size: int = gates.Membrane.size
