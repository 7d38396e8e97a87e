"""What an integer network becomes in C: names, types, tables, and memory that is shared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.codes import Codes, encode
from qpsnn_backends.c.counts import Counts, Shape, Slot, narrowest, shared
from qpsnn_backends.c.horizon import lasting
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Window:
    """A convolution, or a Linear: one window over its whole source. shape: of the current.

    Rows of codes for spikes lie column by column, all else row by row. exponent: each gain times the codes' step is
    2**exponent; None where it is no such number, and channels have gains of their own.
    """

    name: str
    source: Counts
    shape: Shape
    kernel: tuple[int, int]
    stride: int
    padding: int
    codes: Codes
    gain: Array
    exponent: int | None
    linear: bool

    @property
    def own(self) -> bool:
        """Whether channels have gains of their own."""
        return self.exponent is None

    @property
    def columns(self) -> int:
        """Columns of the source whose spikes are listed at a time: of a Linear one after another; 0 for products."""
        return 0 if not self.codes.spikes else 1 if self.linear else self.source.shape[1]

    @property
    def listed(self) -> int:
        """Spikes that a list holds, at most."""
        return self.kernel[0] * self.columns * self.source.shape[2]


@dataclass(frozen=True, eq=False)
class Skip:
    """A shortcut. chosen: the source's channel of each, 0 where there is none (its gain is 0)."""

    name: str
    source: Counts
    shape: Shape
    stride: int
    chosen: Array
    gain: Array


Synapse = Window | Skip


@dataclass(frozen=True, eq=False)
class Neurons:
    """A LIF with the synapses that drive it.

    membrane: the bits of its C type. floor: where the membrane is held, None where it cannot fall so far, however long
    it runs. Within the network's T steps it never reaches the floor.
    """

    gives: Counts
    synapses: tuple[Synapse, ...]
    multiplier: int
    shift: int
    bias: Array
    threshold: Array
    membrane: int
    floor: int | None


@dataclass(frozen=True)
class Pool:
    """The largest (`what` "max") or the sum ("sum") of each window."""

    what: str
    gives: Counts
    source: Counts
    size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Added:
    """A sum of counts."""

    gives: Counts
    sources: tuple[Counts, ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """The readout and the synapse that it sums."""

    name: str
    synapse: Synapse
    bias: Array


Job = Neurons | Pool | Added | Answer


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the C text is made from. jobs: in the order in which they run; the last is the Answer."""

    input: Counts
    steps: int
    jobs: tuple[Job, ...]
    slots: tuple[Slot, ...]
    digest: str

    @property
    def neurons(self) -> tuple[Neurons, ...]:
        """The LIF, in order."""
        return tuple(job for job in self.jobs if isinstance(job, Neurons))

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Every synapse once, in the order of the neurons that read them."""
        found = {one.name: one for job in self.jobs for one in synapses_of(job)}
        return tuple(found.values())

    @property
    def answer(self) -> Answer:
        """The last job."""
        last = self.jobs[-1]
        assert isinstance(last, Answer)  # noqa: S101 - an integer network ends with its readout
        return last


def synapses_of(job: Job) -> tuple[Synapse, ...]:
    """The synapses that a job computes."""
    return job.synapses if isinstance(job, Neurons) else (job.synapse,) if isinstance(job, Answer) else ()


def reads(job: Job) -> tuple[Counts, ...]:
    """The maps that a job reads."""
    if isinstance(job, Pool):
        return (job.source,)
    return job.sources if isinstance(job, Added) else tuple(one.source for one in synapses_of(job))


def plan(network: IntegerNetwork) -> Plan:
    """Lay out a network. A current that several neurons read is computed by each of them."""
    names = _identifiers([node.name for node in network])
    maps: dict[str, Counts] = {}
    synapses: dict[str, Synapse] = {}
    jobs: list[Job] = []
    for node in network:
        if isinstance(node, (IntConv, IntLinear, IntShortcut)):
            synapses[node.name] = _synapse(network, node, names[node.name], maps[node.source])
            continue
        if isinstance(node, IntReadout):
            jobs.append(Answer(names[node.name], synapses[node.source], network.arrays[node.name]["bias"]))
            continue
        maps[node.name] = Counts(
            names[node.name], network.shape(node.name), network.values[node.name].peak, _kind(network, node, maps)
        )
        if isinstance(node, IntLIF):
            jobs.append(_neurons(network, node, maps[node.name], synapses))
        elif isinstance(node, (IntMaxPool, IntSumPool)):
            jobs.append(_pool(node, maps[node.name], maps[node.source]))
        elif isinstance(node, IntSum):
            jobs.append(Added(maps[node.name], tuple(maps[source] for source in node.sources)))
    slots = _slots(tuple(jobs))
    return Plan(maps[network.input.name], network.steps, tuple(jobs), slots, network.digest())


def _identifiers(names: list[str]) -> dict[str, str]:
    """An identifier of its own for each name: letters, digits, '_'; a letter first, and short enough for C99."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:32]
        plain = plain if plain[0].isalpha() else f"n{plain}"
        chosen, count = plain, 1
        while chosen in found.values():
            count += 1
            chosen = f"{plain}_{count}"
        found[name] = chosen
    return found


def _kind(network: IntegerNetwork, node: IntNode, maps: dict[str, Counts]) -> str:
    """Neurons give bits, and so does the largest of bits; all else is the narrowest integer."""
    if isinstance(node, IntLIF) or (isinstance(node, IntMaxPool) and maps[node.source].kind == "bits"):
        return "bits"
    return narrowest(network.values[node.name].peak)


def _synapse(network: IntegerNetwork, node: IntConv | IntLinear | IntShortcut, name: str, source: Counts) -> Synapse:
    arrays, shape = network.arrays[node.name], network.shape(node.name)
    if isinstance(node, IntShortcut):
        chosen = np.array(node.channel_map, np.int64)
        gain = np.where(chosen < 0, 0, arrays["gain"])
        return Skip(name, source, shape, node.stride, np.maximum(chosen, 0), gain)
    gain, spikes = arrays["gain"], source.kind == "bits"
    if isinstance(node, IntLinear):
        kernel, stride, padding = source.shape[:2], 1, 0
    else:
        kernel, stride, padding = (node.kernel, node.kernel), node.stride, node.padding
    rows = arrays["codes"].reshape(*kernel, source.shape[2], -1)
    codes = encode(rows.swapaxes(0, 1) if spikes else rows, source.peak, spikes)
    exponent, linear = _exponent(gain, codes.step), isinstance(node, IntLinear)
    return Window(name, source, shape, kernel, stride, padding, codes, gain, exponent, linear)


def _exponent(gain: Array, step: int) -> int | None:
    scale = int(gain[0]) * step
    same = bool((gain == gain[0]).all())
    return scale.bit_length() - 1 if same and 0 < scale == 1 << (scale.bit_length() - 1) < 2**32 else None


def _neurons(network: IntegerNetwork, node: IntLIF, gives: Counts, synapses: dict[str, Synapse]) -> Neurons:
    arrays = network.arrays[node.name]
    reach, lasts = lasting(network, node)
    low, high = int(reach.low.min()), int(reach.high.max())
    bits = next(bits for bits in (8, 16, 32) if low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1))
    floor = None if lasts else low
    driving = tuple(synapses[source] for source in node.sources)
    return Neurons(gives, driving, node.multiplier, node.shift, arrays["bias"], arrays["threshold"], bits, floor)


def _pool(node: IntMaxPool | IntSumPool, gives: Counts, source: Counts) -> Pool:
    if isinstance(node, IntSumPool):
        return Pool("sum", gives, source, node.size, node.size, 0)
    return Pool("max", gives, source, node.size, node.stride, node.padding)


def _slots(jobs: tuple[Job, ...]) -> tuple[Slot, ...]:
    made = [job.gives for job in jobs[:-1] if not isinstance(job, Answer)]
    last = [max(index for index, job in enumerate(jobs) if counts in reads(job)) for counts in made]
    return shared(made, last)
