"""The detector of EMS-YOLO (Su et al. 2023, arXiv:2307.11411), QP-SNN's of appendix B, and a small one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_at_least, check_choice
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.graph import Network
from qpsnn_core.network.joins import Concat, Sum, Upsample
from qpsnn_core.network.nodes import LIF, MaxPool, Node
from qpsnn_core.network.readouts import Readout
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.zoo.blocks import PAPER_QUANTIZER, Neuron, input_of, quantizers, widths_of
from qpsnn_core.quantization.formats import Quantizer

BOX = 5
"""Numbers of an anchor beside those of the classes: x, y, width, height and objectness."""

DETECTOR = (64, *(width for width in (64, 128, 256, 512) for _ in "mo"), 1024, 256, 512, 512, 128, 128, 256, 256)
"""Channels of the first convolution, then of the middle and the output of each block: four of the backbone, four."""

SMALL = (16, 16, 16, 32, 32, 64, 64, 64, 64, 32, 32, 32, 32)
"""Likewise of `detector_small`: three blocks of the backbone, three of the heads."""

BACKBONE = ("layer0", "layer1", "layer2", "layer3", "layer4")
"""What the names of the nodes of DETECTOR's backbone begin with."""

EMS_NEURON = Neuron(threshold=0.5, beta=0.25, surrogate="rectangular", width=1.0, detach_reset=True)
"""A leak that leaves a quarter, a slope of 1 nearer than a half to the threshold. It fires at U >= 0.5, EMS-YOLO's
above 0.5."""

BN_WEIGHT, BN_SECOND = 0.5, 0.1
"""What batch norm's weights begin at; at the end of a block."""

HEADS = ("currents", "spikes")


class Stream(NamedTuple):
    """A residual stream: the currents that make it up when added, and its channels."""

    currents: tuple[str, ...]
    channels: int


class _Making:
    """The nodes so far, and what all blocks have in common."""

    def __init__(self, widths: Sequence[int], quantizer: Quantizer | None, neuron: LIF) -> None:
        self.nodes: list[Node] = []
        self.widths: Iterator[int] = iter(widths)
        self.quantizer = quantizer
        self.neuron = neuron

    def stem(self, kernel: int, quantizer: Quantizer | None) -> Stream:
        """A convolution of the image at every second pixel, without neurons."""
        channels, window = next(self.widths), (kernel, 2, kernel // 2)
        self.nodes.append(Conv("layer0", "input", channels, *window, quantizer, bn_weight=BN_WEIGHT))
        return Stream(("layer0",), channels)

    def block(self, name: str, stream: Stream, kernel: int = 3, stride: int = 1) -> Stream:
        """Two LIF-Conv-BN; beside them a LIF-Conv-BN of one pixel, behind a max-pool where there is a stride."""
        residual, output = self._residual(name, stream, kernel, stride)
        source = stream.currents
        if stride > 1:
            self.nodes.append(MaxPool(f"{name}.pool", self.one(name, stream), stride))
            source = (f"{name}.pool",)
        self._conv(f"{name}.shortcut", f"{name}.lif3", source, output, 1, 1, BN_WEIGHT)
        return Stream((residual, f"{name}.shortcut"), output)

    def wider(self, name: str, stream: Stream, stride: int) -> Stream:
        """Two LIF-Conv-BN; beside them the stream itself, behind channels of a LIF-Conv-BN of one pixel, max-pooled."""
        whole = self.one(name, stream)
        stream = Stream((whole,), stream.channels)
        residual, output = self._residual(name, stream, 3, stride)
        self._conv(f"{name}.shortcut", f"{name}.lif3", stream.currents, output - stream.channels, 1, 1, BN_WEIGHT)
        self.nodes.append(Concat(f"{name}.concat", (f"{name}.shortcut", whole)))
        self.nodes.append(MaxPool(f"{name}.pool", f"{name}.concat", stride))
        return Stream((residual, f"{name}.pool"), output)

    def finer(self, name: str, stream: Stream, fine: Stream) -> Stream:
        """A stream at twice its height and width, beside a finer one."""
        self.nodes.append(Upsample(f"{name}.upsample", self.one(f"{name}.coarse", stream)))
        self.nodes.append(Concat(f"{name}.concat", (f"{name}.upsample", self.one(f"{name}.fine", fine))))
        return Stream((f"{name}.concat",), stream.channels + fine.channels)

    def one(self, name: str, stream: Stream) -> str:
        """The stream as one current: their Sum, which is there once."""
        if len(stream.currents) == 1:
            return stream.currents[0]
        for node in self.nodes:
            if isinstance(node, Sum) and node.sources == stream.currents:
                return node.name
        self.nodes.append(Sum(f"{name}.sum", stream.currents))
        return f"{name}.sum"

    def head(self, name: str, stream: Stream, outputs: int, kind: str, quantizer: Quantizer | None) -> Node:
        """Outputs of each place: of the real currents, or of the spikes of one more layer of neurons."""
        if kind == "currents":
            return CurrentReadout(name, stream.currents, outputs, "each", quantizer)
        self.nodes.append(self.neuron.like(f"{name}.lif", *stream.currents))
        plain = Conv(f"{name}.conv", f"{name}.lif", outputs, 1, 1, 0, quantizer, bias=True, batch_norm=False)
        self.nodes.append(plain)
        return Readout(name, f"{name}.conv", places="each")

    def _residual(self, name: str, stream: Stream, kernel: int, stride: int) -> tuple[str, int]:
        middle, output = next(self.widths), next(self.widths)
        self._conv(f"{name}.conv1", f"{name}.lif1", stream.currents, middle, kernel, stride, BN_WEIGHT)
        self._conv(f"{name}.conv2", f"{name}.lif2", (f"{name}.conv1",), output, kernel, 1, BN_SECOND)
        return f"{name}.conv2", output

    def _conv(
        self, name: str, lif: str, source: tuple[str, ...], channels: int, kernel: int, stride: int, weight: float
    ) -> None:
        self.nodes.append(self.neuron.like(lif, *source))
        self.nodes.append(Conv(name, lif, channels, kernel, stride, kernel // 2, self.quantizer, bn_weight=weight))


def detector(
    shape: Shape = (640, 640, 3),
    classes: int = 20,
    *,
    steps: int = 2,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = EMS_NEURON,
    anchors: int = 3,
    head: str = "currents",
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """EMS-YOLO's ResNet10: readouts "p4" and "p5", maps of a 16th and a 32nd of the image, sides divisible by 32.

    layer0: a 7x7 Conv-BN of stride 2. layer1: a block of stride 2; layer2 to layer4: blocks of stride 2 that double
    the channels by a Concat. layer5, layer6: blocks; "p5" reads layer6. layer7: a block of 1x1 convolutions of layer5,
    upsampled, beside layer3; layer8: a block; "p4" reads it. A readout gives `anchors*(classes + 5)` numbers at every
    place. What a block gives is a sum of currents, which neurons and readouts read without any neuron between.

    widths: 17 counts, of layer0 and then of the middle and the output of layers 1 to 8. head: "currents", readouts of
    real currents, as published; "spikes", one more layer of neurons before a 1x1 Conv. Others as vgg16.
    """
    making = _begun("detector", DETECTOR, width, widths, quantizer, ends, neuron, anchors, head)
    first, _, last = quantizers(quantizer, ends)
    stream = making.block("layer1", making.stem(7, first), stride=2)
    stream = making.wider("layer2", stream, 2)
    fine = making.wider("layer3", stream, 2)
    neck = making.block("layer5", making.wider("layer4", fine, 2))
    coarse = making.block("layer6", neck)
    small = making.block("layer7", neck, kernel=1)
    joined = making.block("layer8", making.finer("layer8", small, fine))
    outputs = anchors * (classes + BOX)
    ends_ = [making.head(*one, outputs, head, last) for one in (("p4", joined), ("p5", coarse))]
    return Network((input_of(shape, events, input_range), *making.nodes, *ends_), steps)


def detector_small(
    shape: Shape = (96, 128, 3),
    classes: int = 3,
    *,
    steps: int = 2,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = EMS_NEURON,
    anchors: int = 3,
    head: str = "spikes",
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """The same kinds of blocks for small machines: readouts "p3" and "p4", an 8th and a 16th of the image.

    layer0: a 3x3 Conv-BN of stride 2; layer1 a block, layer2 and layer3 blocks that double the channels, of stride 2.
    layer4: a block, which "p4" reads; layer5: a block of 1x1 convolutions of it, upsampled, beside layer2; layer6: a
    block, which "p3" reads. widths: 13 counts. Sides divisible by 16. Others as detector.
    """
    making = _begun("detector_small", SMALL, width, widths, quantizer, ends, neuron, anchors, head)
    first, _, last = quantizers(quantizer, ends)
    stream = making.block("layer1", making.stem(3, first), stride=2)
    fine = making.wider("layer2", stream, 2)
    coarse = making.block("layer4", making.wider("layer3", fine, 2))
    small = making.block("layer5", coarse, kernel=1)
    joined = making.block("layer6", making.finer("layer6", small, fine))
    outputs = anchors * (classes + BOX)
    ends_ = [making.head(*one, outputs, head, last) for one in (("p3", joined), ("p4", coarse))]
    return Network((input_of(shape, events, input_range), *making.nodes, *ends_), steps)


def _begun(
    name: str,
    plan: Sequence[int],
    width: float,
    widths: Sequence[int] | None,
    quantizer: Quantizer | None,
    ends: str,
    neuron: LIF,
    anchors: int,
    head: str,
) -> _Making:
    """What the blocks are made with, its options checked."""
    check_at_least(f"{name}.anchors", anchors, 1)
    check_choice(f"{name}.head", head, HEADS)
    return _Making(widths_of(name, plan, width, widths), quantizers(quantizer, ends)[1], neuron)
