"""The integer network's own nodes: frozen, no floating point; each docstring is the arithmetic.

Their arrays live in `IntegerNetwork.arrays[node][name]`. Names are those of the network that was lowered, so spikes
can be compared by name. Four kinds of value run between nodes: counts (non-negative integers, `0..max_count`),
signed images and priors, which only synapses with codes read, currents (signed integers), and masks of channels or
places, 0 or 1. Those of spiking transformers are next door (`transformer_nodes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.pairs import both, tidy_pair
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.types import Pair
from qpsnn_core.integer.transformer_nodes import IntAttention as IntAttention
from qpsnn_core.integer.transformer_nodes import IntCurrentReadout as IntCurrentReadout
from qpsnn_core.network.gates import gates_of


def _tidy(node: object, *fields: str) -> None:
    """One form for each pair of sizes; what is wrong with them is checked with the network."""
    for label in fields:
        object.__setattr__(node, label, tidy_pair(getattr(node, label)))


@dataclass(frozen=True)
class IntInput:
    """Images or event frames, integers `low..peak`: the same at every step `[B, H, W, C]`, or `[T, B, H, W, C]`.

    low: 0, or negative for signed images. scale: the real number for which one unit stands, where images were made of
    real numbers; 0: not said. Nothing is computed with it: it tells how to make further images.
    """

    name: str
    shape: tuple[int, int, int]
    peak: int
    low: int = field(default=0, metadata=ADDED_LATER)
    scale: float = field(default=0.0, metadata=ADDED_LATER)

    @property
    def range(self) -> InputRange:
        """What makes integers of further real numbers: `network.input.range.quantize(values)`."""
        return InputRange(self.low, self.peak, self.scale)


@dataclass(frozen=True)
class IntConv:
    """`X[y, x, co] = gain[co] * sum codes[ky, kx, ci, co] * S[y*stride + ky - padding, x*stride + kx - padding, ci]`.

    kernel, stride, padding: one number, or (rows, columns). ci: of the group of co, of `groups` in order.
    Arrays: `codes` int8 or int16 [rows, columns, C_in / groups, channels]; `gain` int32 [channels].
    X is 0 where the IntGate `gate` is 0, S is taken as 0 where `input_gate` is.
    """

    name: str
    source: str
    channels: int
    kernel: Pair
    stride: Pair
    padding: Pair
    groups: int = field(default=1, metadata=ADDED_LATER)
    gate: str | None = field(default=None, metadata=ADDED_LATER)
    input_gate: str | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _tidy(self, "kernel", "stride", "padding")

    @property
    def square(self) -> bool:
        """Whether its window is square, and moves alike along both axes."""
        return not any(isinstance(one, tuple) for one in (self.kernel, self.stride, self.padding))

    @property
    def plain(self) -> bool:
        """Whether it is square and has no groups."""
        return self.square and self.groups == 1

    @property
    def sources(self) -> tuple[str, ...]:
        """What it reads, and its gates, that of its sums first."""
        return (self.source, *gates_of(self))


@dataclass(frozen=True)
class IntLinear:
    """`X[o] = gain[o] * sum_i codes[i, o] * S[i]`, i over (H, W, C) flattened; gives shape (1, 1, features).

    Arrays: `codes` int8 or int16 [H*W*C_in, features]; `gain` int32 [features].
    """

    name: str
    source: str
    features: int


@dataclass(frozen=True)
class IntShortcut:
    """`X[y, x, c] = gain[c] * S[y*stride, x*stride, channel_map[c]]`, 0 where the map says -1.

    Arrays: `gain` int32 [channels].
    """

    name: str
    source: str
    channels: int
    stride: int
    channel_map: tuple[int, ...]


@dataclass(frozen=True)
class IntLevels:
    """What a neuron may store of a membrane: `step*j`, `step = threshold / parts`, j from `low*parts` to `high*parts`.

    The nearest one, of two the lower: `j = min(max((2*U + step - 1) // (2*step), low*parts), high*parts)`.
    """

    low: int
    high: int
    parts: int = 1

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest j."""
        return self.low * self.parts, self.high * self.parts

    @property
    def bits(self) -> int:
        """Whole bits that tell all j apart."""
        return ((self.high - self.low) * self.parts).bit_length()


@dataclass(frozen=True)
class IntLIF:
    """`U~ = ((U * multiplier) >> shift) + bias + sum_k X_k`; `S = U~ >= threshold`; `U` is U~ after its reset.

    `reset` "zero": `U = 0 if S else U~`; "subtract": `U = U~ - threshold if S else U~`. membrane: the levels to the
    nearest of which U then goes; None: it stays what it is.
    The shift is arithmetic (floor); beta = 1/2 is multiplier 1, shift 1. U starts at 0 for each sample.
    Arrays: `threshold` and `bias` int32 [C], threshold >= 1.
    """

    name: str
    sources: tuple[str, ...]
    multiplier: int = 1
    shift: int = 1
    reset: str = field(default="zero", metadata=ADDED_LATER)
    membrane: IntLevels | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True)
class IntMaxPool:
    """The largest of each window of that `size`, every `stride`; what lies beyond the edge never is.

    size, stride, padding: one number, or (rows, columns). Of counts, signed images and currents.
    """

    name: str
    source: str
    size: Pair
    stride: Pair
    padding: Pair = 0

    def __post_init__(self) -> None:
        _tidy(self, "size", "stride", "padding")

    @property
    def step(self) -> Pair:
        """The stride."""
        return self.stride


@dataclass(frozen=True)
class IntSumPool:
    """The sum of each window of that `size`, every `stride` (0: `size`); a remainder at the edge is dropped.

    size, stride: one number, or (rows, columns). Of counts, signed images and currents.
    """

    name: str
    source: str
    size: Pair
    stride: Pair = field(default=0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _tidy(self, "size", "stride")

    @property
    def step(self) -> Pair:
        """The stride, with 0 read as `size`."""
        return self.stride or self.size

    @property
    def area(self) -> int:
        """Pixels of a window."""
        rows, columns = both(self.size)
        return rows * columns


@dataclass(frozen=True)
class IntSum:
    """`S = sum_k S_k`, element by element: of counts, or of currents."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class IntGate:
    """`M = X[k] >= threshold[k]`, 0 or 1: the mask of a convolution, from the current of a predictor.

    shape None: of channels, `M[c] = X[c // size] >= threshold[c // size]`, X of shape (1, 1, K); (H, W): of places,
    `M[y, x] = X[y*h // H, x*w // W] >= threshold`, X of shape (h, w, 1).
    Arrays: `threshold` int32 [K or 1].
    """

    name: str
    source: str
    shape: tuple[int, int] | None = None
    size: int = 1


@dataclass(frozen=True)
class IntMembrane:
    """`P[t] = sum of each size x size window of j[t-1]`, j the level that the IntLIF `source` stores; 0 at first.

    A remainder at the edge is dropped. Signed integers, as of images: what predicts places.
    """

    name: str
    source: str
    size: int


@dataclass(frozen=True)
class IntConcat:
    """The channels of its sources, one's after the other's: of counts, or of currents."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class IntUpsample:
    """`Y[y, x] = X[y // factor, x // factor]`: each pixel of counts or of a current, `factor` by `factor` times."""

    name: str
    source: str
    factor: int


@dataclass(frozen=True)
class IntReadout:
    """`U = ((U * multiplier) >> shift) + X + bias`; Y is, by `mode`, the sum ("mean"), the "last", or the "max" of U.

    The answer is argmax Y, the lowest of equal classes; `Y * unit(T)` are the trained network's logits. With multiplier
    0, `Y = sum_t (X[t] + bias)`. X may be counts: their sum, with a bias of 0. places: "one", or "each" of a map.
    Arrays: `bias` int32 [classes].
    """

    name: str
    source: str
    scale: float = 1.0
    mode: str = field(default="mean", metadata=ADDED_LATER)
    multiplier: int = field(default=0, metadata=ADDED_LATER)
    shift: int = field(default=0, metadata=ADDED_LATER)
    places: str = field(default="one", metadata=ADDED_LATER)

    def unit(self, steps: int) -> float:
        """What 1 of Y is of a logit."""
        return self.scale / steps if self.mode == "mean" else self.scale


IntNode = (
    IntInput
    | IntConv
    | IntLinear
    | IntShortcut
    | IntLIF
    | IntMaxPool
    | IntSumPool
    | IntSum
    | IntConcat
    | IntUpsample
    | IntGate
    | IntAttention
    | IntMembrane
    | IntReadout
    | IntCurrentReadout
)

INT_READOUTS = (IntReadout, IntCurrentReadout)
"""The kinds that an integer network ends with."""
