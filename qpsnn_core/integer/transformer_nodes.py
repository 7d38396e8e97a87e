"""The integer nodes of spiking transformers: attention of spikes, and a readout of currents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IntAttention:
    """`X[i] = gain * sum_j (q[i] . k[j]) v[j]`, in each head; q, k, v are counts of 0 and 1.

    The H*W places of a map are its tokens i, j; each head has a run of channels of q and k, and one of v.
    Arrays: `gain` int32 [C of v].
    """

    name: str
    query: str
    key: str
    value: str
    heads: int

    @property
    def sources(self) -> tuple[str, str, str]:
        """The queries, the keys and the values."""
        return self.query, self.key, self.value


@dataclass(frozen=True)
class IntCurrentReadout:
    """`U[k] = gain[k] * sum_c codes[c, k] * factor[c] * R(Z[c]) + (bias[k] << bias_shift)`, and Y the sum of U over T.

    `Z = sum_j X_j`, added up over all places ("mean") or at each place ("each"); `R(Z) = (Z + half) >> shift`, half of
    `1 << shift`: rounded to nearest, halves upwards; the shift is arithmetic. U and Y need 64 bits. The answer is
    argmax Y, the lowest of equal classes; `Y * unit(T)` are the trained network's logits.
    Arrays: `codes` int8 or int16 [C, channels]; `factor` int32 [C]; `gain` and `bias` int32 [channels].
    """

    name: str
    sources: tuple[str, ...]
    channels: int
    places: str = "mean"
    shift: int = 0
    bias_shift: int = 0
    scale: float = 1.0

    @property
    def half(self) -> int:
        """What is added before the shift."""
        return (1 << self.shift) >> 1

    def unit(self, steps: int) -> float:
        """What 1 of Y is of a logit."""
        return self.scale / steps
