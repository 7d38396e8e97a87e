"""Spiking self-attention: sums of products of spikes, without weights and without a softmax."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.common.errors import ShapeError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.validation import check_at_least, check_name, check_number, is_positive
from qpsnn_core.network.values import ValueSpec, check_kind, check_sources

MOST_MATCHES = 2**31 - 1


@dataclass(frozen=True)
class SelfAttention:
    """`X[i] = scale * sum_j (q[i] . k[j]) v[j]`, in each head and at each step; q, k, v are spikes. No weights.

    Zhou et al., Spikformer, ICLR 2023; with pre-activation: Spikingformer, arXiv:2304.11954. The H*W places of a map
    are its tokens i, j. Each head has a run of channels: `C/heads` of the C of q and of k, `C_v/heads` of the C_v of v.
    `A = (q k^T) v` are integers from 0 to `H*W*C/heads`. Gives a Current of v's channels.
    """

    name: str
    query: str
    key: str
    value: str
    heads: int
    scale: float = 0.125

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_sources(self.name, self.sources, 3)
        check_at_least(f"{self.name}.heads", self.heads, 1)
        check_number(f"{self.name}.scale", self.scale, "a positive number", is_positive)

    @property
    def sources(self) -> tuple[str, str, str]:
        """The queries, the keys and the values."""
        return self.query, self.key, self.value

    def output(self, query: ValueSpec, key: ValueSpec, value: ValueSpec) -> ValueSpec:
        """A Current of v's shape. ShapeError: no spikes of 0 and 1, other maps, channels that heads do not divide."""
        for source, read in zip(self.sources, (query, key, value), strict=True):
            place = f"{self.name} (from {source})"
            check_kind(self.name, source, read, "spikes")
            if read.max_count != 1:
                raise ShapeError(expected(place, "spikes of 0 and 1", Unquoted(f"counts up to {read.max_count}")))
            if read.shape[:2] != query.shape[:2]:
                want = f"a map of {query.shape[:2]} (from {self.query})"
                raise ShapeError(expected(place, want, read.shape[:2]))
            if read.shape[2] % self.heads:
                raise ShapeError(expected(place, f"channels in {self.heads} heads of equal size", read.shape[2]))
        if key.shape[2] != query.shape[2]:
            want = f"{query.shape[2]} channels (from {self.query})"
            raise ShapeError(expected(f"{self.name} (from {self.key})", want, key.shape[2]))
        if self.most(query) > MOST_MATCHES:
            want = f"tokens times channels of a head of at most {MOST_MATCHES}, which sums of 32 bits hold"
            raise ShapeError(expected(f"{self.name} (from {self.query})", want, self.most(query)))
        return ValueSpec("current", value.shape)

    def most(self, query: ValueSpec) -> int:
        """The largest A: every token matches in every channel of a head."""
        height, width, channels = query.shape
        return height * width * (channels // self.heads)
