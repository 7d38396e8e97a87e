"""What an integer network becomes in C: a job for each node that runs, names, and memory that is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, Literal, cast

from qpsnn_backends.c.attention import attention_jobs
from qpsnn_backends.c.counts import Counts, Slot, kind_of_images, narrowest, shared
from qpsnn_backends.c.currents import CurrentMap, FinerJob, MapSynapse
from qpsnn_backends.c.depthwise import depthwise_job
from qpsnn_backends.c.direct import DirectJob
from qpsnn_backends.c.gates import GateJob, MaskJob
from qpsnn_backends.c.joins import ConcatJob, FinerMap, Pool, SumJob
from qpsnn_backends.c.names import identifiers
from qpsnn_backends.c.neurons import neurons
from qpsnn_backends.c.planned import CPlan, Job
from qpsnn_backends.c.pooled import PooledJob, Window
from qpsnn_backends.c.priors import PriorJob
from qpsnn_backends.c.readout import ReadoutJob
from qpsnn_backends.c.streams import StreamJob
from qpsnn_backends.c.synapses import ConvJob, Synapse, conv_job, shortcut_job
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.pairs import both
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.integer.transformer_kinds import sums


class Planner:
    """Holds what is planned so far; takes the nodes in order."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.names = identifiers([node.name for node in network])
        self.maps: dict[str, Counts] = {}
        self.synapses: dict[str, Synapse] = {}
        self.jobs: list[Job] = []

    def gives(self, node: IntNode, kind: str = "") -> Counts:
        """The map of a node's counts. kind: of its elements, "" for the narrowest integer."""
        shape, value = self.network.shape(node.name), self.network.values[node.name]
        low = int(value.interval.low.min())
        found = kind or (kind_of_images(low, value.max_count) if low < 0 else narrowest(value.max_count))
        self.maps[node.name] = Counts(self.names[node.name], shape, value.max_count, found, low)
        return self.maps[node.name]

    def pooled(self, node: IntMaxPool | IntSumPool, what: Literal["max", "sum"], window: Window) -> bool:
        """Plan the pool of a current, if it is one: what reads it drives its neurons window by window."""
        if node.source not in self.synapses:
            return False
        inner, shape = self.synapses[node.source], self.network.shape(node.name)
        self.synapses[node.name] = PooledJob(what, self.names[node.name], inner, shape, *window)
        return True

    def mapped(self, node: IntSum | IntConcat, groups: tuple[tuple[Synapse, ...], ...]) -> None:
        """Plan a map of currents, and what drives neurons with it. groups: as of a CurrentMap."""
        name, value = self.names[node.name], self.network.values[node.name]
        gives = Counts(name, value.shape, value.max_count, "s32", int(value.interval.low.min()))
        sizes = [group[0].shape[2] for group in groups]
        self.jobs.append(CurrentMap(gives, groups, tuple(sum(sizes[:place]) for place in range(len(sizes)))))
        self.synapses[node.name] = MapSynapse(f"{name}_map", gives)

    def answers(self, node: IntReadout | IntCurrentReadout) -> tuple[int, int, bool]:
        """Where a readout's numbers begin among those of all, how many these are, and whether it is the only one."""
        sizes = {one.name: prod(self.network.shape(one.name)) for one in self.network.readouts}
        first = sum(list(sizes.values())[: list(sizes).index(node.name)])
        return first, sum(sizes.values()), len(sizes) == 1

    def window(self, node: IntConv | IntLinear, kernel: tuple[int, int, int, int], linear: bool) -> None:
        """A convolution, or a Linear. kernel: height, width, stride, padding."""
        name, source, arrays = self.names[node.name], self.maps[node.source], self.network.arrays[node.name]
        self.synapses[node.name] = conv_job(name, source, self.network.shape(node.name), kernel, arrays, linear)


def _input(planner: Planner, node: IntInput) -> None:
    planner.gives(node, kind_of_images(node.low, node.peak))
    planner.maps[node.name] = replace(planner.maps[node.name], max_count=node.peak, low=node.low)


def _conv(planner: Planner, node: IntConv) -> None:
    """By the listed spikes of its windows, where it has no groups and moves alike along both axes.

    With a job that masks what it reads, where that is gated.
    """
    (down, right), (top, left) = both(node.stride), both(node.padding)
    if node.groups == 1 and down == right and top == left:
        node = _masked(planner, node)
        planner.window(node, (*both(node.kernel), down, top), False)
        if node.gate is not None:
            made = planner.synapses[node.name]
            planner.synapses[node.name] = replace(cast(ConvJob, made), gate=planner.maps[node.gate])
        return
    arrays, shape = planner.network.arrays[node.name], planner.network.shape(node.name)
    job = DirectJob(node, planner.names[node.name], planner.maps[node.source], shape, arrays["codes"], arrays["gain"])
    planner.synapses[node.name] = depthwise_job(job)


def _masked(planner: Planner, node: IntConv) -> IntConv:
    """The convolution of what its input gate lets through, a map that a job of its own writes."""
    if node.input_gate is None:
        return node
    source, mask = planner.maps[node.source], planner.maps[node.input_gate]
    let = replace(source, name=f"{planner.names[node.name]}_read")
    planner.maps[f"{node.name}+read"] = let
    planner.jobs.append(MaskJob(let, source, mask))
    return replace(node, source=f"{node.name}+read", input_gate=None)


def _linear(planner: Planner, node: IntLinear) -> None:
    planner.window(node, (*planner.maps[node.source].shape[:2], 1, 0), True)


def _shortcut(planner: Planner, node: IntShortcut) -> None:
    shape, gain = planner.network.shape(node.name), planner.network.arrays[node.name]["gain"]
    planner.synapses[node.name] = shortcut_job(node, planner.names[node.name], planner.maps[node.source], shape, gain)


def _lif(planner: Planner, node: IntLIF) -> None:
    """Behind the priors that read what it stored at the step before."""
    driving = tuple(planner.synapses[source] for source in node.sources)
    job = neurons(planner.network, node, planner.gives(node, "bits"), driving)
    for reader in planner.network.consumers(node.name):
        if isinstance(reader, IntMembrane):
            assert job.levels is not None  # noqa: S101 - checked when the network was made
            planner.jobs.append(PriorJob(planner.gives(reader), job.name, job.shape, job.levels, reader.size))
    planner.jobs.append(job)


def _max_pool(planner: Planner, node: IntMaxPool) -> None:
    """The largest of bits is a bit, and of signed numbers one of their kind."""
    window = both(node.size), both(node.stride), both(node.padding)
    if planner.pooled(node, "max", window):
        return
    source = planner.maps[node.source]
    gives = planner.gives(node, source.kind if source.kind == "bits" or source.low < 0 else "")
    planner.jobs.append(Pool("max", gives, source, *window))


def _sum_pool(planner: Planner, node: IntSumPool) -> None:
    window = both(node.size), both(node.step), (0, 0)
    if not planner.pooled(node, "sum", window):
        planner.jobs.append(Pool("sum", planner.gives(node), planner.maps[node.source], *window))


def _sum(planner: Planner, node: IntSum) -> None:
    """Of currents, a map: several may read it, and a pool reads each pixel more than once."""
    if node.sources[0] in planner.synapses:
        planner.mapped(node, (tuple(planner.synapses[source] for source in node.sources),))
        return
    planner.jobs.append(SumJob(planner.gives(node), tuple(planner.maps[source] for source in node.sources)))


def _concat(planner: Planner, node: IntConcat) -> None:
    """Bits where all of them are; of currents, a map."""
    if node.sources[0] in planner.synapses:
        planner.mapped(node, tuple((planner.synapses[source],) for source in node.sources))
        return
    sources = tuple(planner.maps[source] for source in node.sources)
    gives = planner.gives(node, "bits" if all(one.kind == "bits" for one in sources) else "")
    planner.jobs.append(ConcatJob(gives, sources))


def _upsample(planner: Planner, node: IntUpsample) -> None:
    """Of a current, the same one at several pixels."""
    if node.source in planner.synapses:
        name, shape = planner.names[node.name], planner.network.shape(node.name)
        planner.synapses[node.name] = FinerJob(name, planner.synapses[node.source], shape, node.factor)
        return
    source = planner.maps[node.source]
    planner.jobs.append(FinerMap(planner.gives(node, source.kind), source, node.factor))


def _gate(planner: Planner, node: IntGate) -> None:
    threshold = planner.network.arrays[node.name]["threshold"]
    planner.jobs.append(GateJob(planner.gives(node, "u8"), planner.synapses[node.source], node, threshold))


def _prior(planner: Planner, node: IntMembrane) -> None:
    """Planned with its neurons, which it runs ahead of."""


def _readout(planner: Planner, node: IntReadout) -> None:
    bias = planner.network.arrays[node.name]["bias"]
    source = planner.synapses.get(node.source) or planner.maps[node.source]
    shape, name = planner.network.shape(node.name), planner.names[node.name]
    planner.jobs.append(ReadoutJob(node, name, source, shape, bias, *planner.answers(node)))


def _attention(planner: Planner, node: IntAttention) -> None:
    """A job that counts which keys and values spike together, and the current of queries."""
    query, key, value = (planner.maps[source] for source in node.sources)
    shape, gain = planner.network.shape(node.name), planner.network.arrays[node.name]["gain"]
    matches, attends = attention_jobs(node, planner.names[node.name], (query, key, value), shape, gain)
    planner.jobs.append(matches)
    planner.synapses[node.name] = attends


def _current_readout(planner: Planner, node: IntCurrentReadout) -> None:
    network, arrays = planner.network, planner.network.arrays[node.name]
    source = network.shape(node.sources[0])
    area = source[0] * source[1] if node.places == "mean" else 1
    largest = max(sums(node, tuple(network.values[one].interval for one in node.sources), arrays, area))
    driving = tuple(planner.synapses[one] for one in node.sources)
    name, answers = planner.names[node.name], planner.answers(node)
    planner.jobs.append(StreamJob(node, name, driving, source, arrays, largest, *answers))


PLANNED: KindTable[Callable[[Planner, Any], None]] = KindTable(
    "the C export",
    {
        IntInput: _input,
        IntConv: _conv,
        IntLinear: _linear,
        IntShortcut: _shortcut,
        IntLIF: _lif,
        IntMaxPool: _max_pool,
        IntSumPool: _sum_pool,
        IntSum: _sum,
        IntConcat: _concat,
        IntUpsample: _upsample,
        IntGate: _gate,
        IntAttention: _attention,
        IntMembrane: _prior,
        IntReadout: _readout,
        IntCurrentReadout: _current_readout,
    },
)


def plan(network: IntegerNetwork) -> CPlan:
    """Lay out a network. A current that several neurons read is computed by each of them.

    Raises NodeKindError for a kind of node that C does not know.
    """
    planner = Planner(network)
    for node in network:
        PLANNED[node](planner, node)
    jobs, given = tuple(planner.jobs), planner.maps[network.input.name]
    return CPlan(given, network.steps, jobs, _slots(jobs), network.digest(), network.input.scale)


def _slots(jobs: tuple[Job, ...]) -> tuple[Slot, ...]:
    made = [counts for job in jobs for counts in job.given]
    last = [max(index for index, job in enumerate(jobs) if counts in job.reads) for counts in made]
    return shared(made, last)
