"""The readout in C: the last job, which sums what its synapse drives or what spikes, or reads a membrane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from qpsnn_backends.c.counts import Counts
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.pixels import every_pixel
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.kind_table import OptionTable
from qpsnn_core.common.types import Shape
from qpsnn_core.integer.nodes import IntReadout


class Answer(NamedTuple):
    """words: of the comment. update: of an answer by the membrane `u`. steps: the most that may follow a reset."""

    words: str
    update: str
    steps: str


MODES: OptionTable[Answer] = OptionTable(
    "the C export",
    "mode",
    {
        "mean": Answer("summed over the steps", "answers[k] += u;", "2**16"),
        "last": Answer("membranes after the last step", "answers[k] = u;", "2**32"),
        "max": Answer(
            "the largest membranes of any step", "answers[k] = begun[0] && answers[k] > u ? answers[k] : u;", "2**32"
        ),
    },
)

PLAIN_STEPS = "2**32"


@dataclass(frozen=True, eq=False)
class ReadoutJob:
    """The readout, and the synapse or the map of counts that it reads."""

    node: IntReadout
    name: str
    source: Synapse | Counts
    bias: npt.NDArray[Any]
    given: ClassVar[tuple[Counts, ...]] = ()

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.bias)

    @property
    def shape(self) -> Shape:
        """Of its sums."""
        return 1, 1, self.classes

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """The one that it reads, if it is one."""
        return () if isinstance(self.source, Counts) else (self.source,)

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return (self.source,) if isinstance(self.source, Counts) else maps_of(self.source)

    @property
    def summed(self) -> bool:
        """Whether nothing but sums is kept."""
        return self.node.mode == "mean" and not self.node.multiplier

    @property
    def kept(self) -> str:
        """What its answers are."""
        return "sums" if self.node.mode == "mean" else "membranes"

    @property
    def most_steps(self) -> str:
        """So many steps may follow a reset: a membrane in 64 bits holds as many, whatever the inputs."""
        return PLAIN_STEPS if self.summed else MODES[self.node].steps

    @property
    def variables(self) -> tuple[str, ...]:
        """The arrays that begin at 0."""
        membrane = (f"{self.name}_membrane",) if self.node.multiplier else ()
        return ("answers", *membrane, *(("begun",) if self.node.mode == "max" else ()))

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        of = f"{self.source.words}, " if isinstance(self.source, Counts) else ""
        end = "." if of else ":"
        yield f"{self.name}, {self.classes} classes, {of}{MODES[self.node].words}{end}"

    def constants(self) -> Iterator[Item]:
        """Its own table; counts have no bias."""
        if not isinstance(self.source, Counts):
            yield table(self.name, f"{self.name}_bias", "int32_t", self.bias)

    def state(self) -> Iterator[Item]:
        """Its answers, its membrane, and whether a step has been."""
        for one in self.variables:
            size = 1 if one == "begun" else self.classes
            yield Item(self.name, f"static int64_t {one}[{size}];", 8 * size)

    def functions(self) -> Iterator[str]:
        """It calls none but its synapse's."""
        yield from ()

    def body(self) -> str:
        """Of its function: one pixel's drive, added to the sums, or to the membranes."""
        if not isinstance(self.source, Counts):
            return every_pixel(1, 1, self.name, self.synapses, lambda _: self._answers("as_signed(drive[k])"))
        at = self.source.variable
        count = f"({at}[k / 32] >> (k % 32)) & 1u" if self.source.kind == "bits" else f"{at}[k]"
        return "\n".join(f"    {line}" for line in self._answers(count))

    def _answers(self, drive: str) -> list[str]:
        """The loop over the classes."""
        node = self.node
        lines = [f"for (int32_t k = 0; k < {self.classes}; k++) {{"]
        if self.summed:
            return [*lines, f"    answers[k] += {drive};", "}"]
        if node.multiplier:
            membrane = f"{self.name}_membrane[k]"
            lines += [f"    const int64_t left = {membrane} * {node.multiplier};"]
            floor = f"(left < 0 ? ~(~left >> {node.shift}) : left >> {node.shift})" if node.shift else "left"
            lines += [f"    const int64_t u = {floor} + {drive};", f"    {membrane} = u;"]
        else:
            lines += [f"    const int64_t u = {drive};"]
        lines += [f"    {MODES[node].update}", "}"]
        return lines + (["begun[0] = 1;"] if node.mode == "max" else [])
