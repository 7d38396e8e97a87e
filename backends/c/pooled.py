"""Pools of currents in C: the neurons behind one are driven by every pixel of their window, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from qpsnn_backends.c.counts import Counts, size
from qpsnn_backends.c.items import Item
from qpsnn_backends.c.synapses import Synapse
from qpsnn_core.common.types import Shape

Window = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Size, stride and padding, each (rows, columns)."""


class Around:
    """A synapse around another, `inner`, whose spikes it lists and whose channels it drives."""

    inner: Synapse

    @property
    def within(self) -> tuple[Synapse, ...]:
        """The one inside."""
        return (self.inner,)

    @property
    def maps(self) -> tuple[Counts, ...]:
        """None but those of its synapse."""
        return ()

    @property
    def listed(self) -> int:
        """Spikes that a list of its synapse holds."""
        return self.inner.listed

    @property
    def marks(self) -> int:
        """As of its synapse."""
        return self.inner.marks

    @property
    def width(self) -> int:
        """Channels that it drives."""
        return self.inner.width


@dataclass(frozen=True, eq=False)
class PooledJob(Around):
    """A pool of what a synapse gives. It lists the spikes of each row of its window as it comes to it."""

    what: Literal["max", "sum"]
    name: str
    inner: Synapse
    shape: Shape
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    gate: ClassVar[Counts | None] = None

    @property
    def packing(self) -> str:
        """It has no codes."""
        return ""

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        what = "largest" if self.what == "max" else "sum"
        return f"{self.name}: {what} of {size(self.size)} currents, stride {size(self.stride)}; {self.inner.words}"

    def constants(self) -> Iterator[Item]:
        """Its synapse's, for which it stands."""
        yield from ()

    def scratch(self) -> Iterator[Item]:
        """Where a max-pool keeps the drive so far, and the largest current."""
        if self.what == "max":
            for label in ("before", "largest"):
                yield Item("", f"static uint32_t {self.name}_{label}[{self.width}];", 4 * self.width)

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """Each row of a window is listed when it is driven."""
        return []

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """Loops over the window at (y, x), cut at the edges of the map of currents."""
        (rows, wide), (down, right), (top, left) = self.size, self.stride, self.padding
        row, column = f"{self.name}_y", f"{self.name}_x"
        height, width = self.inner.shape[:2]
        inside = [f"{row} < 0 || {row} >= {height}"] * bool(top), [f"{column} < 0 || {column} >= {width}"] * bool(left)
        skip = [[f"if ({one}) {{", "    continue;", "}"] if test else [] for test in inside for one in (test or [""])]
        lists = self.inner.lists(row, spikes, columns)
        drive = [self.inner.driven(row, column, spikes, columns, depth + 2)]
        if self.what == "max":
            drive = ["memset(drive, 0, sizeof drive);", *drive, *self._larger()]
        begin, end = self._around()
        lines = [
            *begin,
            f"for (int32_t ky = 0; ky < {rows}; ky++) {{",
            f"    const int32_t {row} = {_place(y, down, 'ky', top)};",
            f"    (void){row};",
            *(f"    {line}" for line in (*skip[0], *lists)),
            f"    for (int32_t kx = 0; kx < {wide}; kx++) {{",
            f"        const int32_t {column} = {_place(x, right, 'kx', left)};",
            f"        (void){column};",
            *(f"        {line}" for line in (*skip[1], *drive)),
            "    }",
            "}",
            *end,
        ]
        return f"\n{'    ' * depth}".join(lines)

    def _around(self) -> tuple[list[str], list[str]]:
        """Before and after the loops of a max-pool."""
        if self.what == "sum":
            return [], []
        before, largest, channels = f"{self.name}_before", f"{self.name}_largest", self.shape[2]
        begin = [
            f"memcpy({before}, drive, sizeof {before});",
            f"for (int32_t c = 0; c < {channels}; c++) {{",
            f"    {largest}[c] = 0x80000000u;",
            "}",
        ]
        end = [
            f"memcpy(drive, {before}, sizeof {before});",
            f"for (int32_t c = 0; c < {channels}; c++) {{",
            f"    drive[c] += {largest}[c];",
            "}",
        ]
        return begin, end

    def _larger(self) -> list[str]:
        largest = f"{self.name}_largest"
        return [
            f"for (int32_t c = 0; c < {self.shape[2]}; c++) {{",
            f"    {largest}[c] = as_signed(drive[c]) > as_signed({largest}[c]) ? drive[c] : {largest}[c];",
            "}",
        ]


def _place(window: str, step: int, tap: str, edge: int) -> str:
    """Where a tap of a window lies."""
    begin = "" if window == "0" else f"{window} + " if step == 1 else f"{window} * {step} + "
    return f"{begin}{tap}" + (f" - {edge}" if edge else "")
