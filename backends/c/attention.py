"""Attention in C: a job that counts which keys and values spike together, and the current that queries make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template
from typing import Any, ClassVar

import numpy as np

from qpsnn_backends.c.counts import TYPES, Counts, narrowest, size
from qpsnn_backends.c.items import Item, record, table
from qpsnn_backends.c.joins import Join
from qpsnn_core.common.types import Array, Shape
from qpsnn_core.integer.nodes import IntAttention

ATTENTION = """\
/* Attention: channels of keys, `matched`, and of values, `given`, in each head. Units: elements of a pixel. */
struct attention {
    int32_t tokens, heads, matched, given, query_units, key_units, value_units;
};
"""

MATCH = Template("""\
/* table[a][c], in each head: at how many tokens channel a of the keys and channel c of the values both spike. */
static void match_${keys}_${values}_$kind(const struct attention *a, const $key_type *keys, const $value_type *values,
                                          $type *table)
{
    memset(table, 0, (size_t)(a->heads * a->matched * a->given) * sizeof *table);
    for (int32_t j = 0; j < a->tokens; j++, keys += a->key_units, values += a->value_units) {
        $type *row = table;
        for (int32_t i = 0; i < a->heads * a->matched; i++, row += a->given) {
            if ($key) {
                const int32_t first = i / a->matched * a->given;
                for (int32_t c = 0; c < a->given; c++) {
                    row[c] = ($type)(row[c] + ($value));
                }
            }
        }
    }
}
""")

ATTEND = Template("""\
/* drive += gain * the sum of the rows of the channels that spike in a query. */
static void attend_${queries}_$kind(const struct attention *a, const $query_type *query, const $type *table,
                                    const int32_t *gain)
{
    for (int32_t i = 0; i < a->heads * a->matched; i++, table += a->given) {
        if ($query) {
            const int32_t first = i / a->matched * a->given;
            for (int32_t c = 0; c < a->given; c++) {
                drive[first + c] += (uint32_t)gain[first + c] * (uint32_t)table[c];
            }
        }
    }
}
""")


def _spike(kind: str, array: str, channel: str) -> str:
    """Whether a channel of a pixel spikes, 0 or 1."""
    return f"({array}[({channel}) / 32] >> (({channel}) % 32)) & 1u" if kind == "bits" else f"{array}[{channel}]"


@dataclass(frozen=True, eq=False)
class MatchJob(Join):
    """`k^T v` of each head: a table of counts up to the number of tokens."""

    gives: Counts
    attention: str
    keys: Counts
    values: Counts

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return tuple(dict.fromkeys((self.keys, self.values)))

    def words(self) -> Iterator[str]:
        """Its comment."""
        yield f"{self.name}, {size(self.shape)}: how often {self.keys.words} and {self.values.words} spike together."

    def constants(self) -> Iterator[Item]:
        """The sizes are those of what attends."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """The shared function that it calls."""
        yield MATCH.substitute(
            keys=self.keys.kind,
            values=self.values.kind,
            kind=self.gives.kind,
            key_type=self.keys.type,
            value_type=self.values.type,
            type=self.gives.type,
            key=_spike(self.keys.kind, "keys", "i"),
            value=_spike(self.values.kind, "values", "first + c"),
        )

    def body(self) -> str:
        """Of its function."""
        kinds = f"{self.keys.kind}_{self.values.kind}_{self.gives.kind}"
        maps = f"{self.keys.variable}, {self.values.variable}, {self.gives.variable}"
        return f"    match_{kinds}(&{self.attention}_attention, {maps});"


@dataclass(frozen=True, eq=False)
class AttendJob:
    """What drives neurons: at each token, the rows of the table whose channels spike in its query."""

    node: IntAttention
    name: str
    source: Counts
    table: Counts
    key_units: int
    value_units: int
    shape: Shape
    gain: Array
    listed: ClassVar[int] = 0
    marks: ClassVar[int] = 0
    packing: ClassVar[str] = ""
    within: ClassVar[tuple[Any, ...]] = ()
    gate: ClassVar[Counts | None] = None

    @property
    def maps(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return self.source, self.table

    @property
    def width(self) -> int:
        """Channels that it drives."""
        return self.shape[2]

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        return f"{self.name}: attention of {self.source.words} to {self.table.words}, {self.node.heads} heads"

    def constants(self) -> Iterator[Item]:
        """Its struct and its gains."""
        (height, width, channels), heads = self.source.shape, self.node.heads
        sizes = (height * width, heads, channels // heads, self.shape[2] // heads)
        units = (self.source.per_pixel, self.key_units, self.value_units)
        yield record(self.name, f"struct attention {self.name}_attention", (*sizes, *units))
        yield table(self.name, f"{self.name}_gain", "int32_t", self.gain.astype(np.int32))

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """It lists nothing."""
        return []

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The call that adds its current at (y, x) to the drive."""
        pixel = f"{self.source.variable} + ({y} * {self.source.shape[1]} + {x}) * {self.source.per_pixel}"
        kinds = f"{self.source.kind}_{self.table.kind}"
        return f"attend_{kinds}(&{self.name}_attention, {pixel}, {self.table.variable}, {self.name}_gain);"


def attend(one: AttendJob) -> str:
    """The function that adds such a current."""
    return ATTEND.substitute(
        queries=one.source.kind,
        kind=one.table.kind,
        query_type=one.source.type,
        type=TYPES[one.table.kind],
        query=_spike(one.source.kind, "query", "i"),
    )


def attention_jobs(
    node: IntAttention, name: str, maps: tuple[Counts, Counts, Counts], shape: Shape, gain: Array
) -> tuple[MatchJob, AttendJob]:
    """Plan attention. maps: of queries, keys and values."""
    queries, keys, values = maps
    height, width, channels = queries.shape
    tokens = height * width
    matches = Counts(f"{name}_matches", (1, channels, shape[2] // node.heads), tokens, narrowest(tokens))
    units = keys.per_pixel, values.per_pixel
    return MatchJob(matches, name, keys, values), AttendJob(node, name, queries, matches, *units, shape, gain)
