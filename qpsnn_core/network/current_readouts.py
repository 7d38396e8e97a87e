"""The CurrentReadout: logits from real currents, which no neuron reads first; a residual stream is several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qpsnn_core.common.errors import ShapeError, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.validation import check_at_least, check_at_most, check_choice, check_name
from qpsnn_core.network.synapses import MOST_CHANNELS, Conv, Linear, check_weights
from qpsnn_core.network.values import ValueSpec, check_kind, check_sources
from qpsnn_core.quantization.formats import BY_PLACE, Quantizer

PLACES = ("mean", "each")


@dataclass(frozen=True)
class CurrentReadout:
    """`U[t, k] = sum_c W_hat[c, k] sum_j X_j[t, c] + bias[k]`; the network's answer is the mean of U over T.

    places: "mean", X_j is its mean over the H*W places, and U are K = `channels` logits [T, B, K]; "each", U is
    computed at every place: a map [T, B, H, W, K]. No neuron lies between: the currents of a residual stream are
    added up as they are. The defaults of `quantizer` (those of the last layer) and `gain`, and `sparse`, as in Linear.
    """

    name: str
    sources: tuple[str, ...]
    channels: int
    places: str = "mean"
    quantizer: Quantizer | None = BY_PLACE
    bias: bool = True
    sparse: bool = False
    gain: float | None = None
    batch_norm: ClassVar[bool] = False

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_sources(self.name, self.sources, 1)
        check_at_least(f"{self.name}.channels", self.channels, 1)
        check_at_most(f"{self.name}.channels", self.channels, MOST_CHANNELS)
        check_choice(f"{self.name}.places", self.places, PLACES)
        check_weights(self)

    def output(self, *values: ValueSpec) -> ValueSpec:
        """Real numbers of shape (1, 1, channels), or (H, W, channels)."""
        for source, value in zip(self.sources, values, strict=True):
            check_kind(self.name, source, value, "current")
            if value.shape != values[0].shape:
                want = f"{values[0].shape} (from {self.sources[0]})"
                raise ShapeError(expected(f"{self.name} (from {source})", want, value.shape))
        height, width = values[0].shape[:2] if self.places == "each" else (1, 1)
        return ValueSpec("analog", (height, width, self.channels))

    def weight_shape(self, value: ValueSpec) -> tuple[int, ...]:
        """`(C, channels)`, one matrix for all sources."""
        return (value.shape[2], self.channels)

    def area(self, value: ValueSpec) -> int:
        """Places of which the mean is taken: H*W of what it reads, or 1."""
        return value.shape[0] * value.shape[1] if self.places == "mean" else 1


Weighted = Conv | Linear | CurrentReadout
"""The nodes that have weights."""
