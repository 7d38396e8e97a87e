"""What weights and membranes take: the networks of SpQuant-SNN, counted here, beside the published totals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import log2
from typing import NamedTuple

from qpsnn_core.network import nodes, synapses
from qpsnn_core.network.builder import sequential
from qpsnn_core.network.cost import cost
from qpsnn_core.network.graph import Network
from qpsnn_core.network.layers import LIF, AvgPool, Branches, Conv, Layer, Linear, Shortcut
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.zoo.vgg import build
from qpsnn_core.quantization.formats import Quantizer

FLOAT = 32


class MemoryRow(NamedTuple):
    """A network and how it is kept, in 10**6 bytes of weights (Eq. 16), membranes of one image, and both.

    levels: of a membrane, 0 in floating point. information_mb: membranes of `log2(levels)` bits each, as the paper
    counts them; whole bits are what memory takes. printed_mb, printed_accuracy (percent): published, None where not.
    """

    network: str
    data: str
    weight_bits: int
    levels: int
    weights_mb: float
    membranes_mb: float
    memory_mb: float
    information_mb: float
    printed_mb: float | None
    printed_accuracy: float | None


def vgg9() -> Network:
    """VGG-9 for 48x48 frames of 3 channels, as the public code has it: the zoo's vggsnn, of 9.27 million parameters."""
    return build("vggsnn", (48, 48, 3), 10)


def resnet19() -> Network:
    """ResNet-19 (Zheng et al., AAAI 2021) for 32x32 images: stages of 128, 256 and 512 channels, 1x1 on shortcuts.

    The printed total is nearer to this one than to that of the public code, the zoo's resnet19.
    """
    layers: list[Layer | Branches] = [Conv(128), LIF()]
    before = 128
    for channels, blocks in ((128, 3), (256, 3), (512, 2)):
        for block in range(blocks):
            stride = 2 if block == 0 and channels > 128 else 1
            past: list[Layer | Branches] = [Shortcut()]
            if channels > before:
                past = [Conv(channels, kernel=1, stride=stride, padding=0)]
            layers += [Branches([Conv(channels, stride=stride), LIF(), Conv(channels)], past), LIF()]
            before = channels
    layers += [AvgPool(None), Linear(256, batch_norm=True), LIF(), Linear(10)]
    return sequential((32, 32, 3), layers, steps=2)


NETWORKS: dict[str, tuple[str, Callable[[], Network]]] = {
    "VGG-9": ("DVS-CIFAR10", vgg9),
    "ResNet-19": ("CIFAR-10", resnet19),
    "ResNet-19, public code": ("CIFAR-10", lambda: build("resnet19", (32, 32, 3), 10)),
}

PUBLISHED: dict[tuple[str, int, int], tuple[float, float]] = {
    ("VGG-9", FLOAT, 0): (48.58, 78.45),
    ("VGG-9", 2, 3): (3.75, 77.94),
    ("ResNet-19", FLOAT, 0): (60.94, 94.56),
    ("ResNet-19", 4, 3): (7.49, 94.11),
}
"""(total in MB, accuracy in percent) by network, bits of weights, and levels. The totals follow no one rule: those in
floating point are weights and twice the membranes, of other weights than the public code has; the others differ."""

LEVELS = (0, 5, 3)


def rows(bits: tuple[int, ...] = (FLOAT, 8, 4, 2)) -> Iterator[MemoryRow]:
    """Every network with weights of so many bits (all layers alike), with membranes whole, of 5 levels and of 3."""
    for name, (data, make) in NETWORKS.items():
        whole = make()
        for each in bits:
            weights = quantized(whole, each)
            for levels in LEVELS:
                found = cost(with_levels(weights, levels))
                bits_each = log2(levels) if levels else FLOAT
                neurons = sum(node.membrane_bits for node in cost(whole).nodes) / FLOAT
                printed = PUBLISHED.get((name, each, levels), (None, None))
                sizes = found.size_mb, found.membranes_mb, found.memory_mb, neurons * bits_each / 8e6
                yield MemoryRow(name, data, each, levels, *sizes, *printed)


def quantized(network: Network, bits: int) -> Network:
    """With weights of so many bits in every layer."""
    quantizer = None if bits == FLOAT else Quantizer(bits, "mean")
    changed = (
        replace(n, quantizer=quantizer) if isinstance(n, (synapses.Conv, synapses.Linear)) else n for n in network.nodes
    )
    return replace(network, nodes=tuple(changed))


def with_levels(network: Network, levels: int) -> Network:
    """With membranes of so many levels, the highest one threshold; 0: whole."""
    how = MembraneQuantizer(2 - levels, 1) if levels else None
    changed = (replace(node, membrane=how) if isinstance(node, nodes.LIF) else node for node in network.nodes)
    return replace(network, nodes=tuple(changed))
