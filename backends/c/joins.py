"""Pools, sums and finer maps of counts in C: the functions that join maps, and what is planned of each node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template
from typing import ClassVar, Literal

from qpsnn_backends.c.counts import TYPES, Counts, size
from qpsnn_backends.c.items import Item, record
from qpsnn_backends.c.jobs import Giving
from qpsnn_backends.c.synapses import Synapse

POOL = """\
/* Windows over a map. `units`: elements of a pixel. */
struct pool {
    int32_t height, width, units, channels;
    int32_t out_height, out_width;
    int32_t rows, columns, down, right, top, left;
};
"""

_MAX = Template("""\
/* The $what of each window. */
static void max_$kind(const struct pool *p, const $type *in, $type *out)
{
    for (int32_t y = 0; y < p->out_height; y++) {
        for (int32_t x = 0; x < p->out_width; x++, out += p->units) {
            const int32_t top = y * p->down - p->top, left = x * p->right - p->left;
            const int32_t bottom = end_inside(top, p->rows, p->height), end = end_inside(left, p->columns, p->width);
            const int32_t first = first_inside(top), begin = first_inside(left);
            memcpy(out, in + ((top + first) * p->width + left + begin) * p->units, (size_t)p->units * sizeof *out);
            for (int32_t ky = first; ky < bottom; ky++) {
                for (int32_t kx = begin; kx < end; kx++) {
                    const $type *at = in + ((top + ky) * p->width + left + kx) * p->units;
                    for (int32_t i = 0; i < p->units; i++) {
                        $take
                    }
                }
            }
        }
    }
}
""")

MAX_BITS = _MAX.substitute(kind="bits", type="uint32_t", what="spikes of any pixel", take="out[i] |= at[i];")

MAX_COUNTS = Template(
    _MAX.substitute(kind="$kind", type="$type", what="largest counts", take="out[i] = at[i] > out[i] ? at[i] : out[i];")
)

SUM_POOL = Template("""\
/* The sum of each window. */
static void sum_${source}_$gives(const struct pool *p, const $type *in, $result *out)
{
    for (int32_t y = 0; y < p->out_height; y++) {
        for (int32_t x = 0; x < p->out_width; x++, out += p->channels) {
            memset(out, 0, (size_t)p->channels * sizeof *out);
            for (int32_t k = 0; k < p->rows * p->columns; k++) {
                const int32_t pixel = (y * p->down + k / p->columns) * p->width + x * p->right + k % p->columns;
                const $type *at = in + pixel * p->units;
                for (int32_t c = 0; c < p->channels; c++) {
                    out[c] = ($result)(out[c] + ($count));
                }
            }
        }
    }
}
""")

ADD = Template("""\
/* out += in. units: elements of a pixel of `in`. */
static void add_${source}_$gives(const $type *in, $result *out, int32_t pixels, int32_t units, int32_t channels)
{
    for (int32_t i = 0; i < pixels; i++, in += units, out += channels) {
        for (int32_t c = 0; c < channels; c++) {
            out[c] = ($result)(out[c] + ($count));
        }
    }
}
""")


PLACE = Template("""\
/* The channels of `in` from channel `first` of `out` on. units: elements of a pixel of each. */
static void place_${source}_$gives(const struct place *p, const $type *in, $result *out)
{
    for (int32_t i = 0; i < p->pixels; i++, in += p->units, out += p->out_units) {
        for (int32_t c = 0; c < p->channels; c++) {
            $set
        }
    }
}
""")

PLACED = """\
/* Where the channels of a map go in a wider one. */
struct place {
    int32_t pixels, units, out_units, channels, first;
};
"""


FINER = Template("""\
/* Each pixel of `in`, factor x factor times. units: elements of a pixel. */
static void finer_$kind(const struct finer *p, const $type *in, $type *out)
{
    for (int32_t y = 0; y < p->height * p->factor; y++) {
        for (int32_t x = 0; x < p->width * p->factor; x++, out += p->units) {
            const $type *at = in + (y / p->factor * p->width + x / p->factor) * p->units;
            memcpy(out, at, (size_t)p->units * sizeof *out);
        }
    }
}
""")

FINE = """\
/* A map each pixel of which stands for factor x factor of a finer one. */
struct finer {
    int32_t height, width, units, factor;
};
"""


class Join(Giving):
    """What pools and sums have in common: no synapses and no state."""

    synapses: ClassVar[tuple[Synapse, ...]] = ()

    def state(self) -> Iterator[Item]:
        """Nothing lives from step to step."""
        yield from ()


@dataclass(frozen=True)
class Pool(Join):
    """The largest (`what` "max") or the sum ("sum") of each window; sizes are (rows, columns)."""

    what: Literal["max", "sum"]
    gives: Counts
    source: Counts
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return (self.source,)

    def words(self) -> Iterator[str]:
        """Its comment."""
        what = "largest of" if self.what == "max" else "sum over"
        yield f"{self.name}, {size(self.shape)}: {what} {size(self.size)} of {self.source.words},"
        yield f"stride {size(self.stride)}, padding {size(self.padding)}."

    def constants(self) -> Iterator[Item]:
        """Its struct."""
        height, width, channels = self.source.shape
        window = (*self.size, *self.stride, *self.padding)
        sizes = (height, width, self.source.per_pixel, channels, *self.shape[:2], *window)
        yield record(self.name, f"struct pool {self.name}_pool", sizes)

    def functions(self) -> Iterator[str]:
        """The shared function that it calls."""
        yield max_pool(self.source.kind) if self.what == "max" else sum_pool(self.source.kind, self.gives.kind)

    def body(self) -> str:
        """Of its function."""
        kinds = self.source.kind if self.what == "max" else f"{self.source.kind}_{self.gives.kind}"
        return f"    {self.what}_{kinds}(&{self.name}_pool, {self.source.variable}, {self.gives.variable});"


@dataclass(frozen=True)
class SumJob(Join):
    """A sum of counts."""

    gives: Counts
    reads: tuple[Counts, ...]

    def words(self) -> Iterator[str]:
        """Its comment."""
        yield f"{self.name}, {size(self.shape)}: sum of {', '.join(one.name for one in self.reads)}."

    def constants(self) -> Iterator[Item]:
        """It has none."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """The shared functions that it calls."""
        for one in self.reads:
            yield add(one.kind, self.gives.kind)

    def body(self) -> str:
        """Of its function: the summands one after another."""
        height, width, channels = self.shape
        lines = [f"    memset({self.gives.variable}, 0, {self.gives.bytes});"]
        for one in self.reads:
            sizes = f"{height * width}, {one.per_pixel}, {channels}"
            lines.append(f"    add_{one.kind}_{self.gives.kind}({one.variable}, {self.gives.variable}, {sizes});")
        return "\n".join(lines)


@dataclass(frozen=True)
class ConcatJob(Join):
    """The channels of several maps side by side."""

    gives: Counts
    reads: tuple[Counts, ...]

    def words(self) -> Iterator[str]:
        """Its comment."""
        yield f"{self.name}, {size(self.shape)}: channels of {', '.join(one.name for one in self.reads)}."

    def constants(self) -> Iterator[Item]:
        """A struct for each map."""
        first, pixels = 0, self.shape[0] * self.shape[1]
        for index, one in enumerate(self.reads):
            sizes = (pixels, one.per_pixel, self.gives.per_pixel, one.shape[2], first)
            yield record(self.name, f"struct place {self.name}_place{index}", sizes)
            first += one.shape[2]

    def functions(self) -> Iterator[str]:
        """The shared functions that it calls."""
        for one in self.reads:
            yield place(one.kind, self.gives.kind)

    def body(self) -> str:
        """Of its function: one map after another; a bit that is not set stays 0."""
        lines = [f"    memset({self.gives.variable}, 0, {self.gives.bytes});"]
        for index, one in enumerate(self.reads):
            kinds = f"{one.kind}_{self.gives.kind}"
            lines.append(f"    place_{kinds}(&{self.name}_place{index}, {one.variable}, {self.gives.variable});")
        return "\n".join(lines)


@dataclass(frozen=True)
class FinerMap(Join):
    """Each pixel of a map several times."""

    gives: Counts
    source: Counts
    factor: int

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The map that it reads."""
        return (self.source,)

    def words(self) -> Iterator[str]:
        """Its comment."""
        yield f"{self.name}, {size(self.shape)}: each pixel of {self.source.words} {self.factor} x {self.factor} times."

    def constants(self) -> Iterator[Item]:
        """Its struct."""
        sizes = (*self.source.shape[:2], self.source.per_pixel, self.factor)
        yield record(self.name, f"struct finer {self.name}_finer", sizes)

    def functions(self) -> Iterator[str]:
        """The shared function that it calls."""
        yield FINER.substitute(kind=self.source.kind, type=self.source.type)

    def body(self) -> str:
        """Of its function."""
        return f"    finer_{self.source.kind}(&{self.name}_finer, {self.source.variable}, {self.gives.variable});"


def place(source: str, gives: str) -> str:
    """The channels of a map in a wider one."""
    count = "(in[c / 32] >> (c % 32)) & 1u" if source == "bits" else "in[c]"
    at = "(p->first + c)"
    put = f"out[{at} / 32] |= ({count}) << ({at} % 32);" if gives == "bits" else f"out[{at}] = ($result)({count});"
    filled = put.replace("$result", TYPES[gives])
    return PLACE.substitute(source=source, gives=gives, type=TYPES[source], result=TYPES[gives], set=filled)


def max_pool(kind: str) -> str:
    """The largest of each window."""
    return MAX_BITS if kind == "bits" else MAX_COUNTS.substitute(kind=kind, type=TYPES[kind])


def sum_pool(source: str, gives: str) -> str:
    """The sum of each window."""
    count = "(at[c / 32] >> (c % 32)) & 1u" if source == "bits" else "at[c]"
    return SUM_POOL.substitute(source=source, gives=gives, type=TYPES[source], result=TYPES[gives], count=count)


def add(source: str, gives: str) -> str:
    """One summand of a sum of counts."""
    count = "(in[c / 32] >> (c % 32)) & 1u" if source == "bits" else "in[c]"
    return ADD.substitute(source=source, gives=gives, type=TYPES[source], result=TYPES[gives], count=count)
