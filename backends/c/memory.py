"""Every constant and every variable of the C file, with its bytes: what is declared is what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qpsnn_backends.c.counts import BYTES, SIGNED, TYPES
from qpsnn_backends.c.helpers import PLACES
from qpsnn_backends.c.helpers_products import LONGEST_LIST
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.planned import CPlan, of
from qpsnn_backends.c.pooled import PooledJob
from qpsnn_backends.c.streams import StreamJob
from qpsnn_backends.c.synapses import ConvJob, flat


@dataclass(frozen=True)
class Memory:
    """constants: flash, besides the code; state: RAM that lives from step to step; scratch: RAM within a step."""

    constants: tuple[Item, ...]
    state: tuple[Item, ...]
    scratch: tuple[Item, ...]


def total(items: tuple[Item, ...], owner: str | None = None) -> int:
    """Bytes of the items, or of one owner's."""
    return sum(item.bytes for item in items if owner in (None, item.owner))


def event_kind(plan: CPlan) -> str:
    """The kind of numbers in lists of spikes."""
    longest = max((one.listed for one in plan.synapses), default=0)
    return "u16" if longest < 2**16 else "u32"


def product_kinds(plan: CPlan) -> tuple[str, str]:
    """The kinds of listed values, and of where their rows begin; ("", "") where nothing is multiplied."""
    products = [one for one in plan.windows if not one.codes.spikes]
    if not products:
        return "", ""
    largest = max(one.codes.table.size for one in products)
    kinds = {one.source.kind for one in products}
    mixed = len(kinds) > 1 and not kinds.isdisjoint(SIGNED.values())  # two's complement holds either sign
    return "u32" if mixed else max(kinds, key=BYTES.__getitem__), "u16" if largest < 2**16 else "u32"


def memory(plan: CPlan) -> Memory:
    """All objects, in the order in which they are declared."""
    return Memory(
        tuple(_constants(plan)), tuple(item for job in plan.jobs for item in job.state()), tuple(_scratch(plan))
    )


def _constants(plan: CPlan) -> Iterator[Item]:
    if any(one.listed for one in plan.synapses):
        yield table("", "place_of_bit", "uint8_t", np.array(PLACES, np.uint8))
    done: set[str] = set()
    for job in plan.jobs:
        for one in (one for synapse in job.synapses for one in flat(synapse)):
            if one.name not in done:
                yield from one.constants()
            done.add(one.name)
        yield from job.constants()


def _scratch(plan: CPlan) -> Iterator[Item]:
    driven = max((one.width for one in plan.synapses), default=0)
    if driven:
        yield Item("", f"static uint32_t drive[{driven}];                 /* of one pixel's neurons */", 4 * driven)
    for pool in of(PooledJob, plan.synapses):
        yield from pool.scratch()
    for stream in of(StreamJob, plan.jobs):
        yield from stream.scratch()
    held = max((one.shape[2] for one in plan.windows if one.opens == "channels"), default=0)
    if held:
        yield Item(
            "", f"static uint32_t held[{held}];                  /* the drive, before a gated synapse */", 4 * held
        )
    yield from _lists(plan)
    for index, slot in enumerate(plan.slots):
        members = "".join(f"\n    {one.type} {one.variable}[{one.length}];" for one in slot.maps)
        yield Item("", f"static union {{{members}\n}} slot{index};", slot.bytes)


def _lists(plan: CPlan) -> Iterator[Item]:
    """What layers list as they go: spikes, and values with their rows; in the same memory if no layer lists both."""
    every = [[one for synapse in job.synapses for one in flat(synapse)] for job in plan.jobs]
    kinds = [{one.codes.spikes for one in of(ConvJob, synapses)} for synapses in every]
    members, sizes, unit = [], [], 1
    if any(True in one for one in kinds):
        kind = event_kind(plan)
        spikes = max(sum(one.listed for one in job.synapses) for job in plan.jobs)
        columns = max(sum(one.marks for one in job.synapses) for job in plan.jobs)
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
