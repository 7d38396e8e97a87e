"""The network as data."""

from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import Quantizer

__all__ = [
    "LIF",
    "AvgPool",
    "ChannelGate",
    "Concat",
    "Conv",
    "CurrentReadout",
    "Dropout",
    "Input",
    "Linear",
    "MaxPool",
    "Membrane",
    "MembraneQuantizer",
    "Network",
    "Node",
    "Quantizer",
    "Readout",
    "SelfAttention",
    "Shortcut",
    "SpatialGate",
    "Sum",
    "Upsample",
    "ValueSpec",
]
