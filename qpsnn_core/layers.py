"""The layers that `sequential` and `Builder` take; they live in network/layers.py."""

from qpsnn_core.network.gate_layers import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.join_layers import Concat, Sum, Upsample
from qpsnn_core.network.layers import (
    LIF,
    AvgPool,
    Branches,
    Conv,
    Dropout,
    Input,
    Layer,
    Linear,
    MaxPool,
    Readout,
    SelfAttention,
    Shortcut,
)
from qpsnn_core.network.readout_layers import CurrentReadout

__all__ = [
    "LIF",
    "AvgPool",
    "Branches",
    "ChannelGate",
    "Concat",
    "Conv",
    "CurrentReadout",
    "Dropout",
    "Input",
    "Layer",
    "Linear",
    "MaxPool",
    "Membrane",
    "Readout",
    "SelfAttention",
    "Shortcut",
    "SpatialGate",
    "Sum",
    "Upsample",
]
