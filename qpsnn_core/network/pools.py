"""The pools: the largest, or the mean, of windows of spikes, images or currents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.pairs import both, check_below, checked_pair
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.types import Pair
from qpsnn_core.common.validation import check_name
from qpsnn_core.network.values import ValueSpec, check_kind, windows

READS = ("spikes", "analog", "current")


@dataclass(frozen=True)
class MaxPool:
    """The largest of each window of that `size`, every `stride` (0: `size`): of binary spikes their OR.

    size, stride, padding: one number, or (rows, columns). What lies beyond the edge is never the largest. Of images and
    currents, too: each channel of a current by itself, before neurons see it.
    """

    name: str
    source: str
    size: Pair = 2
    stride: Pair = 0
    padding: Pair = 0

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        _check_window(self)
        object.__setattr__(self, "padding", checked_pair(f"{self.name}.padding", self.padding, 0))
        check_below(f"{self.name}.padding", self.padding, "size", self.size)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    @property
    def step(self) -> Pair:
        """The stride, with 0 read as `size`."""
        return self.stride or self.size

    def output(self, value: ValueSpec) -> ValueSpec:
        """What it reads, with the same largest count, on another map."""
        check_kind(self.name, self.source, value, *READS)
        place = f"{self.name} (from {self.source})"
        height, width = windows(place, value.shape, self.size, self.step, self.padding)
        return replace(value, shape=(height, width, value.shape[2]))


@dataclass(frozen=True)
class AvgPool:
    """The mean of each window of that `size`, every `stride` (0: `size`), kept as its integer sum.

    size, stride: one number, or (rows, columns). The divisor goes into the value's scale. Pixels at the edge that fill
    no window are left out. Of images and currents, too: the mean of a current is that of its sums, and of its shift.
    """

    name: str
    source: str
    size: Pair = 2
    stride: Pair = field(default=0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        plain_fields(self)
        check_name(self.name)
        _check_window(self)

    @property
    def sources(self) -> tuple[str, ...]:
        """The one value it reads."""
        return (self.source,)

    @property
    def step(self) -> Pair:
        """The stride, with 0 read as `size`."""
        return self.stride or self.size

    @property
    def area(self) -> int:
        """Pixels of a window."""
        rows, columns = both(self.size)
        return rows * columns

    def output(self, value: ValueSpec) -> ValueSpec:
        """What it reads, with `max_count`, `low` and 1/scale times the area; of a current, itself on another map."""
        check_kind(self.name, self.source, value, *READS)
        height, width = windows(f"{self.name} (from {self.source})", value.shape, self.size, self.step, 0)
        found = replace(value, shape=(height, width, value.shape[2]))
        if value.kind == "current":
            return found
        most = None if value.max_count is None and value.kind == "analog" else (value.max_count or 1) * self.area
        return replace(found, max_count=most, scale=value.scale / self.area, low=value.low * self.area)


def _check_window(node: MaxPool | AvgPool) -> None:
    """Size and stride, in one form each."""
    object.__setattr__(node, "size", checked_pair(f"{node.name}.size", node.size, 1))
    stride = checked_pair(f"{node.name}.stride", node.stride, 0)
    if isinstance(stride, tuple) and 0 in stride:
        raise ConfigError(expected(f"{node.name}.stride", "two numbers of at least 1, or 0 for the size", stride))
    object.__setattr__(node, "stride", stride)
