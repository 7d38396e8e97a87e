"""Forward and backward of each node kind, side by side, and the one table of them."""

from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.engine.layers import concat, conv, dropout, lif, linear, pool, readout, shortcut, sum
from qpsnn_core.engine.layers.base import Layer
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear, Shortcut

LAYERS: KindTable[Layer] = KindTable(
    "the engine",
    {
        Input: Refusal("its images are given, not computed"),
        Conv: Layer(conv.init, conv.forward, conv.backward),
        Linear: Layer(linear.init, linear.forward, linear.backward),
        Shortcut: Layer(shortcut.init, shortcut.forward, shortcut.backward),
        LIF: Layer(lif.init, lif.forward, lif.backward),
        MaxPool: Layer(pool.init, pool.max_pool, pool.max_pool_back),
        AvgPool: Layer(pool.init, pool.avg_pool, pool.avg_pool_back),
        Sum: Layer(sum.init, sum.forward, sum.backward),
        Concat: Layer(concat.init, concat.forward, concat.backward),
        Dropout: Layer(dropout.init, dropout.forward, dropout.backward),
        Readout: Layer(readout.init, readout.forward, readout.backward),
    },
)
