"""The networks of the papers (Tables 9 to 11, SEW-ResNet18, ResNet-19), VGG-9, a perceptron, one for demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.options import known_options
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_choice
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, MaxPool, Node, Readout
from qpsnn_core.network.synapses import Conv, Linear
from qpsnn_core.network.zoo.blocks import (
    INITIAL,
    PAPER_NEURON,
    PAPER_QUANTIZER,
    POOL,
    head,
    input_of,
    quantizers,
    widths_of,
)
from qpsnn_core.network.zoo.options import OWN, Own, check_options, hint_of
from qpsnn_core.network.zoo.resnet import RESNET19, RESNET20, SEW_RESNET18, resnet19, resnet20, sew_resnet18
from qpsnn_core.network.zoo.spikingformer import (
    SPIKINGFORMER_4_256,
    SPIKINGFORMER_4_384,
    spikingformer_4_256,
    spikingformer_4_384,
)
from qpsnn_core.quantization.formats import BY_PLACE, Quantizer

VGG16 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512)
VGG9 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL)
VGGSNN = (64, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512)
MLP = (256,)
VGG_SMALL = (32, 32, POOL, 64, 64, POOL, 128, 128)


def vgg16(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
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
    """VGG-16 of Table 9: thirteen Conv-BN-LIF, four max-pools, average-pool 2, one linear layer.

    shape: (H, W, C) of the images, at least 32 x 32. width: a factor on every channel count; widths: instead, the 13
    counts themselves (a pruned network). quantizer: of all layers but the first convolution and the linear one, which
    `ends` governs: "integer" 8-bit (deployable), "float" unquantized (the paper's figures); `None`: the whole network
    in floating point. events: the input is counts of events `[T, B, H, W, C]`, not an image.
    input_range: what the integers of images or frames stand for, as `Dataset.input_range` says it; None: 0..255, each
    times 1/255.
    Raises ConfigError (a hyper-parameter), ShapeError (an image that is too small).
    """
    chosen = widths_of("vgg16", VGG16, width, widths)
    return _vgg(VGG16, 2, shape, classes, steps, chosen, quantizer, ends, neuron, events, input_range)


def vgg9(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
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
    """The convolutions of VGG-9: seven Conv-BN-LIF, three max-pools, average-pool 2, one linear layer; as vgg16.

    shape: at least 16 x 16. widths: 7 counts.
    """
    chosen = widths_of("vgg9", VGG9, width, widths)
    return _vgg(VGG9, 2, shape, classes, steps, chosen, quantizer, ends, neuron, events, input_range)


def vggsnn(
    shape: Shape = (48, 48, 2),
    classes: int = 10,
    *,
    steps: int = 10,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = PAPER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = PAPER_NEURON,
    events: bool = True,
    input_range: InputRange | None = None,
) -> Network:
    """VGGSNN of Table 11: eight Conv-BN-LIF, three max-pools, average-pool 2, one linear layer; arguments as vgg16.

    shape: at least 16 x 16. widths: 8 counts.
    """
    chosen = widths_of("vggsnn", VGGSNN, width, widths)
    return _vgg(VGGSNN, 2, shape, classes, steps, chosen, quantizer, ends, neuron, events, input_range)


def vgg_small(
    shape: Shape = (8, 8, 1),
    classes: int = 10,
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
    """Six Conv-BN-LIF (32, 32, 64, 64, 128, 128), two max-pools, global average-pool, linear; arguments as vgg16.

    shape: at least 4 x 4. widths: 6 counts.
    """
    plan = VGG_SMALL
    chosen = widths_of("vgg_small", plan, width, widths)
    return _vgg(plan, None, shape, classes, steps, chosen, quantizer, ends, neuron, events, input_range)


def mlp(
    shape: Shape = (34, 34, 2),
    classes: int = 10,
    *,
    steps: int = 10,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    quantizer: Quantizer | None = BY_PLACE,
    ends: str = "integer",
    neuron: LIF = PAPER_NEURON,
    events: bool = False,
    initial: str = "auto",
    input_range: InputRange | None = None,
) -> Network:
    """OSBC's network for N-MNIST: a layer of 256 neurons that sees all of the image, a linear layer; as vgg16.

    widths: neurons of each hidden layer, as many as there are of them; of these the first one, which sees the image,
    and the linear layer at the end are what `ends` governs. initial: "auto", the weights that a Network chooses
    (network/defaults.py), or "paper", `N(0, 0.01)`, with which the first layer fires little, and none behind it ever.
    """
    check_choice("mlp.initial", initial, INITIAL)
    chosen = widths_of("mlp", MLP, width, None) if widths is None else widths_of("mlp", tuple(widths), width, widths)
    first, inner, last = quantizers(quantizer, ends)
    nodes: list[Node] = [input_of(shape, events, input_range)]
    for index, features in enumerate(chosen, 1):
        name, own = f"hidden{index}", first if index == 1 else inner
        nodes.append(Linear(name, nodes[-1].name, features, quantizer=own, gain=None if initial == "auto" else 0.0))
        nodes.append(neuron.like(f"lif{index}", name))
    nodes.append(Linear("linear", nodes[-1].name, classes, quantizer=last))
    return Network((*nodes, Readout("readout", "linear")), steps)


class Entry(NamedTuple):
    """How a network is built. plan: its widths in order, and POOL; None where it takes any number of them.

    batch_norm: whether the layers between the ends have it. transformer: whether it has TransformerOptions.
    """

    build: Callable[..., Network]
    plan: Sequence[int] | None
    batch_norm: bool = True
    transformer: bool = False


ZOO: Mapping[str, Entry] = {
    "vgg16": Entry(vgg16, VGG16),
    "resnet20": Entry(resnet20, RESNET20),
    "vggsnn": Entry(vggsnn, VGGSNN),
    "vgg9": Entry(vgg9, VGG9),
    "vgg_small": Entry(vgg_small, VGG_SMALL),
    "mlp": Entry(mlp, None, False),
    "sew_resnet18": Entry(sew_resnet18, SEW_RESNET18),
    "spikingformer_4_384": Entry(spikingformer_4_384, SPIKINGFORMER_4_384, transformer=True),
    "spikingformer_4_256": Entry(spikingformer_4_256, SPIKINGFORMER_4_256, transformer=True),
    "resnet19": Entry(resnet19, RESNET19),
}


def layers_of(name: str) -> int | None:
    """How many `widths` the network of that name takes; None for any number (mlp)."""
    plan = ZOO[name].plan
    return None if plan is None else sum(width != POOL for width in plan)


def inner_gamma(name: str, widths: Sequence[int]) -> str:
    """The gamma that a Network chooses for the layers between the ends (network/defaults.py); "mean" of none."""
    return "mean" if ZOO[name].batch_norm or len(widths) < 2 else "max"


@known_options(hint_of)
def build(
    name: str,
    shape: Shape,
    classes: int,
    *,
    steps: int | Own = OWN,
    width: float | Own = OWN,
    widths: Sequence[int] | Own | None = OWN,
    quantizer: Quantizer | Own | None = OWN,
    ends: str | Own = OWN,
    neuron: LIF | Own = OWN,
    events: bool | Own = OWN,
    input_range: InputRange | Own | None = OWN,
    initial: str | Own = OWN,
    depth: int | Own = OWN,
    heads: int | Own = OWN,
    patch: int | Own = OWN,
    biases: str | Own = OWN,
) -> Network:
    """The network of that name, for images of `shape` (H, W, C). ConfigError names the nearest valid name or option.

    The options are those of the network's own function (`help(qpsnn_core.zoo.vgg9)`), which has their defaults: steps:
    T. width: a factor on every channel count; widths: instead, the counts themselves. quantizer: of the weights between
    the ends, `None` for floating point. ends: the first and the last layer, "integer" (8 bits, deployable) or "float".
    neuron: what all LIF are like, such as `Neuron(threshold=0.5)` of qpsnn_core.zoo. events: the input is counts of
    events, not an image. input_range: of images made of real numbers, `data.train.input_range`. initial: of the weights
    of mlp, "auto" or "paper". depth, heads, patch, biases: of the Spikingformers.
    """
    if not isinstance(name, str) or name not in ZOO:
        raise ConfigError(expected("network.name", f"one of {', '.join(ZOO)}", name) + did_you_mean(name, ZOO))
    options = {
        "steps": steps,
        "width": width,
        "widths": widths,
        "quantizer": quantizer,
        "ends": ends,
        "neuron": neuron,
        "events": events,
        "input_range": input_range,
        "initial": initial,
        "depth": depth,
        "heads": heads,
        "patch": patch,
        "biases": biases,
    }
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not OWN}
    shape, classes, given = plain((shape, classes, given))
    check_options(ZOO[name].build, shape, classes, given)
    return ZOO[name].build(shape, classes, **given)


def _vgg(
    plan: Sequence[int],
    average: int | None,
    shape: Shape,
    classes: int,
    steps: int,
    widths: Sequence[int],
    quantizer: Quantizer | None,
    ends: str,
    neuron: LIF,
    events: bool,
    input_range: InputRange | None,
) -> Network:
    """A chain: each width of the plan a Conv-BN-LIF (the first with a bias), each POOL a max-pool of 2.

    average: the size of the average-pool, None for all that is left of the image.
    """
    first, inner, last = quantizers(quantizer, ends)
    nodes: list[Node] = [input_of(shape, events, input_range)]
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
        nodes.append(neuron.like(f"lif{convolutions}", name))
    if average is None:
        average = max(1, min(shape[:2]) >> pools)
    return Network((*nodes, *head(nodes[-1].name, average, classes, last)), steps)
