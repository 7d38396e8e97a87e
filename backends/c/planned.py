"""What all C text is made from: the jobs of a network, its input and the memory that maps share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from qpsnn_backends.c.attention import MatchJob
from qpsnn_backends.c.counts import Counts, Slot
from qpsnn_backends.c.currents import CurrentMap
from qpsnn_backends.c.gates import GateJob, MaskJob
from qpsnn_backends.c.joins import ConcatJob, FinerMap, Pool, SumJob
from qpsnn_backends.c.neurons import Neurons
from qpsnn_backends.c.priors import PriorJob
from qpsnn_backends.c.readout import ReadoutJob
from qpsnn_backends.c.streams import StreamJob
from qpsnn_backends.c.synapses import ConvJob, Synapse, flat

Job = (
    Neurons
    | PriorJob
    | Pool
    | SumJob
    | ConcatJob
    | FinerMap
    | CurrentMap
    | GateJob
    | MaskJob
    | MatchJob
    | ReadoutJob
    | StreamJob
)
"""Each answers by itself what it reads, declares, calls and computes."""

T = TypeVar("T")


def of(kind: type[T], things: Iterable[Any]) -> tuple[T, ...]:
    """Those of a kind, in order."""
    return tuple(one for one in things if type(one) is kind)


@dataclass(frozen=True, eq=False)
class CPlan:
    """All that the C text is made from. jobs: in the order in which they run; the last is a readout's.

    scale: the real number of one unit of the input, 0 where it is not known.
    """

    input: Counts
    steps: int
    jobs: tuple[Job, ...]
    slots: tuple[Slot, ...]
    digest: str
    scale: float = 0.0

    @property
    def neurons(self) -> tuple[Neurons, ...]:
        """The LIF, in order."""
        return of(Neurons, self.jobs)

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Every synapse once, in the order of the neurons that read them."""
        found = {one.name: one for job in self.jobs for synapse in job.synapses for one in flat(synapse)}
        return tuple(found.values())

    @property
    def windows(self) -> tuple[ConvJob, ...]:
        """The convolutions and Linears among the synapses."""
        return of(ConvJob, self.synapses)

    @property
    def answers(self) -> tuple[ReadoutJob | StreamJob, ...]:
        """The readouts, in order; their numbers lie one after the other."""
        return tuple(job for job in self.jobs if isinstance(job, ReadoutJob | StreamJob))
