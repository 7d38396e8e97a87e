"""The network as data."""

from qpsnn_core.network.graph import Network
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Node, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import Quantizer

__all__ = [
    "LIF",
    "AvgPool",
    "Concat",
    "Conv",
    "Dropout",
    "Input",
    "Linear",
    "MaxPool",
    "MembraneQuantizer",
    "Network",
    "Node",
    "Quantizer",
    "Readout",
    "Shortcut",
    "Sum",
    "ValueSpec",
]
