"""Networks that learn locally, without backpropagation: the unsupervised network of Q-SpiNN (Diehl & Cook, STDP)."""

from qpsnn_core.local_learning.deployment import lower_local, spikes_of
from qpsnn_core.local_learning.file import LocalCheckpoint, load_local, save_local
from qpsnn_core.local_learning.formats import NeuronFormats, NumberFormats, memory_bits
from qpsnn_core.local_learning.labels import LabelledNeurons, NGrams, label_neurons, learn_ngrams
from qpsnn_core.local_learning.model import LocalModel, dequantized, initialise, quantized
from qpsnn_core.local_learning.network import STDP, AdaptiveLIF, Conductances, DiehlCook, InhibitoryLIF, SpikeTrains
from qpsnn_core.local_learning.present import Responses, Spikes, learn, present_spikes, respond

__all__ = [
    "STDP",
    "AdaptiveLIF",
    "Conductances",
    "DiehlCook",
    "InhibitoryLIF",
    "LabelledNeurons",
    "LocalCheckpoint",
    "LocalModel",
    "NGrams",
    "NeuronFormats",
    "NumberFormats",
    "Responses",
    "SpikeTrains",
    "Spikes",
    "dequantized",
    "initialise",
    "label_neurons",
    "learn",
    "learn_ngrams",
    "load_local",
    "lower_local",
    "memory_bits",
    "present_spikes",
    "quantized",
    "respond",
    "save_local",
    "spikes_of",
]
