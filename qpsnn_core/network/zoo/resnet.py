"""Residual networks: ResNet20 (Table 10), SEW-ResNet18 for ImageNet (Fang et al. 2021), SpQuant-SNN's ResNet-19."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.types import Shape
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, AvgPool, MaxPool, Node, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.network.zoo.blocks import PAPER_NEURON, PAPER_QUANTIZER, head, input_of, quantizers, widths_of
from qpsnn_core.quantization.formats import Quantizer

RESNET20 = (64, *(width for stage in (128, 256, 512) for width in (stage,) * 6))
RESNET20_STRIDES = (1, 2, 2)
SEW_RESNET18 = (64, *(width for stage in (64, 128, 256, 512) for width in (stage,) * 4))
SEW_STRIDES = (1, 2, 2, 2)
RESNET19 = (128, *(64,) * 6, *(256,) * 6, *(512,) * 4, 256)
RESNET19_BLOCKS = ((3, 1), (3, 2), (2, 2))
"""(blocks, stride of the first) of each stage."""


def resnet20(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 2,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = PAPER_NEURON,
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """ResNet20 of Table 10: Conv-BN-LIF, three stages of three blocks, global average-pool, one linear layer.

    A block is conv1-BN-LIF, then one LIF that sums two currents: conv2-BN, and a Shortcut without weights, which
    subsamples and pads channels with zeros. Arguments as vgg16; widths: 19 counts, in the order of the convolutions
    (conv0, then conv1 and conv2 of each block; an output may not be narrower than the one before).
    """
    first, inner, last = quantizers(quantizer, ends)
    channels = iter(widths_of("resnet20", RESNET20, width, widths))
    nodes: list[Node] = [input_of(shape, events, input_range), Conv("conv0", "input", next(channels), quantizer=first)]
    nodes.append(neuron.like("lif0", "conv0"))
    remaining = min(shape[:2])
    for stage, first_stride in enumerate(RESNET20_STRIDES, 1):
        for index in range(3):
            stride = first_stride if index == 0 else 1
            nodes += _block(f"layer{stage}.{index}", nodes[-1].name, channels, stride, inner, neuron)
            remaining = -(-remaining // stride)
    return Network((*nodes, *head(nodes[-1].name, remaining, classes, last)), steps)


def sew_resnet18(
    shape: Shape = (224, 224, 3),
    classes: int = 1000,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = PAPER_NEURON,
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """SEW-ResNet18 with ADD (Fang et al. 2021, arXiv:2102.04159, Fig. 2 and Table S1), the paper's ImageNet network.

    A 7x7 Conv-BN-LIF of stride 2, a 3x3 max-pool of stride 2, four stages of two blocks, global average-pool, one
    linear layer. A block adds the spikes of two Conv-BN-LIF to those that it reads, which are first led through a 1x1
    Conv-BN-LIF where the stride or the channels change. Arguments as vgg16; shape: at least 32 x 32; widths: 17
    counts, conv0 and then the middle and the output of each block; the outputs of a stage must be equal.
    """
    first, inner, last = quantizers(quantizer, ends)
    channels = iter(widths_of("sew_resnet18", SEW_RESNET18, width, widths))
    source, size = next(channels), min(shape[:2])
    nodes: list[Node] = [
        input_of(shape, events, input_range),
        Conv("conv0", "input", source, 7, 2, 3, quantizer=first),
        neuron.like("lif0", "conv0"),
        MaxPool("pool0", "lif0", 3, 2, 1),
    ]
    remaining = -(-size // 4)
    for stage, first_stride in enumerate(SEW_STRIDES, 1):
        for index in range(2):
            stride, middle, output = first_stride if index == 0 else 1, next(channels), next(channels)
            begin = nodes[-1].name
            nodes += _sew_block(f"layer{stage}.{index}", begin, source, middle, output, stride, inner, neuron)
            source, remaining = output, -(-remaining // stride)
    return Network((*nodes, *head(nodes[-1].name, remaining, classes, last)), steps)


def resnet19(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 2,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = PAPER_NEURON,
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """ResNet-19 as SpQuant-SNN's public code has it: a 7x7 Conv-BN-LIF of stride 2, then 3, 3 and 2 blocks.

    Stages of 64, 256 and 512 channels, global average-pool, a Linear with 256 LIF, one linear layer. A block is
    conv1-BN-LIF, then one LIF that sums conv2-BN and what the block reads, in the first of a stage through a 1x1
    Conv-BN. Zheng et al. (AAAI 2021), whose network the paper names, have a 3x3 convolution of stride 1 first, and
    128 channels in the first stage (docs/spquant.md). Arguments as vgg16; shape: at least 16 x 16; widths: 18 counts,
    conv0, conv1 and conv2 of each block, and the hidden Linear.
    """
    first, inner, last = quantizers(quantizer, ends)
    *convolutions, hidden = widths_of("resnet19", RESNET19, width, widths)
    channels = iter(convolutions)
    conv0 = Conv("conv0", "input", next(channels), 7, 2, 3, quantizer=first)
    nodes: list[Node] = [input_of(shape, events, input_range), conv0, neuron.like("lif0", "conv0")]
    remaining, done = -(-min(shape[:2]) // 2), 0
    for stage, (blocks, first_stride) in enumerate(RESNET19_BLOCKS, 1):
        for index in range(blocks):
            stride, name = first_stride if index == 0 else 1, f"layer{stage}.{index}"
            made = _block(name, nodes[-1].name, channels, stride, inner, neuron)
            if index == 0:
                past = Conv(f"{name}.down", nodes[-1].name, convolutions[2 * done + 2], 1, stride, 0, quantizer=inner)
                made[3:] = [past, neuron.like(f"{name}.lif2", f"{name}.conv2", past.name)]
            nodes += made
            remaining, done = -(-remaining // stride), done + 1
    nodes += [
        AvgPool("average", nodes[-1].name, remaining),
        Linear("hidden", "average", hidden, quantizer=inner),
        neuron.like("lif", "hidden"),
        Linear("linear", "lif", classes, quantizer=last),
        Readout("readout", "linear"),
    ]
    return Network(tuple(nodes), steps)


def _block(
    name: str, source: str, channels: Iterator[int], stride: int, quantizer: Quantizer | None, neuron: LIF
) -> list[Node]:
    """A basic block; takes its middle and output widths from `channels`."""
    middle, output = next(channels), next(channels)
    conv1, lif1, conv2, shortcut = (f"{name}.{part}" for part in ("conv1", "lif1", "conv2", "shortcut"))
    return [
        Conv(conv1, source, middle, stride=stride, quantizer=quantizer),
        neuron.like(lif1, conv1),
        Conv(conv2, lif1, output, quantizer=quantizer),
        Shortcut(shortcut, source, output, stride),
        neuron.like(f"{name}.lif2", conv2, shortcut),
    ]


def _sew_block(
    name: str,
    source: str,
    inputs: int,
    middle: int,
    output: int,
    stride: int,
    quantizer: Quantizer | None,
    neuron: LIF,
) -> list[Node]:
    """Two Conv-BN-LIF, whose spikes are added to the block's input."""
    nodes: list[Node] = [
        Conv(f"{name}.conv1", source, middle, stride=stride, quantizer=quantizer),
        neuron.like(f"{name}.lif1", f"{name}.conv1"),
        Conv(f"{name}.conv2", f"{name}.lif1", output, quantizer=quantizer),
        neuron.like(f"{name}.lif2", f"{name}.conv2"),
    ]
    if stride > 1 or inputs != output:
        nodes.append(Conv(f"{name}.down", source, output, 1, stride, 0, quantizer=quantizer))
        nodes.append(neuron.like(f"{name}.lif3", f"{name}.down"))
        source = f"{name}.lif3"
    return [*nodes, Sum(f"{name}.sum", (f"{name}.lif2", source))]
