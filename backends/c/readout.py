"""A readout in C: the job that sums what its synapse drives or what spikes, or reads a membrane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from string import Template
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from qpsnn_backends.c.counts import Counts, size
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.pixels import every_pixel, place
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.kind_table import OptionTable
from qpsnn_core.common.types import Shape
from qpsnn_core.integer.nodes import IntReadout


class Answer(NamedTuple):
    """words: of the comment. update: of an answer by the membrane `u`. steps: the most that may follow a reset.

    $answer, $begun: the element, and whether a step has been.
    """

    words: str
    update: str
    steps: str


MODES: OptionTable[Answer] = OptionTable(
    "the C export",
    "mode",
    {
        "mean": Answer("summed over the steps", "$answer += u;", "2**16"),
        "last": Answer("membranes after the last step", "$answer = u;", "2**32"),
        "max": Answer(
            "the largest membranes of any step", "$answer = $begun[0] && $answer > u ? $answer : u;", "2**32"
        ),
    },
)

PLAIN_STEPS = "2**32"


@dataclass(frozen=True, eq=False)
class ReadoutJob:
    """A readout, and the synapse or the map of counts that it reads.

    first: where its answers begin among those of all readouts, `total` in number; alone: whether there is no other.
    """

    node: IntReadout
    name: str
    source: Synapse | Counts
    shape: Shape
    bias: npt.NDArray[Any]
    first: int = 0
    total: int = 0
    alone: bool = True
    given: ClassVar[tuple[Counts, ...]] = ()

    @property
    def classes(self) -> int:
        """How many there are at each place."""
        return len(self.bias)

    @property
    def answers(self) -> int:
        """How many numbers it gives."""
        return prod(self.shape)

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
    def begun(self) -> str:
        """The variable that says whether a step has been."""
        return "begun" if self.alone else f"{self.name}_begun"

    @property
    def variables(self) -> tuple[str, ...]:
        """The arrays that begin at 0; the answers are those of all readouts, and the first one's."""
        membrane = (f"{self.name}_membrane",) if self.node.multiplier else ()
        return (
            *(("answers",) if not self.first else ()),
            *membrane,
            *((self.begun,) if self.node.mode == "max" else ()),
        )

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        of = f"{self.source.words}, " if isinstance(self.source, Counts) else ""
        end = "." if of else ":"
        what = f"{self.classes} classes" if self.shape[:2] == (1, 1) else size(self.shape)
        yield f"{self.name}, {what}, {of}{MODES[self.node].words}{end}"

    def constants(self) -> Iterator[Item]:
        """Its own table; counts have no bias."""
        if not isinstance(self.source, Counts):
            yield table(self.name, f"{self.name}_bias", "int32_t", self.bias)

    def state(self) -> Iterator[Item]:
        """Its answers, its membrane, and whether a step has been."""
        sizes = {self.begun: 1, "answers": self.total or self.answers}
        for one in self.variables:
            count = sizes.get(one, self.answers)
            yield Item(self.name, f"static int64_t {one}[{count}];", 8 * count)

    def functions(self) -> Iterator[str]:
        """It calls none but its synapse's."""
        yield from ()

    def body(self) -> str:
        """Of its function: each pixel's drive, added to the sums, or to the membranes."""
        height, width, _ = self.shape
        end = [f"{self.begun}[0] = 1;"] if self.node.mode == "max" else []
        if not isinstance(self.source, Counts):
            text = every_pixel(
                height, width, self.name, self.synapses, lambda at: self._answers("as_signed(drive[k])", at)
            )
            return "\n".join([text, *(f"    {line}" for line in end)])
        at, pixels = self.source.variable, height * width
        pixel = at if pixels == 1 else f"({place(at, 'at', self.source.per_pixel)})"
        count = f"({pixel}[k / 32] >> (k % 32)) & 1u" if self.source.kind == "bits" else f"{pixel}[k]"
        lines = self._answers(count, "0" if pixels == 1 else "at")
        if pixels > 1:
            loop = f"for (int32_t at = 0; at < {pixels}; at++) {{"
            lines = [loop, *(f"    {line}" for line in lines), "}"]
        return "\n".join(f"    {line}" for line in [*lines, *end])

    def _answers(self, drive: str, at: str) -> list[str]:
        """The loop over the classes of one pixel."""
        node = self.node
        own = "k" if at == "0" else f"{at} * {self.classes} + k"
        answer = f"answers[{self.first} + {own}]" if self.first else f"answers[{own}]"
        lines = [f"for (int32_t k = 0; k < {self.classes}; k++) {{"]
        if self.summed:
            return [*lines, f"    {answer} += {drive};", "}"]
        if node.multiplier:
            membrane = f"{self.name}_membrane[{own}]"
            lines += [f"    const int64_t left = {membrane} * {node.multiplier};"]
            floor = f"(left < 0 ? ~(~left >> {node.shift}) : left >> {node.shift})" if node.shift else "left"
            lines += [f"    const int64_t u = {floor} + {drive};", f"    {membrane} = u;"]
        else:
            lines += [f"    const int64_t u = {drive};"]
        update = Template(MODES[node].update).substitute(answer=answer, begun=self.begun)
        return [*lines, f"    {update}", "}"]
