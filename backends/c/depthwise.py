"""Depthwise convolutions of spikes in C: several channels to a word, each in bits of its own, added at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template

import numpy as np

from qpsnn_backends.c.counts import WORD
from qpsnn_backends.c.direct import DirectJob
from qpsnn_backends.c.items import Item, record, table
from qpsnn_core.common.types import Array

LANES = (8, 16)
"""Bits that a channel may take of a word."""

DEPTHWISE = """\
/* A depthwise convolution of spikes. units: words of spikes of a pixel. words: of codes of a tap. bias: added to every
 * code, so that none is negative. */
struct depthwise {
    int32_t height, width, units, channels, words, bias;
    int32_t rows, columns, down, right, top, left;
};
"""

ADD = Template("""\
/* drive += gain * the sum of codes of the spikes of the window at (y, x). Channels take $lane bits of a word each: a
 * tap adds its code and the bias where there is a spike, the bias alone elsewhere; what is stored tells the two. */
static void depthwise_$lane(const struct depthwise *d, const uint32_t *map, const uint32_t *codes, const int32_t *gain,
                        int32_t y, int32_t x)
{
    const int32_t top = y * d->down - d->top, left = x * d->right - d->left;
    const int32_t first = first_inside(top), begin = first_inside(left);
    const int32_t bottom = end_inside(top, d->rows, d->height), end = end_inside(left, d->columns, d->width);
    const uint32_t bias = (uint32_t)d->bias * ${ones}u;
    const uint32_t seen = bottom > first && end > begin ? (uint32_t)((bottom - first) * (end - begin) * d->bias) : 0;
    for (int32_t unit = 0, o = 0; unit < d->units; unit++) {
        const int32_t words = d->words - unit * $lane < $lane ? d->words - unit * $lane : $lane;
        uint32_t sums[$lane] = {0};
        for (int32_t ky = first; ky < bottom; ky++) {
            for (int32_t kx = begin; kx < end; kx++) {
                uint32_t spikes = map[((top + ky) * d->width + left + kx) * d->units + unit];
                const uint32_t *row = codes + (ky * d->columns + kx) * d->words + unit * $lane;
                for (int32_t i = 0; i < words; i++, spikes >>= $each) {
                    const uint32_t lanes = ((spikes & ${some}u) * ${apart}u & ${ones}u) * ${full}u;
                    sums[i] += bias ^ (row[i] & lanes);
                }
            }
        }
        for (int32_t i = 0; i < words; i++) {
            for (int32_t k = 0; k < $each && o < d->channels; k++, o++) {
                drive[o] += (uint32_t)gain[o] * ((sums[i] >> ($lane * k) & ${full}u) - seen);
            }
        }
    }
}
""")


@dataclass(frozen=True, eq=False)
class DepthwiseJob(DirectJob):
    """A depthwise convolution of spikes, with an output for each channel. lane: bits of a sum."""

    lane: int = LANES[0]

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        return f"{super().words}, {WORD // self.lane} channels in a word"

    def constants(self) -> Iterator[Item]:
        """Its struct and tables."""
        height, width, channels = self.source.shape
        bias, each = _bias(self.codes), WORD // self.lane
        words = -(-channels // each)
        sizes = (height, width, self.source.per_pixel, channels, words, bias)
        yield record(
            self.name, f"struct depthwise {self.name}_window", (*sizes, *(n for pair in self._window for n in pair))
        )
        kept = np.zeros((self.codes.shape[0] * self.codes.shape[1], words * each), np.uint32)
        kept[:, :channels] = (self.codes.reshape(-1, channels).astype(np.int64) + bias) ^ bias
        packed = sum(kept[:, i::each] << np.uint32(self.lane * i) for i in range(each))
        yield table(self.name, f"{self.name}_codes", "uint32_t", np.asarray(packed, np.uint32))
        yield table(self.name, f"{self.name}_gain", "int32_t", self.gain.astype(np.int32))

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The call that adds its current at (y, x) to the drive."""
        tables = f"&{self.name}_window, {self.source.variable}, {self.name}_codes, {self.name}_gain"
        return f"depthwise_{self.lane}({tables}, {y}, {x});"


def _bias(codes: Array) -> int:
    return max(0, -int(codes.min()))


def depthwise_job(job: DirectJob) -> DirectJob:
    """The job, as a depthwise one if it is that of spikes, and its sums with their biases fit the lanes of a word."""
    channels = job.source.shape[2]
    if job.source.kind != "bits" or not channels == job.node.groups == job.shape[2]:
        return job
    largest = int((np.maximum(job.codes.reshape(-1, channels), 0).astype(np.int64) + _bias(job.codes)).sum(0).max())
    fitting = [lane for lane in LANES if largest < 2**lane]
    return DepthwiseJob(job.node, job.name, job.source, job.shape, job.codes, job.gain, fitting[0]) if fitting else job


def depthwise(lane: int) -> str:
    """The function that adds such a current."""
    each = WORD // lane
    ones = sum(1 << lane * i for i in range(each))
    apart = sum(1 << (lane - 1) * i for i in range(each))
    numbers = {"ones": ones, "apart": apart, "full": 2**lane - 1, "some": 2**each - 1}
    return ADD.substitute(lane=lane, each=each, **{name: f"0x{number:X}" for name, number in numbers.items()})
