"""Convolutions in C that go input by input: those in groups, and those whose windows move unevenly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template
from typing import Any, ClassVar

import numpy as np

from qpsnn_backends.c.counts import TYPES, Counts
from qpsnn_backends.c.items import Item, record, table
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Shape
from qpsnn_core.integer.nodes import IntConv

DIRECT = """\
/* A convolution in groups. inputs, outputs: of a group. `units`: elements of a pixel. */
struct direct {
    int32_t height, width, units, groups, inputs, outputs;
    int32_t rows, columns, down, right, top, left;
};
"""

ADD = Template("""\
/* drive += gain * the sum of codes times counts of the window at (y, x), group after group. */
static void direct_${kind}_$code(const struct direct *d, const $type *map, const ${code}_t *codes,
                                 const int32_t *gain, int32_t y, int32_t x)
{
    const int32_t top = y * d->down - d->top, left = x * d->right - d->left;
    const int32_t bottom = end_inside(top, d->rows, d->height), end = end_inside(left, d->columns, d->width);
    for (int32_t group = 0, o = 0; group < d->groups; group++) {
        for (int32_t k = 0; k < d->outputs; k++, o++) {
            int32_t sum = 0;
            for (int32_t ky = first_inside(top); ky < bottom; ky++) {
                for (int32_t kx = first_inside(left); kx < end; kx++) {
                    const $type *pixel = map + ((top + ky) * d->width + left + kx) * d->units;
                    const ${code}_t *row = codes + (o * d->rows * d->columns + ky * d->columns + kx) * d->inputs;
                    for (int32_t i = 0, c = group * d->inputs; i < d->inputs; i++, c++) {
                        sum += $product;
                    }
                }
            }
            drive[o] += (uint32_t)gain[o] * (uint32_t)sum;
        }
    }
}
""")


@dataclass(frozen=True, eq=False)
class DirectJob:
    """A convolution whose codes lie output by output, each its window row after row. shape: of the current."""

    node: IntConv
    name: str
    source: Counts
    shape: Shape
    codes: Array
    gain: Array
    listed: ClassVar[int] = 0
    marks: ClassVar[int] = 0
    packing: ClassVar[str] = ""
    within: ClassVar[tuple[Any, ...]] = ()
    gate: ClassVar[Counts | None] = None

    @property
    def maps(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return (self.source,)

    @property
    def width(self) -> int:
        """Channels that it drives."""
        return self.shape[2]

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        (rows, columns), (down, right), (top, left) = self._window
        window = f"{rows} x {columns} of {self.source.words}, stride {down} x {right}, padding {top} x {left}"
        return f"{self.name}: {window}; {self.node.groups} groups"

    @property
    def _window(self) -> tuple[tuple[int, int], ...]:
        return both(self.node.kernel), both(self.node.stride), both(self.node.padding)

    def constants(self) -> Iterator[Item]:
        """Its struct and tables."""
        height, width, channels = self.source.shape
        groups = self.node.groups
        sizes = (height, width, self.source.per_pixel, groups, channels // groups, self.shape[2] // groups)
        yield record(
            self.name, f"struct direct {self.name}_direct", (*sizes, *(n for pair in self._window for n in pair))
        )
        yield table(self.name, f"{self.name}_codes", f"{self.codes.dtype}_t", np.moveaxis(self.codes, 3, 0))
        yield table(self.name, f"{self.name}_gain", "int32_t", self.gain.astype(np.int32))

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """It lists nothing."""
        return []

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The call that adds its current at (y, x) to the drive."""
        tables = f"&{self.name}_direct, {self.source.variable}, {self.name}_codes, {self.name}_gain"
        return f"direct_{self.source.kind}_{self.codes.dtype}({tables}, {y}, {x});"


def direct(kind: str, code: str) -> str:
    """The function that adds such a current. code: the type of codes, as "int8"."""
    count = "((pixel[c / 32] >> (c % 32)) & 1u) ? row[i] : 0" if kind == "bits" else "row[i] * (int32_t)pixel[c]"
    return ADD.substitute(kind=kind, code=code, type=TYPES[kind], product=count)
