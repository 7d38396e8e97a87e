"""The networks of the paper and others, each a function with its options; they live in network/zoo/."""

from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.network.zoo.detector import EMS_NEURON, detector, detector_small
from qpsnn_core.network.zoo.gated import GateOptions, with_gates
from qpsnn_core.network.zoo.resnet import resnet19, resnet20, sew_resnet18
from qpsnn_core.network.zoo.spikingformer import TransformerOptions, spikingformer_4_256, spikingformer_4_384
from qpsnn_core.network.zoo.vgg import build, mlp, vgg9, vgg16, vgg_small, vggsnn

__all__ = [
    "EMS_NEURON",
    "GateOptions",
    "Neuron",
    "TransformerOptions",
    "build",
    "detector",
    "detector_small",
    "mlp",
    "resnet19",
    "resnet20",
    "sew_resnet18",
    "spikingformer_4_256",
    "spikingformer_4_384",
    "vgg9",
    "vgg16",
    "vgg_small",
    "vggsnn",
    "with_gates",
]
