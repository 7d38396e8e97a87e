"""The readout of currents in C: the last job, which adds them up over places and multiplies the sums with codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from qpsnn_backends.c.counts import Counts
from qpsnn_backends.c.counts import size as size_of
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.pixels import every_pixel
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.types import NamedArrays, Shape
from qpsnn_core.integer.nodes import IntCurrentReadout

ROUND = """\
/* x / 2**shift, rounded to nearest, halves upwards: C leaves open what >> does to negative numbers. */
static inline int64_t rounded(int64_t x, int32_t shift)
{
    const int64_t moved = x + (((int64_t)1 << shift) >> 1);
    return moved < 0 ? ~(~moved >> shift) : moved >> shift;
}
"""

MOST_STEPS_BITS = 32


@dataclass(frozen=True, eq=False)
class StreamJob:
    """A readout of currents: their synapses, and its arrays. source: (H, W, C) of the currents.

    largest: of a step's sum, in magnitude. first, total, alone: as of a ReadoutJob.
    """

    node: IntCurrentReadout
    name: str
    synapses: tuple[Synapse, ...]
    source: Shape
    arrays: NamedArrays
    largest: int
    first: int = 0
    total: int = 0
    alone: bool = True
    given: ClassVar[tuple[Counts, ...]] = ()
    kept: ClassVar[str] = "sums"

    @property
    def variables(self) -> tuple[str, ...]:
        """The arrays that begin at 0: the answers of all readouts are the first one's."""
        return () if self.first else ("answers",)

    @property
    def mean(self) -> bool:
        """Whether places are added up."""
        return self.node.places == "mean"

    @property
    def shape(self) -> Shape:
        """Of its sums."""
        height, width = (1, 1) if self.mean else self.source[:2]
        return height, width, self.node.channels

    @property
    def classes(self) -> int:
        """How many there are at each place."""
        return self.node.channels

    @property
    def answers(self) -> int:
        """How many sums there are."""
        return prod(self.shape)

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return maps_of(*self.synapses)

    @property
    def most_steps(self) -> str:
        """So many steps may follow a reset: 64 bits hold as many, whatever the inputs."""
        steps = (2**63 - 1) // max(self.largest, 1)
        return f"2**{min(MOST_STEPS_BITS, steps.bit_length() - 1)}"

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        where = "over all places" if self.mean else "at each place"
        yield f"{self.name}, {size_of(self.shape)} sums, currents added up {where} and over the steps:"

    def constants(self) -> Iterator[Item]:
        """Its own tables; codes of one class after those of the other."""
        codes = self.arrays["codes"].T
        yield table(self.name, f"{self.name}_codes", f"{codes.dtype}_t", codes)
        for label in ("factor", "gain", "bias"):
            yield table(self.name, f"{self.name}_{label}", "int32_t", self.arrays[label])

    def state(self) -> Iterator[Item]:
        """The answers of all readouts, of the first one."""
        count = self.total or self.answers
        if not self.first:
            yield Item(self.name, f"static int64_t answers[{count}];", 8 * count)

    def scratch(self) -> Iterator[Item]:
        """What it adds up in a step."""
        channels = self.source[2]
        yield Item("", f"static int64_t {self.name}_sums[{channels}];", 8 * channels)

    def functions(self) -> Iterator[str]:
        """What rounds its sums."""
        yield ROUND

    def body(self) -> str:
        """Of its function."""
        height, width, channels = self.source
        sums, answers = f"{self.name}_sums", f"answers + {self.first}" if self.first else "answers"
        each = f"for (int32_t c = 0; c < {channels}; c++) {{"
        if not self.mean:

            def read(at: str) -> list[str]:
                place = answers if at == "0" else f"{answers} + {at} * {self.node.channels}"
                begin = [each, f"    {sums}[c] = as_signed(drive[c]);", "}", f"int64_t *const answer = {place};"]
                return [*begin, *self._answers("answer")]

            return every_pixel(height, width, "", self.synapses, read)

        def add(at: str) -> list[str]:
            unused = [] if at == "0" else [f"(void){at};"]
            return [*unused, each, f"    {sums}[c] += as_signed(drive[c]);", "}"]

        after = "\n".join(f"    {line}" for line in self._answers(f"({answers})" if self.first else answers))
        return f"    memset({sums}, 0, sizeof {sums});\n{every_pixel(height, width, '', self.synapses, add)}\n{after}"

    def _answers(self, answers: str) -> list[str]:
        """Rounds the sums, and adds their products with codes."""
        name, node, channels = self.name, self.node, self.source[2]
        bias = f"(int64_t){name}_bias[k]" + (f" * ((int64_t)1 << {node.bias_shift})" if node.bias_shift else "")
        return [
            f"for (int32_t c = 0; c < {channels}; c++) {{",
            f"    {name}_sums[c] = rounded({name}_sums[c], {node.shift}) * {name}_factor[c];",
            "}",
            f"for (int32_t k = 0; k < {node.channels}; k++) {{",
            "    int64_t sum = 0;",
            f"    for (int32_t c = 0; c < {channels}; c++) {{",
            f"        sum += {name}_sums[c] * {name}_codes[k * {channels} + c];",
            "    }",
            f"    {answers}[k] += sum * {name}_gain[k] + {bias};",
            "}",
        ]
