"""The readout in C: the last job, which sums what its synapse drives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from qpsnn_backends.c.counts import Counts
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.pixels import every_pixel
from qpsnn_backends.c.synapses import Synapse
from qpsnn_core.common.types import Shape


@dataclass(frozen=True, eq=False)
class ReadoutJob:
    """The readout and the synapse that it sums."""

    name: str
    synapse: Synapse
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
        """The one that it sums."""
        return (self.synapse,)

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The map that it reads."""
        return (self.synapse.source,)

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        yield f"{self.name}, {self.classes} classes, summed over the steps:"

    def constants(self) -> Iterator[Item]:
        """Its own table."""
        yield table(self.name, f"{self.name}_bias", "int32_t", self.bias)

    def state(self) -> Iterator[Item]:
        """Its sums."""
        yield Item(self.name, f"static int64_t answers[{self.classes}];", 8 * self.classes)

    def functions(self) -> Iterator[str]:
        """It calls none but its synapse's."""
        yield from ()

    def body(self) -> str:
        """Of its function: one pixel's drive, added to the sums."""
        add = [f"for (int32_t k = 0; k < {self.classes}; k++) {{", "    answers[k] += as_signed(drive[k]);", "}"]
        return every_pixel(1, 1, self.name, self.synapses, lambda _: add)
