"""The networks of the paper's Tables 9 to 11, VGG-9, and a small one for demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qpsnn_core.errors import ConfigError, expected
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, AvgPool, Input, MaxPool, Node, Readout
from qpsnn_core.network.synapses import Conv, Linear, Quantizer, Shortcut
from qpsnn_core.network.values import Shape, check_choice
from qpsnn_core.structure import nearest

ENDS = ("integer", "float")
INTEGER_FIRST = Quantizer(8, gamma="max")
INTEGER_LAST = Quantizer(8, gamma="max", granularity="layer")

POOL = 0
VGG16 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512)
VGG9 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL)
VGGSNN = (64, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512)
VGG_SMALL = (32, 32, POOL, 64, 64, POOL, 128, 128)
RESNET20 = (64, *(width for stage in (128, 256, 512) for width in (stage,) * 6))
RESNET20_STRIDES = (1, 2, 2)


@dataclass(frozen=True)
class Neuron:
    """What all neurons of a zoo network share; the meaning and the checks are those of LIF."""

    threshold: float = 1.0
    beta: float = 0.5
    surrogate: str = "triangle"
    width: float = 1.0
    detach_reset: bool = False

    def lif(self, name: str, *sources: str) -> LIF:
        """A LIF node of this kind."""
        return LIF(name, sources, **asdict(self))


PAPER_NEURON = Neuron()
PAPER_QUANTIZER = Quantizer(4)


def vgg16(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: Neuron = PAPER_NEURON,
    events: bool = False,
) -> Network:
    """VGG-16 of Table 9: thirteen Conv-BN-LIF, four max-pools, average-pool 2, one linear layer.

    shape: (H, W, C) of the images, at least 32 x 32. width: a factor on every channel count; widths: instead, the 13
    counts themselves (a pruned network). quantizer: of all layers but the first convolution and the linear one, which
    `ends` governs: "integer" 8-bit (deployable), "float" unquantized (the paper's figures); `None`: the whole network
    in floating point. events: the input is counts of events `[T, B, H, W, C]`, not an image.
    Raises ConfigError (a hyper-parameter), ShapeError (an image that is too small).
    """
    return _vgg(
        VGG16, 2, shape, classes, steps, _widths("vgg16", VGG16, width, widths), quantizer, ends, neuron, events
    )


def vgg9(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: Neuron = PAPER_NEURON,
    events: bool = False,
) -> Network:
    """The convolutions of VGG-9: seven Conv-BN-LIF, three max-pools, average-pool 2, one linear layer; as vgg16.

    shape: at least 16 x 16. widths: 7 counts.
    """
    return _vgg(VGG9, 2, shape, classes, steps, _widths("vgg9", VGG9, width, widths), quantizer, ends, neuron, events)


def vggsnn(
    shape: Shape = (48, 48, 2),
    classes: int = 10,
    *,
    steps: int = 10,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: Neuron = PAPER_NEURON,
    events: bool = True,
) -> Network:
    """VGGSNN of Table 11: eight Conv-BN-LIF, three max-pools, average-pool 2, one linear layer; arguments as vgg16.

    shape: at least 16 x 16. widths: 8 counts.
    """
    plan = VGGSNN
    return _vgg(plan, 2, shape, classes, steps, _widths("vggsnn", plan, width, widths), quantizer, ends, neuron, events)


def vgg_small(
    shape: Shape = (8, 8, 1),
    classes: int = 10,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: Neuron = PAPER_NEURON,
    events: bool = False,
) -> Network:
    """Six Conv-BN-LIF (32, 32, 64, 64, 128, 128), two max-pools, global average-pool, linear; arguments as vgg16.

    shape: at least 4 x 4. widths: 6 counts.
    """
    plan = VGG_SMALL
    chosen = _widths("vgg_small", plan, width, widths)
    return _vgg(plan, None, shape, classes, steps, chosen, quantizer, ends, neuron, events)


def resnet20(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 2,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: Neuron = PAPER_NEURON,
    events: bool = False,
) -> Network:
    """ResNet20 of Table 10: Conv-BN-LIF, three stages of three blocks, global average-pool, one linear layer.

    A block is conv1-BN-LIF, then one LIF that sums two currents: conv2-BN, and a Shortcut without weights, which
    subsamples and pads channels with zeros. Arguments as vgg16; widths: 19 counts, in the order of the convolutions
    (conv0, then conv1 and conv2 of each block; an output may not be narrower than the one before).
    """
    first, inner, last = _quantizers(quantizer, ends)
    channels = iter(_widths("resnet20", RESNET20, width, widths))
    nodes: list[Node] = [_input(shape, events), Conv("conv0", "input", next(channels), quantizer=first)]
    nodes.append(neuron.lif("lif0", "conv0"))
    remaining = min(shape[:2])
    for stage, first_stride in enumerate(RESNET20_STRIDES, 1):
        for index in range(3):
            stride = first_stride if index == 0 else 1
            nodes += _block(f"layer{stage}.{index}", nodes[-1].name, channels, stride, inner, neuron)
            remaining = -(-remaining // stride)
    return Network((*nodes, *_head(nodes[-1].name, remaining, classes, last)), steps)


ZOO: Mapping[str, Callable[..., Network]] = {
    "vgg16": vgg16,
    "resnet20": resnet20,
    "vggsnn": vggsnn,
    "vgg9": vgg9,
    "vgg_small": vgg_small,
}


def build(name: str, shape: Shape, classes: int, **options: Any) -> Network:
    """The network of that name, for images of `shape` (H, W, C). ConfigError names the nearest valid name."""
    if name not in ZOO:
        raise ConfigError(expected("network.name", f"one of {', '.join(ZOO)}", name) + nearest(name, ZOO))
    return ZOO[name](shape, classes, **options)


def _widths(name: str, plan: Sequence[int], factor: float, widths: Sequence[int] | None) -> tuple[int, ...]:
    """The channels of each convolution: the plan's times `factor`, or those given."""
    base = [width for width in plan if width != POOL]
    if widths is None:
        if not 0 < factor < float("inf"):
            raise ConfigError(expected(f"{name}.width", "a positive number", factor))
        return tuple(max(1, round(width * factor)) for width in base)
    if factor != 1.0:
        raise ConfigError(expected(f"{name}.width", "1 where widths are given", factor))
    if len(widths) != len(base):
        raise ConfigError(expected(f"{name}.widths", f"{len(base)} channel counts", len(widths)))
    return tuple(widths)


def _quantizers(inner: Quantizer | None, ends: str) -> tuple[Quantizer | None, Quantizer | None, Quantizer | None]:
    """Of the first convolution, of the layers between, of the linear layer."""
    check_choice("network.ends", ends, ENDS)
    if inner is None or ends == "float":
        return None, inner, None
    return INTEGER_FIRST, inner, INTEGER_LAST


def _input(shape: Shape, events: bool) -> Input:
    return Input("input", shape, scale=1.0, spikes=True) if events else Input("input", shape)


def _head(source: str, pool: int, classes: int, quantizer: Quantizer | None) -> tuple[Node, ...]:
    return (
        AvgPool("average", source, pool),
        Linear("linear", "average", classes, quantizer=quantizer),
        Readout("readout", "linear"),
    )


def _vgg(
    plan: Sequence[int],
    average: int | None,
    shape: Shape,
    classes: int,
    steps: int,
    widths: Sequence[int],
    quantizer: Quantizer | None,
    ends: str,
    neuron: Neuron,
    events: bool,
) -> Network:
    """A chain: each width of the plan a Conv-BN-LIF (the first with a bias), each POOL a max-pool of 2.

    average: the size of the average-pool, None for all that is left of the image.
    """
    first, inner, last = _quantizers(quantizer, ends)
    nodes: list[Node] = [_input(shape, events)]
    convolutions = pools = 0
    for entry in plan:
        source = nodes[-1].name
        if entry == POOL:
            pools += 1
            nodes.append(MaxPool(f"pool{pools}", source, 2))
            continue
        convolutions += 1
        name, begin = f"conv{convolutions}", convolutions == 1
        own = first if begin else inner
        nodes.append(Conv(name, source, widths[convolutions - 1], quantizer=own, bias=begin))
        nodes.append(neuron.lif(f"lif{convolutions}", name))
    if average is None:
        average = max(1, min(shape[:2]) >> pools)
    return Network((*nodes, *_head(nodes[-1].name, average, classes, last)), steps)


def _block(
    name: str, source: str, channels: Iterator[int], stride: int, quantizer: Quantizer | None, neuron: Neuron
) -> list[Node]:
    """A basic block; takes its middle and output widths from `channels`."""
    middle, output = next(channels), next(channels)
    conv1, lif1, conv2, shortcut = (f"{name}.{part}" for part in ("conv1", "lif1", "conv2", "shortcut"))
    return [
        Conv(conv1, source, middle, stride=stride, quantizer=quantizer),
        neuron.lif(lif1, conv1),
        Conv(conv2, lif1, output, quantizer=quantizer),
        Shortcut(shortcut, source, output, stride),
        neuron.lif(f"{name}.lif2", conv2, shortcut),
    ]
