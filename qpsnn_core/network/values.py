"""What runs between nodes, and the checks of what nodes read.

Kinds of value:
- `"analog"`: the input image, or the prior of a gate, integers `low..max_count` times `scale` (or real numbers,
  `max_count` None);
- `"spikes"`: integers `0..max_count` (1 for a neuron, more after a Sum or an AvgPool) times `scale`;
- `"current"`: what a synapse gives to a neuron, an accumulator with a per-channel affine, not multiplied out;
- `"channel mask"` (1, 1, C) and `"place mask"` (H, W, 1): what a gate opens, 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Pair, Shape

Kind = Literal["analog", "spikes", "current", "channel mask", "place mask"]


@dataclass(frozen=True)
class ValueSpec:
    """What a node gives: its kind, shape (H, W, C), largest integer `max_count` and the `scale` of one unit.

    low: the least integer, below 0 of signed images and of priors alone. levels: of spikes of a neuron that stores its
    membrane in levels, their (low, high, parts).
    """

    kind: Kind
    shape: Shape
    max_count: int | None = None
    scale: float = 1.0
    low: int = 0
    levels: tuple[int, int, int] | None = None

    @property
    def magnitude(self) -> int | None:
        """The largest magnitude of an integer; None of real numbers."""
        return None if self.max_count is None else max(self.max_count, -self.low)


def check_sources(name: str, sources: tuple[str, ...], least: int) -> None:
    """ConfigError unless `sources` are at least `least` different names."""
    if not isinstance(sources, tuple) or len(sources) < least or len(set(sources)) != len(sources):
        raise ConfigError(expected(f"{name}.sources", f"a tuple of at least {least} different names", sources))


def check_kind(name: str, source: str, value: ValueSpec, *kinds: str) -> None:
    """ShapeError unless the value that `name` reads from `source` is of one of the kinds."""
    if value.kind not in kinds:
        raise ShapeError(expected(f"{name} (from {source})", " or ".join(kinds), value.kind))


def window(place: str, size: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows fit along one side; ShapeError when none does."""
    out = (size + 2 * padding - kernel) // stride + 1
    if size + 2 * padding < kernel or out < 1:
        raise ShapeError(expected(place, f"a map of at least {kernel - 2 * padding} pixels", Unquoted(f"{size}")))
    return out


def windows(place: str, shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> tuple[int, int]:
    """How many windows fit a map, (rows, columns); raises as `window`."""
    rows, columns = (
        window(place, *sizes) for sizes in zip(shape[:2], both(kernel), both(stride), both(padding), strict=True)
    )
    return rows, columns
