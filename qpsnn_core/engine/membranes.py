"""The membranes before reset of a forward pass: what SCA (Eq. 7) scores, and what `inspect` shows."""

from __future__ import annotations

from collections.abc import Callable

from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Array
from qpsnn_core.engine.layers import lif
from qpsnn_core.network import (
    LIF,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Readout,
    Shortcut,
    Sum,
    Upsample,
)
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate

_NONE = Refusal("it has no membrane")

MEMBRANES: KindTable[Callable[..., Array]] = KindTable(
    "the membranes",
    {
        Input: _NONE,
        Conv: _NONE,
        Linear: _NONE,
        Shortcut: _NONE,
        LIF: lif.potentials,
        MaxPool: _NONE,
        AvgPool: _NONE,
        Sum: _NONE,
        Concat: _NONE,
        Upsample: _NONE,
        Dropout: _NONE,
        ChannelGate: _NONE,
        SpatialGate: _NONE,
        Membrane: Refusal("it shows the membrane of another node, which is scored there"),
        SelfAttention: _NONE,
        Readout: Refusal("its membrane is what it gives, the logits"),
        CurrentReadout: _NONE,
    },
)
"""`(node, cache) -> [T, B, H, W, C]`: the membranes before reset, of a kind that has them; its channels are scored."""
