"""Spikingformer (Zhou et al., arXiv:2304.11954), the transformer of the paper's Table 4, of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check, check_at_least, check_choice, least, typed
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF, Input, MaxPool, Node
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.zoo.blocks import Neuron, input_of, quantizers, widths_of
from qpsnn_core.quantization.formats import SCALED, Quantizer

SPIKINGFORMER_4_384 = (48, 96, 192, 384, 384, 1536)
SPIKINGFORMER_4_256 = (32, 64, 128, 256, 256, 1024)

TOKENIZER = 5
"""Convolutions of the tokenizer; the last one has the channels of the residual stream."""

PATCHES = (1, 2, 4, 8, 16)

BIASES = ("blocks", "first")

SPIKINGFORMER_NEURON = Neuron(2.0, 0.5, "sigmoid", 0.5, True)
"""`u = v/2 + x/2`, which fires at 1, as `U = U/2 + x` with U = 2u: threshold 2, and a sigmoid of alpha 4 has width 1/2.

The reset is to zero, and detached."""

SPIKINGFORMER_QUANTIZER = Quantizer(4, SCALED)


def spikingformer_4_384(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    depth: int = 4,
    heads: int = 12,
    patch: int = 4,
    biases: str = "blocks",
    quantizer: Quantizer | None = SPIKINGFORMER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = SPIKINGFORMER_NEURON,
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """A tokenizer of five 3x3 convolutions, `depth` blocks of attention and MLP, and a readout of the residual stream.

    Each convolution but the first reads spikes: `LIF -> Conv -> BN` (pre-activation). What the tokenizer, the attention
    and the MLPs give is added up, as Currents that each later LIF of the stream reads; no neuron comes before the
    readout, which takes the mean over places and steps. The places of the map are the tokens.

    widths: six counts, of the five convolutions, the last of which the stream has, and of the MLPs' hidden layers.
    heads: of attention, a divisor of the stream's channels. patch: pixels of a token along each side, 1, 2, 4, 8 or 16:
    one 3x3 max-pool of stride 2 before a convolution for each power of two, before the last one first. biases: of
    convolutions in front of batch norm, in "blocks" as published, or of the "first" alone, as in the scripts of QP-SNN.
    neuron: what all LIF are like; those behind attention have half its threshold. The rest as vgg16. Published with 12
    heads for CIFAR-10, 8 for CIFAR-100.
    """
    chosen = widths_of("spikingformer_4_384", SPIKINGFORMER_4_384, width, widths)
    plan = Plan("spikingformer_4_384", chosen, depth, heads, patch, biases, neuron, *quantizers(quantizer, ends))
    return _spikingformer(plan, input_of(shape, events, input_range), classes, steps)


def spikingformer_4_256(
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    steps: int = 4,
    width: float = 1.0,
    widths: Sequence[int] | None = None,
    depth: int = 4,
    heads: int = 8,
    patch: int = 4,
    biases: str = "blocks",
    quantizer: Quantizer | None = SPIKINGFORMER_QUANTIZER,
    ends: str = "integer",
    neuron: LIF = SPIKINGFORMER_NEURON,
    events: bool = False,
    input_range: InputRange | None = None,
) -> Network:
    """Two thirds as wide: what Table 4's pruning leaves, and a network that is published as such."""
    chosen = widths_of("spikingformer_4_256", SPIKINGFORMER_4_256, width, widths)
    plan = Plan("spikingformer_4_256", chosen, depth, heads, patch, biases, neuron, *quantizers(quantizer, ends))
    return _spikingformer(plan, input_of(shape, events, input_range), classes, steps)


def unused_parameters(channels: int, depth: int) -> int:
    """Of the LayerNorms that the published network has, two in a block, and never uses: none of this one's.

    channels: of the stream. depth: blocks.
    """
    return 4 * channels * depth


@dataclass(frozen=True)
class TransformerOptions:
    """What a recipe says of a Spikingformer, besides what it says of any network; None: the network's own.

    depth, heads, patch, biases: as of `spikingformer_4_384`.
    """

    depth: int | None = None
    heads: int | None = None
    patch: int | None = None
    biases: str | None = None

    def __post_init__(self) -> None:
        typed(self)
        for name in ("depth", "heads"):
            if getattr(self, name) is not None:
                least(self, **{name: 1})
        check(self, "patch", self.patch in (None, *PATCHES), f"one of {', '.join(map(str, PATCHES))}")
        check(self, "biases", self.biases in (None, *BIASES), f"one of {', '.join(BIASES)}")

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not None."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


class Plan(NamedTuple):
    """The options of a network as it is built; first, inner, last: the quantizers."""

    name: str
    widths: tuple[int, ...]
    depth: int
    heads: int
    patch: int
    biases: str
    neuron: LIF
    first: Quantizer | None
    inner: Quantizer | None
    last: Quantizer | None

    @property
    def channels(self) -> int:
        """Of the stream."""
        return self.widths[TOKENIZER - 1]

    def check(self) -> None:
        """ConfigError, naming the option."""
        check_at_least(f"{self.name}.depth", self.depth, 1)
        check_at_least(f"{self.name}.heads", self.heads, 1)
        check_choice(f"{self.name}.biases", self.biases, BIASES)
        if self.patch not in PATCHES:
            raise ConfigError(expected(f"{self.name}.patch", f"one of {', '.join(map(str, PATCHES))}", self.patch))
        if self.channels % self.heads:
            want = f"a divisor of {self.channels}, the stream's channels"
            raise ConfigError(expected(f"{self.name}.heads", want, self.heads))

    def point(self, name: str, source: str, channels: int, *, bias: bool = False) -> Conv:
        """A convolution of each token by itself."""
        return Conv(name, source, channels, 1, 1, 0, self.inner, bias=bias and self.biases == "blocks")


def _spikingformer(plan: Plan, image: Input, classes: int, steps: int) -> Network:
    plan.check()
    nodes: list[Node] = [image, *_tokenizer(plan)]
    stream: tuple[str, ...] = (nodes[-1].name,)
    for block in range(1, plan.depth + 1):
        for part in (_attention, _mlp):
            nodes += part(f"block{block}", stream, plan)
            stream += (nodes[-1].name,)
    return Network((*nodes, CurrentReadout("readout", stream, classes, quantizer=plan.last)), steps)


def _tokenizer(plan: Plan) -> list[Node]:
    """Convolutions, and neurons in front of all but the first; max-pools of spikes in front of the last ones."""
    nodes: list[Node] = [
        Conv("tokenizer.conv1", "input", plan.widths[0], quantizer=plan.first, bias=plan.biases == "first")
    ]
    for index in range(2, TOKENIZER + 1):
        nodes.append(plan.neuron.like(f"tokenizer.lif{index - 1}", nodes[-1].name))
        if index > TOKENIZER - PATCHES.index(plan.patch):
            nodes.append(MaxPool(f"tokenizer.pool{index - 1}", nodes[-1].name, 3, 2, 1))
        nodes.append(Conv(f"tokenizer.conv{index}", nodes[-1].name, plan.widths[index - 1], quantizer=plan.inner))
    return nodes


def _attention(name: str, stream: tuple[str, ...], plan: Plan) -> list[Node]:
    """Queries, keys and values of the stream's spikes; attention; its neurons; the projection."""
    nodes: list[Node] = [plan.neuron.like(f"{name}.lif", *stream)]
    query, key, value = names = [f"{name}.{part}" for part in ("query", "key", "value")]
    for part in names:
        nodes += [plan.point(part, f"{name}.lif", plan.channels), plan.neuron.like(f"{part}.lif", part)]
    behind = replace(plan.neuron, threshold=plan.neuron.threshold / 2)
    return [
        *nodes,
        SelfAttention(f"{name}.attention", f"{query}.lif", f"{key}.lif", f"{value}.lif", plan.heads),
        behind.like(f"{name}.attention.lif", f"{name}.attention"),
        plan.point(f"{name}.projection", f"{name}.attention.lif", plan.channels, bias=True),
    ]


def _mlp(name: str, stream: tuple[str, ...], plan: Plan) -> list[Node]:
    """Two layers, each behind neurons."""
    return [
        plan.neuron.like(f"{name}.mlp.lif1", *stream),
        plan.point(f"{name}.mlp.conv1", f"{name}.mlp.lif1", plan.widths[TOKENIZER], bias=True),
        plan.neuron.like(f"{name}.mlp.lif2", f"{name}.mlp.conv1"),
        plan.point(f"{name}.mlp.conv2", f"{name}.mlp.lif2", plan.channels, bias=True),
    ]
