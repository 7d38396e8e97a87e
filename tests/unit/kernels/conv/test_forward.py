"""The convolution kernel against loops: bit for bit on integers, within the rounding of float32 on real numbers.

Images are run last to first where they are several chunks, so that one that wrote past its end would spoil the next.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from generators.convolutions import GEOMETRIES, weights

from naive import conv as naive
from qpsnn_core.kernels.conv import forward as conv
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.simd.vector import store

EPS = 2.0**-24  # half a unit in the last place: the error of one float32 operation

OUTPUTS = [1, 3, 15, 63, 64, 65, 100, 128, 130]


class Case:
    """A convolution of M images, drawn at random from a seed; `max_count` is the largest count."""

    def __init__(self, size, inputs, outputs, kernel, stride=1, padding=0, *, max_count=1, kind="int8", images=2):
        rng = np.random.default_rng([*size, inputs, outputs, kernel, stride, padding, max_count])
        self.kernel, self.stride, self.padding, self.max_count = kernel, stride, padding, max_count
        spikes = rng.integers(0, max_count + 1, (images, *size, inputs)) * (rng.random((images, *size, inputs)) < 0.4)
        self.spikes = spikes.astype(np.uint8 if max_count < 2**8 else np.uint16 if max_count < 2**16 else np.uint32)
        self.weight = weights(kind, (kernel, kernel, inputs, outputs), rng)
        self.shape = (images, *(naive.out_size(edge, kernel, stride, padding) for edge in size), outputs)

    def ref(self):
        return naive.forward(self.spikes, self.weight, self.stride, self.padding)

    def forward(self, dtype, spans=None, *, fill=77, max_count=None, alone=False):
        total = np.full(int(np.prod(self.shape)), fill, dtype)
        sizes = ConvGeometry.of(self.spikes.shape[1:], self.shape[3], self.kernel, self.stride, self.padding)
        packed = pack(self.weight) if alone else pack(self.weight, self.stride, self.shape[2])
        for start, stop in spans or ((1, len(self.spikes)), (0, 1)):
            conv.conv_forward(start, stop, self.spikes.reshape(-1), max_count or self.max_count, packed, total, sizes)
        return total.reshape(self.shape)

    def compare(self, **options):
        """The narrowest type that holds the sums gives the twin's; so does the next, and so does a window alone."""
        ref = self.ref()
        if self.weight.dtype == np.float32:
            terms = naive.forward(self.spikes, np.abs(self.weight), self.stride, self.padding)
            bound = EPS * terms * self.spikes[0].size * self.max_count + 1e-30
            for alone in (False, True):
                comp = self.forward(np.float32, alone=alone, **options)
                np.testing.assert_array_less(np.abs(comp - ref), bound)
            return
        for dtype in (np.int16, np.int32):
            if np.abs(ref).max() <= np.iinfo(dtype).max:
                np.testing.assert_array_equal(self.forward(dtype, **options), ref)
                np.testing.assert_array_equal(self.forward(dtype, alone=True, **options), ref)


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize("kind", [4, 8, "int8", "int16", "float"], ids=str)
@pytest.mark.parametrize("max_count", [1, 3])
def test_forward_equals_the_loops(geometry, kind, max_count):
    Case(*geometry, max_count=max_count, kind=kind).compare()


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, "int8", "int16", "float"], ids=str)
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_any_number_of_output_channels(outputs, kind):
    """64 at a time; the last block overlaps the one before, or is stored over the start of the next row."""
    Case((3, 3), 2, outputs, 2, 1, 1, kind=kind, images=3).compare()
    Case((2, 5), 1, outputs, 3, 2, 2, kind=kind, images=3).compare()


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("span", [(0, 1), (1, 3), (3, 4)], ids=str)
def test_forward_writes_its_own_images_only(outputs, span):
    case = Case((2, 3), 2, outputs, 3, 1, 1, images=4, kind=4)
    start, stop = span
    part = case.forward(np.int16, [span], fill=-999)
    np.testing.assert_array_equal(part[start:stop], case.forward(np.int16)[start:stop])
    assert (part[:start] == -999).all()
    assert (part[stop:] == -999).all()


@pytest.mark.parametrize("max_count", [2, 16, 300, 2**16])
def test_counts_are_added_as_often_as_they_count(max_count):
    """At the max_count in one place, in every type of counts."""
    case = Case((4, 3), 2, 3, 3, 1, 1, max_count=max_count, kind=3)
    case.spikes[:] = 0
    case.spikes[0, 2, 2, 1], case.spikes[1, 0, 0, 0] = max_count, max_count - 1
    np.testing.assert_array_equal(case.forward(np.int32), case.ref())


@pytest.mark.parametrize("lines", [1, 2, 5, 21])
def test_rows_of_windows_that_are_listed_together(lines):
    """A largest count that nothing reaches leaves room for fewer: groups of 1, 2, 5 or all of those of seven images."""
    case = Case((3, 4), 3, 130, 3, 1, 1, images=7, kind=8)
    room = conv.LISTED // (3 * 4 * 3 * lines)
    assert conv.LISTED // ((3 * 3 * room + 4) * 4) in (lines, lines - 1)
    case.compare(max_count=room, spans=[(1, 7), (0, 1)])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, "int8", "int16"], ids=str)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 500])
def test_narrow_sums_never_overflow(count, kind, sign):
    """All rows at the maximum: `groups_per_widen` groups are added in the weights' own type, and a few rows beyond."""
    codes = weights(kind, (count + 2, 3), np.random.default_rng(0))
    codes[:-1] = codes.max() if sign > 0 else codes.min()
    codes[-1] = codes.min() if codes[0, 0] > 0 else 127
    case = Case((1, 1), count + 2, 3, 1)
    case.weight = codes.reshape(1, 1, count + 2, 3)
    case.spikes[:] = 1
    case.spikes[..., -1] = 0
    np.testing.assert_array_equal(case.forward(np.int32), case.ref())
    assert case.ref()[0, 0, 0, 0] == (count + 1) * int(codes[0, 0])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("dtype", "codes", "total"),
    [
        (np.int8, [127] * 258 + [1], np.int16),
        (np.int16, [255] * 128 + [127], np.int16),
        (np.int16, [255, -255] * 600 + [255] * 128 + [127], np.int16),
        (np.int16, [32767] * 1100 + [-32767] * 1100 + [32767], np.int16),
        (np.int16, [32767] * 65538, np.int32),
    ],
    ids=["int8 to 32767", "int16 to 32767", "8 bits that cancel", "int16 that cancel", "int16 to 2**31-2"],
)
def test_a_sum_may_reach_the_bound_of_its_type(dtype, codes, total, sign):
    """`weights.accumulator` takes int16 up to 32767 itself; what is added on the way may wrap, and comes back."""
    packed = pack(sign * np.array(codes, dtype).reshape(1, 1, -1, 1))
    spikes, comp = np.ones(len(codes), np.uint8), np.zeros(1, total)
    conv.conv_forward(0, 1, spikes, 1, packed, comp, ConvGeometry.of((1, 1, len(codes)), 1, 1))
    assert comp.item() == sign * sum(codes)
    assert abs(comp.item()) >= np.iinfo(total).max - 1


def test_more_than_255_spikes_are_counted():
    """Where a counter took the spikes' type, uint8, it would wrap."""
    case = Case((1, 3), 300, 2, 3, 1, 1, kind=2)
    case.spikes[:] = 1
    np.testing.assert_array_equal(case.forward(np.int32), case.ref())


@numba.njit(error_model="numpy")
def sum_rows(table, base, rows, begin, end, groups_per_widen, total):
    store(total, 0, conv.add_rows(table, base, rows, begin, end, groups_per_widen, total))


@numba.njit(error_model="numpy")
def sum_halves(table, base, rows, begin, end, groups_per_widen, total):
    low, high = conv.add_halves(table, base, rows, begin, end, groups_per_widen, total)
    store(total, 0, low)
    store(total, 64, high)


COUNTS = [0, 4, 8, 12, 16, 20, 36, 40, 80]


@pytest.mark.parametrize("groups_per_widen", [1, 2, 3, 5])
@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_added_in_groups(count, groups_per_widen):
    """Numbers that just fit `groups_per_widen` groups in a byte: the largest may come each time."""
    rng = np.random.default_rng(count)
    largest = 255 // (conv.GROUP * groups_per_widen)
    table = rng.integers(0, largest + 1, (8, 64)).astype(np.uint8)
    table[3] = largest
    rows = rng.choice([3, 3, 3, *range(8)], count + 2).astype(np.int32)
    total = np.full(64, 99, np.int16)
    sum_rows(
        np.concatenate((np.full(64, 200, np.uint8), table.reshape(-1))),
        64,
        rows * 64,
        2,
        2 + count,
        groups_per_widen,
        total,
    )
    np.testing.assert_array_equal(total, naive.sum_of_rows(table, rows[2:]))


@pytest.mark.parametrize("largest", [1, 3, 7, 15])
@pytest.mark.parametrize("count", COUNTS)
def test_halves_of_bytes_are_added_apart(count, largest):
    rng = np.random.default_rng(count)
    table = rng.integers(0, largest + 1, (8, 128)).astype(np.uint8)
    table[3] = largest
    rows = rng.choice([3, 3, 3, *range(8)], count + 2).astype(np.int32)
    total = np.full(128, 99, np.int16)
    halves = np.concatenate((np.full(64, 200, np.uint8), (table[:, :64] + 16 * table[:, 64:]).reshape(-1)))
    sum_halves(halves, 64, rows * 64, 2, 2 + count, 255 // (conv.GROUP * largest), total)
    np.testing.assert_array_equal(total, naive.sum_of_rows(table, rows[2:]))
