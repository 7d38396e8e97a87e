"""Priors of gates in C: the levels that neurons stored at the step before, added up over windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template

from qpsnn_backends.c import levels as few
from qpsnn_backends.c.counts import TYPES, Counts, size
from qpsnn_backends.c.items import Item
from qpsnn_backends.c.joins import Join
from qpsnn_core.common.types import Shape

SUM_LEVELS = Template("""\
/* The sum of each window of packed levels. bytes: of a pixel. */
static void sum_levels_$kind(const uint8_t *levels, $type *out, int32_t out_height, int32_t out_width, int32_t width,
                             int32_t size, int32_t channels, int32_t bytes, int32_t bits, int32_t high)
{
    for (int32_t y = 0; y < out_height; y++) {
        for (int32_t x = 0; x < out_width; x++) {
            for (int32_t c = 0; c < channels; c++) {
                int32_t sum = 0;
                for (int32_t k = 0; k < size * size; k++) {
                    const int32_t pixel = (y * size + k / size) * width + x * size + k % size;
                    sum += level_of(levels + pixel * bytes, c, bits, high);
                }
                *out++ = ($type)sum;
            }
        }
    }
}
""")


@dataclass(frozen=True)
class PriorJob(Join):
    """What the neurons `lif`, of this shape, stored at the step before: it runs ahead of them. window: its side."""

    gives: Counts
    lif: str
    stored: Shape
    levels: few.PackedLevels
    window: int
    reads: tuple[Counts, ...] = ()

    def words(self) -> Iterator[str]:
        """Its comment."""
        yield f"{self.name}, {size(self.shape)}: sum over {self.window} x {self.window} of what {self.lif} stored."

    def constants(self) -> Iterator[Item]:
        """It has none."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """The shared functions that it calls."""
        yield few.LEVEL
        yield SUM_LEVELS.substitute(kind=self.gives.kind, type=TYPES[self.gives.kind])

    def body(self) -> str:
        """Of its function."""
        packed = self.levels
        sizes = (*self.shape[:2], self.stored[1], self.window, self.shape[2], packed.bytes, packed.bits, packed.high)
        numbers = ", ".join(map(str, sizes))
        return f"    sum_levels_{self.gives.kind}({self.lif}_membrane, {self.gives.variable}, {numbers});"
