"""What a node of each kind of a network consists of: one literal table, `ROLES`."""

from __future__ import annotations

from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

WEIGHTS, NEURONS, NEITHER = "weights", "neurons", "neither"

ROLES: KindTable[str] = KindTable(
    "the network",
    {
        Input: NEITHER,
        Conv: WEIGHTS,
        Linear: WEIGHTS,
        Shortcut: NEITHER,
        LIF: NEURONS,
        MaxPool: NEITHER,
        AvgPool: NEITHER,
        Sum: NEITHER,
        Concat: NEITHER,
        Upsample: NEITHER,
        Dropout: NEITHER,
        ChannelGate: NEITHER,
        SpatialGate: NEITHER,
        Membrane: NEITHER,
        SelfAttention: NEITHER,
        Readout: NEITHER,
        CurrentReadout: WEIGHTS,
    },
)
"""What a node of each kind consists of: WEIGHTS that a quantizer makes codes of (Eq. 4), NEURONS with a membrane, or
NEITHER, which may have other parameters that are trained, such as a scale for each channel.
"""
