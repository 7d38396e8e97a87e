"""Every constant and every variable of the C file, with its bytes: what is declared is what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.counts import BYTES, TYPES
from qpsnn_backends.c.helpers import PLACES
from qpsnn_backends.c.helpers_products import LONGEST_LIST
from qpsnn_backends.c.plan import Answer, Job, Neurons, Plan, Pool, Synapse, Window, synapses_of

LINE = 110
"""Characters of a line of numbers, at most."""


@dataclass(frozen=True)
class Item:
    """One object of the C file. owner: the layer that it belongs to, "" for what layers share."""

    owner: str
    text: str
    bytes: int


@dataclass(frozen=True)
class Memory:
    """constants: flash, besides the code; state: RAM that lives from step to step; scratch: RAM within a step."""

    constants: tuple[Item, ...]
    state: tuple[Item, ...]
    scratch: tuple[Item, ...]


def total(items: tuple[Item, ...], owner: str | None = None) -> int:
    """Bytes of the items, or of one owner's."""
    return sum(item.bytes for item in items if owner in (None, item.owner))


def windows_of(job: Job) -> list[Window]:
    """The convolutions and Linears that a job computes."""
    return [one for one in synapses_of(job) if isinstance(one, Window)]


def event_kind(plan: Plan) -> str:
    """The kind of numbers in lists of spikes."""
    longest = max((one.listed for job in plan.jobs for one in windows_of(job)), default=0)
    return "u16" if longest < 2**16 else "u32"


def product_kinds(plan: Plan) -> tuple[str, str]:
    """The kinds of listed values, and of where their rows begin; ("", "") where nothing is multiplied."""
    products = [one for job in plan.jobs for one in windows_of(job) if not one.codes.spikes]
    if not products:
        return "", ""
    largest = max(one.codes.table.size for one in products)
    kinds = [one.source.kind for one in products]
    return max(kinds, key=BYTES.__getitem__), "u16" if largest < 2**16 else "u32"


def memory(plan: Plan) -> Memory:
    """All objects, in the order in which they are declared."""
    return Memory(tuple(_constants(plan)), tuple(_state(plan)), tuple(_scratch(plan)))


def _constants(plan: Plan) -> Iterator[Item]:
    if any(isinstance(one, Window) and one.source.kind == "bits" for one in plan.synapses):
        yield _table("", "place_of_bit", "uint8_t", np.array(PLACES, np.uint8))
    done: set[str] = set()
    for job in plan.jobs:
        if isinstance(job, Pool):
            yield _pool(job)
        for one in synapses_of(job):
            if one.name not in done:
                yield from _synapse(one)
            done.add(one.name)
        if isinstance(job, Neurons):
            yield _table(job.gives.name, f"{job.gives.name}_bias", "int32_t", job.bias)
            yield _table(job.gives.name, f"{job.gives.name}_threshold", "int32_t", job.threshold)
        if isinstance(job, Answer):
            yield _table(job.name, f"{job.name}_bias", "int32_t", job.bias)


def _synapse(one: Synapse) -> Iterator[Item]:
    if isinstance(one, Window):
        kernel = (one.kernel[0], 1) if one.linear and one.codes.spikes else one.kernel
        low = one.codes.low * (1 if one.exponent is None else int(one.gain[0]))
        row = (one.codes.words, low, one.codes.step, one.exponent or 0)
        numbers = (*one.source.shape, *kernel, one.stride, one.padding, *row)
        yield _record(one.name, f"struct window {one.name}_window", numbers)
        yield _table(one.name, f"{one.name}_codes", f"{one.codes.table.dtype}_t", one.codes.table)
        if one.exponent is None:
            padded = np.zeros(one.codes.padded, np.int32)
            padded[: len(one.gain)] = one.gain
            yield _table(one.name, f"{one.name}_gain", "int32_t", padded)
    else:
        yield _table(one.name, f"{one.name}_from", "uint32_t", one.chosen.astype(np.uint32))
        yield _table(one.name, f"{one.name}_gain", "int32_t", one.gain.astype(np.int32))


def _pool(job: Pool) -> Item:
    height, width, channels = job.source.shape
    sizes = (height, width, job.source.per_pixel, channels, *job.gives.shape[:2], job.size, job.stride, job.padding)
    return _record(job.gives.name, f"struct pool {job.gives.name}_pool", sizes)


def _record(owner: str, name: str, numbers: tuple[int, ...]) -> Item:
    return Item(owner, f"static const {name} = {{{', '.join(map(str, numbers))}}};", 4 * len(numbers))


def _table(owner: str, name: str, kind: str, array: npt.NDArray[Any]) -> Item:
    """A table of numbers: words of codes in hexadecimal, the rest in decimal."""
    flat = array.reshape(-1)
    words = array.dtype == np.uint32 and name.endswith("_codes")
    numbers = [f"0x{value:08X}" for value in flat.tolist()] if words else [str(value) for value in flat.tolist()]
    each = max(1, LINE // (max(map(len, numbers)) + 2))
    lines = [", ".join(numbers[low : low + each]) for low in range(0, len(numbers), each)]
    body = ",\n    ".join(lines)
    rows = f"{array.shape[0]} * {array.shape[1]}" if array.ndim == 2 else str(len(flat))
    return Item(owner, f"static const {kind} {name}[{rows}] = {{\n    {body}\n}};", flat.nbytes)


def _state(plan: Plan) -> Iterator[Item]:
    for job in plan.neurons:
        count = int(np.prod(job.gives.shape))
        text = f"static int{job.membrane}_t {job.gives.name}_membrane[{count}];"
        yield Item(job.gives.name, text, count * job.membrane // 8)
    classes = len(plan.answer.bias)
    yield Item(plan.answer.name, f"static int64_t answers[{classes}];", 8 * classes)


def _scratch(plan: Plan) -> Iterator[Item]:
    driven = max(_driven(job) for job in plan.jobs)
    yield Item("", f"static uint32_t drive[{driven}];                 /* of one pixel's neurons */", 4 * driven)
    yield from _lists(plan)
    for index, slot in enumerate(plan.slots):
        members = "".join(f"\n    {one.type} {one.variable}[{one.length}];" for one in slot.maps)
        yield Item("", f"static union {{{members}\n}} slot{index};", slot.bytes)


def _lists(plan: Plan) -> Iterator[Item]:
    """What layers list as they go: spikes, and values with their rows; in the same memory if no layer lists both."""
    kinds = [{one.codes.spikes for one in windows_of(job)} for job in plan.jobs]
    members, sizes, unit = [], [], 1
    if any(True in one for one in kinds):
        kind = event_kind(plan)
        spikes = max(sum(one.listed for one in windows_of(job)) for job in plan.jobs)
        columns = max(sum(one.columns + 1 for one in windows_of(job) if one.columns) for job in plan.jobs)
        members += [
            "struct {",
            f"    {TYPES[kind]} events[{spikes}];                /* the row of codes of each spike */",
            f"    {TYPES[kind]} columns[{columns}];              /* the first spike of each column */",
            "} of_spikes;",
        ]
        sizes.append((spikes + columns) * BYTES[kind])
        unit = BYTES[kind]
    if any(False in one for one in kinds):
        values, rows = product_kinds(plan)
        members += [
            "struct {",
            f"    {TYPES[values]} values[{LONGEST_LIST}];                /* counts that are not 0 */",
            f"    {TYPES[rows]} rows[{LONGEST_LIST}];                 /* where the row of each begins */",
            "} of_values;",
        ]
        sizes.append((BYTES[values] + BYTES[rows]) * LONGEST_LIST)
        unit = max(unit, BYTES[values], BYTES[rows])
    if members:
        both = any(len(one) == 2 for one in kinds)
        inside = "".join(f"\n    {line}" for line in members)
        size = sum(-(-one // unit) * unit for one in sizes) if both else -(-max(sizes) // unit) * unit
        yield Item("", f"static {'struct' if both else 'union'} {{{inside}\n}} lists;", size)


def _driven(job: Job) -> int:
    """Numbers that a job drives its neurons with, padding included; 0 for a pool."""
    own = [len(job.bias)] if isinstance(job, (Neurons, Answer)) else []
    return max([*own, *(one.codes.padded for one in windows_of(job))], default=0)
