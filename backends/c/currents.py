"""Currents that are joined in C: sums and concatenations in maps of their own, finer maps pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from qpsnn_backends.c.counts import Counts, size
from qpsnn_backends.c.items import Item
from qpsnn_backends.c.jobs import Giving
from qpsnn_backends.c.pixels import every_pixel
from qpsnn_backends.c.pooled import Around
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.types import Shape

ADD_MAP = """\
/* The current of a pixel, as it was computed before. */
static void add_map(const int32_t *pixel, int32_t channels)
{
    for (int32_t c = 0; c < channels; c++) {
        drive[c] += (uint32_t)pixel[c];
    }
}
"""

STORE_MAP = """\
/* The drive of a pixel, as its current. */
static void store_map(int32_t *pixel, int32_t channels)
{
    for (int32_t c = 0; c < channels; c++) {
        pixel[c] = as_signed(drive[c]);
    }
}
"""


@dataclass(frozen=True, eq=False)
class CurrentMap(Giving):
    """A map of int32: the sum of all groups' currents at their channels, each group being added up by itself.

    A sum of currents is one group; of a concatenation each source is one. firsts: the first channel of each.
    """

    gives: Counts
    groups: tuple[tuple[Synapse, ...], ...]
    firsts: tuple[int, ...]

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """All of them."""
        return tuple(one for group in self.groups for one in group)

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that they read."""
        return maps_of(*self.synapses)

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        what = "sum" if len(self.groups) == 1 else "channels side by side"
        yield f"{self.name}, {size(self.shape)}: {what} of currents:"

    def constants(self) -> Iterator[Item]:
        """It has none of its own."""
        yield from ()

    def state(self) -> Iterator[Item]:
        """Nothing lives from step to step."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """What stores a pixel."""
        yield STORE_MAP

    def body(self) -> str:
        """Of its function: one group after another, pixel by pixel."""
        height, width, channels = self.shape
        texts = []
        for group, first in zip(self.groups, self.firsts, strict=True):
            own = group[0].shape[2]

            def store(at: str, first: int = first, own: int = own) -> list[str]:
                begin = str(first) if at == "0" else f"{at} * {channels}" + (f" + {first}" if first else "")
                return [f"store_map({self.gives.variable} + {begin}, {own});"]

            texts.append(every_pixel(height, width, "", group, store))
        return "\n".join(texts)


class _Plain:
    """A synapse without codes, which lists nothing itself."""

    gate: ClassVar[Counts | None] = None
    packing: ClassVar[str] = ""

    def constants(self) -> Iterator[Item]:
        """It has none."""
        yield from ()


@dataclass(frozen=True, eq=False)
class MapSynapse(_Plain):
    """A current that lies in a map."""

    name: str
    source: Counts
    listed: ClassVar[int] = 0
    marks: ClassVar[int] = 0
    within: ClassVar[tuple[Synapse, ...]] = ()

    @property
    def maps(self) -> tuple[Counts, ...]:
        """The map that it reads."""
        return (self.source,)

    @property
    def shape(self) -> Shape:
        """Of the map."""
        return self.source.shape

    @property
    def width(self) -> int:
        """Channels that it drives."""
        return self.shape[2]

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        return f"currents of {self.source.words}"

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """It lists nothing."""
        return []

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The call that adds its current at (y, x) to the drive."""
        channels = self.shape[2]
        return f"add_map({self.source.variable} + ({y} * {self.shape[1]} + {x}) * {channels}, {channels});"


@dataclass(frozen=True, eq=False)
class FinerJob(Around, _Plain):
    """What a synapse gives, on a map `factor` times as high and as wide."""

    name: str
    inner: Synapse
    shape: Shape
    factor: int

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        return f"{self.name}: each pixel {self.factor} x {self.factor} times; {self.inner.words}"

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """Those of the row that it repeats."""
        return self.inner.lists(self._coarse(y), spikes, columns)

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The current of the pixel that stands for (y, x)."""
        return self.inner.driven(self._coarse(y), self._coarse(x), spikes, columns, depth)

    def _coarse(self, place: str) -> str:
        return f"({place} / {self.factor})"
