"""Every constant and every variable of the C file, with its bytes: what is declared is what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.c.codes import LONGEST_LIST
from qpsnn_backends.c.counts import BYTES, TYPES, narrowest
from qpsnn_backends.c.helpers import PLACES, name_of
from qpsnn_backends.c.plan import Answer, Neurons, Plan, Pool, Synapse, Window, synapses_of

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


def sum_kinds(plan: Plan) -> dict[str, tuple[str, int]]:
    """The scratch for sums of rows, and of products, of each width of codes: its kind, and how many."""
    found: dict[str, tuple[str, int]] = {}
    for one in plan.synapses:
        if isinstance(one, Window):
            name, kind = name_of(one.codes.bits, one.codes.listed), narrowest(one.codes.largest)
            count = one.codes.planes * one.codes.words
            old, most = found.get(name, (kind, 0))
            found[name] = max(kind, old, key=lambda kind: BYTES[kind]), max(count, most)
    return found


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
        sizes = (*one.source.shape, *one.kernel, one.stride, one.padding, one.shape[2])
        row = (one.codes.words, one.codes.low, one.codes.step)
        yield _record(one.name, f"struct window {one.name}_window", (*sizes, *row))
        yield _table(one.name, f"{one.name}_codes", "uint32_t", one.codes.table)
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
    words = name.endswith("_codes")
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
    widest = max(len(job.bias) for job in plan.jobs if isinstance(job, (Neurons, Answer)))
    yield Item("", f"static uint32_t drive[{widest}];                 /* of one pixel's neurons */", 4 * widest)
    windows = [one for one in plan.synapses if isinstance(one, Window)]
    sums = sum_kinds(plan)
    if sums:
        members = "".join(f"\n    {TYPES[kind]} of_{name}[{count}];" for name, (kind, count) in sums.items())
        unit = max(BYTES[kind] for kind, _ in sums.values())
        size = max(BYTES[kind] * count for kind, count in sums.values())
        text = f"/* Sums of codes, for one pixel. */\nstatic union {{{members}\n}} sums;"
        yield Item("", text, -(-size // unit) * unit)
    lists = [one.codes.most for one in windows]
    if lists:
        yield Item("", f"static uint32_t rows[{max(lists)}];                   /* where rows begin */", 4 * max(lists))
    if not all(one.codes.listed for one in windows):
        yield Item(
            "", f"static uint32_t values[{LONGEST_LIST}];                 /* what each is times */", 4 * LONGEST_LIST
        )
    for index, slot in enumerate(plan.slots):
        members = "".join(f"\n    {one.type} {one.variable}[{one.length}];" for one in slot.maps)
        yield Item("", f"static union {{{members}\n}} slot{index};", slot.bytes)
