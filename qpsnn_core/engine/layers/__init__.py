"""Forward and backward of each node kind, side by side, and the one table of them."""

from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.engine.layers import (
    attention,
    concat,
    conv,
    current_readout,
    dropout,
    gated_conv,
    gates,
    lif,
    linear,
    pool,
    readout,
    shortcut,
    sum,
    upsample,
)
from qpsnn_core.engine.layers.base import Layer
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

LAYERS: KindTable[Layer] = KindTable(
    "the engine",
    {
        Input: Refusal("its images are given, not computed"),
        Conv: Layer(conv.init, gated_conv.forward, gated_conv.backward),
        Linear: Layer(linear.init, linear.forward, linear.backward),
        Shortcut: Layer(shortcut.init, shortcut.forward, shortcut.backward),
        LIF: Layer(lif.init, lif.forward, lif.backward),
        MaxPool: Layer(pool.init, pool.max_pool, pool.max_pool_back),
        AvgPool: Layer(pool.init, pool.avg_pool, pool.avg_pool_back),
        Sum: Layer(sum.init, sum.forward, sum.backward),
        Concat: Layer(concat.init, concat.forward, concat.backward),
        Upsample: Layer(upsample.init, upsample.forward, upsample.backward),
        Dropout: Layer(dropout.init, dropout.forward, dropout.backward),
        ChannelGate: Layer(gates.init, gates.channel_gate, gates.channel_gate_back),
        SpatialGate: Layer(gates.init_noise, gates.spatial_gate, gates.spatial_gate_back),
        Membrane: Layer(gates.init, gates.membrane, gates.membrane_back, gates.stored),
        SelfAttention: Layer(attention.init, attention.forward, attention.backward),
        Readout: Layer(readout.init, readout.forward, readout.backward),
        CurrentReadout: Layer(current_readout.init, current_readout.forward, current_readout.backward),
    },
)
