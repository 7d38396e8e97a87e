"""Gates in C: a job that computes a mask from a predictor's current, and one that masks what a synapse reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template

import numpy as np

from qpsnn_backends.c.counts import TYPES, Counts, size
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.jobs import Giving
from qpsnn_backends.c.joins import Join
from qpsnn_backends.c.pixels import every_pixel
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.types import Array
from qpsnn_core.integer.nodes import IntGate

MASK_BITS = """\
/* The spikes of channels that are open. units: words of a pixel. */
static void mask_channels_bits(const uint32_t *in, const uint8_t *open, uint32_t *out,
                               int32_t pixels, int32_t units, int32_t channels)
{
    for (int32_t unit = 0; unit < units; unit++) {
        uint32_t word = 0;
        for (int32_t c = unit * 32; c < channels && c < unit * 32 + 32; c++) {
            word |= (uint32_t)open[c] << (c % 32);
        }
        for (int32_t i = unit; i < pixels * units; i += units) {
            out[i] = in[i] & word;
        }
    }
}
"""

MASK_COUNTS = Template("""\
/* The counts of channels that are open. */
static void mask_channels_$kind(const $type *in, const uint8_t *open, $type *out,
                                int32_t pixels, int32_t units, int32_t channels)
{
    for (int32_t i = 0; i < pixels * units; i++) {
        out[i] = open[i % channels] ? in[i] : 0;
    }
}
""")

MASK_PLACES = Template("""\
/* The pixels that are open. units: elements of a pixel. */
static void mask_places_$kind(const $type *in, const uint8_t *open, $type *out, int32_t pixels, int32_t units)
{
    for (int32_t i = 0; i < pixels * units; i++) {
        out[i] = open[i / units] ? in[i] : 0;
    }
}
""")


@dataclass(frozen=True, eq=False)
class GateJob(Giving):
    """A mask, one byte for each channel or place, from the current of its predictor."""

    gives: Counts
    synapse: Synapse
    node: IntGate
    threshold: Array

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Its predictor."""
        return (self.synapse,)

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return maps_of(self.synapse)

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        yield f"{self.name}, a mask {size(self.shape)}, open where the current reaches a threshold. Predicted by:"

    def constants(self) -> Iterator[Item]:
        """Its thresholds, and the zeros that its drive begins with."""
        yield table(self.name, f"{self.name}_bias", "int32_t", np.zeros_like(self.threshold))
        yield table(self.name, f"{self.name}_threshold", "int32_t", self.threshold)

    def state(self) -> Iterator[Item]:
        """Nothing lives from step to step."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """It calls none but its synapse's."""
        yield from ()

    def body(self) -> str:
        """Of its function: the predictor's drive, compared; each number serves its channels, or the places nearest."""
        height, width, channels = self.shape
        h, w, _ = self.synapse.shape
        mask, open_if = self.gives.variable, f"as_signed(drive[%s]) >= {self.name}_threshold[%s]"
        if self.node.shape is None:
            k = f"c / {self.node.size}"
            then = [
                f"for (int32_t c = 0; c < {channels}; c++) {{",
                f"    {mask}[c] = (uint8_t)({open_if % (k, k)});",
                "}",
            ]
            return every_pixel(1, 1, self.name, self.synapses, lambda _: then)
        y, x = ("y", "x") if (h, w) != (1, 1) else ("0", "0")
        rows, columns = (
            f"int32_t {one} = ({at} * {whole} + {small - 1}) / {small}; "
            f"{one} < (({at} + 1) * {whole} + {small - 1}) / {small}; {one}++"
            for one, at, whole, small in (("row", y, height, h), ("column", x, width, w))
        )
        then = [
            f"for ({rows}) {{",
            f"    for ({columns}) {{",
            f"        {mask}[row * {width} + column] = (uint8_t)({open_if % ('0', '0')});",
            "    }",
            "}",
        ]
        return every_pixel(h, w, self.name, self.synapses, lambda at: [f"(void){at};"] * (at != "0") + then)


@dataclass(frozen=True)
class MaskJob(Join):
    """What an input gate lets through of a map."""

    gives: Counts
    source: Counts
    mask: Counts

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return self.source, self.mask

    @property
    def places(self) -> bool:
        """Whether it masks places; else channels."""
        return self.mask.shape[2] == 1 and self.mask.shape[:2] == self.source.shape[:2]

    def words(self) -> Iterator[str]:
        """Its comment."""
        what = "pixels" if self.places else "channels"
        yield f"{self.name}, {size(self.shape)}: {what} of {self.source.words} that {self.mask.name} opens."

    def constants(self) -> Iterator[Item]:
        """It has none."""
        yield from ()

    def functions(self) -> Iterator[str]:
        """The shared function that it calls."""
        kind = self.source.kind
        if self.places:
            yield MASK_PLACES.substitute(kind=kind, type=TYPES[kind])
        else:
            yield MASK_BITS if kind == "bits" else MASK_COUNTS.substitute(kind=kind, type=TYPES[kind])

    def body(self) -> str:
        """Of its function."""
        height, width, channels = self.shape
        what, further = ("places", "") if self.places else ("channels", f", {channels}")
        maps = f"{self.source.variable}, {self.mask.variable}, {self.gives.variable}"
        sizes = f"{height * width}, {self.source.per_pixel}{further}"
        return f"    mask_{what}_{self.source.kind}({maps}, {sizes});"
