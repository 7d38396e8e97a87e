"""Sum, Concat and Upsample: values of spikes, or currents, added up, put side by side, or spread over a finer map."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qpsnn_core.common.errors import ShapeError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.validation import check_at_least, check_name
from qpsnn_core.network.values import ValueSpec, check_kind, check_sources

READS = ("spikes", "current")


@dataclass(frozen=True)
class Sum:
    """`S = sum_k S_k`, spike by spike (SEW's ADD): counts up to the sum of the largest counts. Or `X = sum_k X_k`.

    Of currents: a residual stream that others than neurons read, a pool or a Concat. Neurons sum by themselves.
    """

    name: str
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_sources(self.name, self.sources, 2)

    def output(self, *values: ValueSpec) -> ValueSpec:
        """Spikes of the same shape and scale, or a Current of the same shape."""
        first = _alike(self, values)
        for source, value in zip(self.sources, values, strict=True):
            if (value.shape, value.scale) != (first.shape, first.scale):
                want = f"{first.shape} at scale {first.scale} (from {self.sources[0]})"
                raise ShapeError(
                    expected(f"{self.name} (from {source})", want, Unquoted(f"{value.shape} at {value.scale}"))
                )
        if first.kind == "current":
            return first
        return replace(first, max_count=sum(value.max_count or 1 for value in values))


@dataclass(frozen=True)
class Concat:
    """The channels of several values, one source's after the other's: all of spikes, or all currents."""

    name: str
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_sources(self.name, self.sources, 2)

    def output(self, *values: ValueSpec) -> ValueSpec:
        """Spikes of one map and scale, with the largest of their counts, or a Current of one map."""
        first = _alike(self, values)
        for source, value in zip(self.sources, values, strict=True):
            if (value.shape[:2], value.scale) != (first.shape[:2], first.scale):
                want = f"a map of {first.shape[:2]} at scale {first.scale} (from {self.sources[0]})"
                got = Unquoted(f"{value.shape[:2]} at {value.scale}")
                raise ShapeError(expected(f"{self.name} (from {source})", want, got))
        wide = replace(first, shape=(*first.shape[:2], sum(value.shape[2] for value in values)))
        if first.kind == "current":
            return wide
        return replace(wide, max_count=max(value.max_count or 1 for value in values))


@dataclass(frozen=True)
class Upsample:
    """`Y[y, x, c] = X[y // factor, x // factor, c]`: each pixel becomes `factor` by `factor` (nearest).

    Of spikes, and of currents: a Sum of them first, or each of those that a LIF sums.
    """

    name: str
    source: str
    factor: int = 2

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        check_at_least(f"{self.name}.factor", self.factor, 2)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        """What it reads, on a map `factor` times as high and as wide."""
        check_kind(self.name, self.source, value, *READS)
        height, width, channels = value.shape
        return replace(value, shape=(height * self.factor, width * self.factor, channels))


def _alike(node: Sum | Concat, values: tuple[ValueSpec, ...]) -> ValueSpec:
    """The first value, if all are of its kind: spikes or currents."""
    for source, value in zip(node.sources, values, strict=True):
        check_kind(node.name, source, value, *(READS if value is values[0] else (values[0].kind,)))
    return values[0]
