"""The convolution kernels against loops: bit for bit on integers, within the rounding of float32 on real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels import conv

EPS = 2.0**-24  # half a unit in the last place: the error of one float32 operation


class Case:
    """A convolution of M images, drawn at random from a seed; `peak` is the largest count."""

    def __init__(self, size, inputs, outputs, kernel, stride=1, padding=0, peak=1, dtype=np.int8, images=2):
        rng = np.random.default_rng([size[0], size[1], inputs, outputs, kernel, stride, padding, peak])
        self.size, self.kernel, self.stride, self.padding, self.peak = size, kernel, stride, padding, peak
        self.spikes = rng.integers(0, peak + 1, (images, *size, inputs)) * (rng.random((images, *size, inputs)) < 0.4)
        self.spikes = self.spikes.astype(np.uint8)
        shape = (kernel, kernel, inputs, outputs)
        if np.dtype(dtype).kind == "i":
            self.weight = rng.integers(-127, 128, shape).astype(dtype)
        else:
            self.weight = rng.normal(0, 1, shape).astype(dtype)
        height, width = (naive.out_size(edge, kernel, stride, padding) for edge in size)
        self.gradient = rng.normal(0, 1, (images, height, width, outputs)).astype(np.float32)
        self.acc = rng.integers(-99, 100, self.gradient.shape).astype(np.int16)

    def __repr__(self):
        return f"{self.size}x{self.spikes.shape[3]}-{self.weight.shape[3]},k{self.kernel}s{self.stride}p{self.padding}"

    @property
    def sizes(self):
        return (*self.spikes.shape[1:], self.kernel, self.stride, self.padding)

    def images(self):
        return self.spikes.reshape(len(self.spikes), -1)

    def forward(self, dtype, low=0, high=None, fill=0):
        total = np.full((self.gradient[..., 0].size, self.weight.shape[3]), fill, dtype)
        flat = self.weight.reshape(-1, self.weight.shape[3])
        end = len(self.spikes) if high is None else high
        conv.conv_forward(low, end, self.images(), self.peak, flat, total, *self.sizes)
        return total.reshape(self.gradient.shape)

    def spread(self, factors, low=0, high=None, fill=np.nan):
        edge = self.kernel - 1
        shape = (len(self.spikes), self.size[0] + edge, self.size[1] + edge, self.weight.shape[3])
        out = np.full((int(np.prod(shape[:3])), shape[3]), fill, np.float32)
        flat = (self.gradient.reshape(-1, shape[3]), self.acc.reshape(-1, shape[3]))
        end = len(self.spikes) if high is None else high
        conv.spread_gradient(low, end, *flat, *factors, out, *self.size, self.kernel, self.stride, self.padding)
        return out.reshape(shape)


GEOMETRIES = [
    ((1, 1), 1, 1, 1, 1, 0),
    ((1, 1), 2, 3, 3, 1, 1),
    ((1, 5), 2, 1, 1, 1, 0),
    ((4, 4), 3, 2, 1, 2, 0),
    ((5, 4), 2, 3, 2, 1, 0),
    ((5, 4), 2, 3, 2, 1, 1),
    ((5, 7), 3, 4, 3, 1, 0),
    ((5, 7), 3, 4, 3, 1, 1),
    ((5, 7), 3, 4, 3, 1, 2),
    ((5, 7), 3, 4, 3, 2, 0),
    ((6, 5), 3, 4, 3, 2, 1),
    ((6, 5), 3, 4, 3, 2, 2),
    ((7, 7), 1, 2, 3, 3, 1),
    ((7, 6), 2, 2, 3, 4, 0),
    ((4, 6), 2, 2, 4, 1, 3),
    ((4, 6), 2, 2, 4, 3, 2),
    ((6, 5), 2, 5, 5, 1, 0),
    ((6, 5), 2, 5, 5, 2, 2),
    ((3, 3), 1, 1, 5, 1, 4),
    ((3, 2), 9, 3, 3, 1, 1),
]
KINDS = [(np.int8, np.int16), (np.int8, np.int32), (np.int16, np.int32), (np.float32, np.float32)]


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize(("dtype", "total"), KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("peak", [1, 3])
def test_forward_equals_the_loops(geometry, dtype, total, peak):
    case = Case(*geometry, peak=peak, dtype=dtype)
    ref = naive.forward(case.spikes, case.weight, case.stride, case.padding)
    comp = case.forward(total, fill=77)
    assert comp.dtype == total
    if total == np.float32:
        terms = naive.forward(case.spikes, np.abs(case.weight), case.stride, case.padding)
        np.testing.assert_array_less(
            np.abs(comp - ref), EPS * terms * case.kernel**2 * case.spikes.shape[3] * peak + 1e-30
        )
    else:
        np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("peak", [2, 16])
def test_counts_are_listed_as_often_as_they_count(peak):
    case = Case((5, 4), 3, 4, 3, 1, 1, peak=peak)
    case.spikes[0, 2, 2, 1] = peak
    ref = naive.forward(case.spikes, case.weight, 1, 1)
    np.testing.assert_array_equal(case.forward(np.int32), ref)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("dtype", "codes", "total"),
    [
        (np.int8, [127] * 258 + [1], np.int16),
        (np.int16, [255] * 128 + [127], np.int16),
        (np.int16, [32767] * 65538, np.int32),
    ],
    ids=["int8 to 32767", "int16 to 32767", "int16 to 2**31-2"],
)
def test_a_sum_may_reach_the_bound_of_its_type(dtype, codes, total, sign):
    """`weights.accumulator` takes int16 up to 32767 itself."""
    weight = sign * np.array(codes, dtype)[:, None]
    spikes = np.ones((1, len(codes)), np.uint8)
    comp = np.zeros((1, 1), total)
    conv.conv_forward(0, 1, spikes, 1, weight, comp, 1, 1, len(codes), 1, 1, 0)
    assert comp.item() == sign * sum(codes)
    assert abs(comp.item()) >= np.iinfo(total).max - 1


def test_no_partial_sum_wraps_where_large_codes_cancel():
    """Groups of four +-127 pass through sums that int8 cannot hold; of +-32767, sums that int16 cannot."""
    for dtype, large, total in ((np.int8, 127, np.int16), (np.int16, 32767, np.int32)):
        codes = np.array([large, large, large, large, -large, -large, -large, 1], dtype)
        comp = np.zeros((1, 1), total)
        conv.conv_forward(0, 1, np.ones((1, 8), np.uint8), 1, codes[:, None], comp, 1, 1, 8, 1, 1, 0)
        assert comp.item() == large + 1


def test_forward_writes_its_own_images_only():
    case = Case((4, 5), 2, 3, 3, 1, 1, images=4)
    whole = case.forward(np.int16)
    part = case.forward(np.int16, 1, 3, fill=-9)
    np.testing.assert_array_equal(part[1:3], whole[1:3])
    assert (part[[0, 3]] == -9).all()


@pytest.mark.parametrize("peak", [1, 3])
def test_gradients_equal_the_loops(geometry, peak):
    """The weight gradient reads what `spread_gradient` laid out, as the layer does."""
    case = Case(*geometry, peak=peak)
    outputs = case.weight.shape[3]
    rng = np.random.default_rng(0)
    factors = [rng.normal(0, 1, outputs).astype(np.float32) for _ in range(3)]
    geometry_of = (case.spikes.shape[:3], case.kernel, case.stride, case.padding)
    ref = naive.spread(case.gradient, case.acc, *factors, *geometry_of)
    comp = case.spread(factors)
    np.testing.assert_allclose(comp, ref, rtol=0, atol=4 * EPS * 400)

    corner = case.kernel - 1 - case.padding
    height, width = case.gradient.shape[1:3]
    rows, columns = (slice(corner, corner + n * case.stride, case.stride) for n in (height, width))
    ref = naive.weight_gradient(case.spikes, comp[:, rows, columns], case.kernel, case.stride, case.padding)
    total = np.zeros((case.kernel**2 * case.spikes.shape[3], outputs), np.float32)
    flat = comp.reshape(-1, outputs)
    sizes = (*case.spikes.shape[1:], case.kernel)
    for low, high in ((0, 1), (1, case.spikes.shape[3])):
        conv.conv_weight_gradient(low, high, case.images(), peak, flat, total, *sizes)
    terms = naive.weight_gradient(case.spikes, np.abs(comp[:, rows, columns]), case.kernel, case.stride, case.padding)
    count = case.spikes.size * peak
    np.testing.assert_array_less(np.abs(total.reshape(ref.shape) - ref), EPS * count * terms + 1e-30)


def test_spread_writes_its_own_images_only():
    case = Case((4, 5), 2, 3, 3, 2, 1, images=4)
    factors = [np.ones(3, np.float32)] * 3
    part, whole = case.spread(factors, 1, 3), case.spread(factors)
    np.testing.assert_array_equal(part[1:3], whole[1:3])
    assert np.isnan(part[[0, 3]]).all()


def test_weight_gradient_adds_to_its_own_channels_only():
    case = Case((4, 4), 5, 2, 3, 1, 1)
    spread = np.ones((2 * 6 * 6, 2), np.float32)
    total = np.full((9 * 5, 2), 7, np.float32)
    conv.conv_weight_gradient(1, 3, case.images(), 1, spread, total, 4, 4, 5, 3)
    added = total.reshape(9, 5, 2) - 7
    np.testing.assert_array_equal(added[:, 1:3], np.broadcast_to(case.spikes.sum((0, 1, 2))[1:3, None], (9, 2, 2)))
    assert (added[:, [0, 3, 4]] == 0).all()


@pytest.mark.parametrize("peak", [1, 3, 16])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_spikes_are_listed_row_by_row(peak, padding):
    rng = np.random.default_rng(peak)
    image = (rng.integers(0, peak + 1, (3, 4, 2)) * (rng.random((3, 4, 2)) < 0.6)).astype(np.uint8)
    positions = np.full(image.size * peak + 1, -1, np.int32)
    starts = np.full((3 + 2 * padding) * (4 + 2 * padding) + 1, -1, np.int32)
    conv.list_active(image.reshape(-1), peak == 1, 3, 4, 2, padding, positions, starts)
    ref_positions, ref_starts = naive.active(image, padding)
    np.testing.assert_array_equal(starts, ref_starts)
    np.testing.assert_array_equal(positions[: starts[-1]], ref_positions)


def test_more_than_255_spikes_are_counted():
    """Where a counter took the spikes' type, uint8, it would wrap."""
    image = np.ones(300, np.uint8)
    positions, starts = np.zeros(301, np.int32), np.zeros(301, np.int32)
    conv.list_active(image, True, 1, 300, 1, 0, positions, starts)
    np.testing.assert_array_equal(starts, np.arange(301))
    np.testing.assert_array_equal(positions[:300], np.arange(300))


@pytest.mark.parametrize("peak", [1, 3])
def test_spikes_are_listed_by_channel(peak):
    rng = np.random.default_rng(peak)
    images = rng.integers(0, peak + 1, (4, 3, 4, 5)).astype(np.uint8)
    rows, ends = np.full(images.size * peak + 1, -1, np.int32), np.zeros(4, np.int64)
    conv.list_by_channel(images.reshape(4, -1), 1, 3, 1, 4, 3, 4, 5, 3, ends, rows)
    ref = naive.by_channel(images[1:3], 1, 4, 3)
    np.testing.assert_array_equal(ends[:3], np.cumsum([len(places) for places in ref]))
    np.testing.assert_array_equal(rows[: ends[2]], np.concatenate(ref))


def test_weight_gradient_of_several_groups_of_images():
    """Images are taken in groups that fit a cache: here five of three, and one of one. Whole numbers, so exact sums."""
    rng = np.random.default_rng(0)
    images, outputs = 16, 500
    spikes = rng.integers(0, 2, (images, 4, 4, 2)).astype(np.uint8)
    gradient = rng.integers(-9, 10, (images, 6, 6, outputs)).astype(np.float32)
    assert conv.CACHED // gradient[0].size == 3
    comp, ref = (np.zeros((9 * 2, outputs), np.float32) for _ in range(2))
    conv.conv_weight_gradient(0, 2, spikes.reshape(images, -1), 1, gradient.reshape(-1, outputs), comp, 4, 4, 2, 3)
    for m, y, x, c, ky, kx in np.ndindex(images, 4, 4, 2, 3, 3):
        ref[(ky * 3 + kx) * 2 + c] += spikes[m, y, x, c] * gradient[m, y + 2 - ky, x + 2 - kx]
    np.testing.assert_array_equal(comp, ref)


def test_weight_gradient_has_room_for_counts_at_their_peak():
    """One image at a time, all of it at its peak: interpreted, a list that is too short raises IndexError."""
    outputs = conv.CACHED // 4 + 1
    gradient = np.ones((4, outputs), np.float32)
    total = np.zeros((2, outputs), np.float32)
    conv.conv_weight_gradient(0, 2, np.full((1, 8), 3, np.uint8), 3, gradient, total, 2, 2, 2, 1)
    np.testing.assert_array_equal(total, np.full((2, outputs), 4 * 3))


@pytest.mark.parametrize("count", range(10))
def test_rows_are_added_four_at_a_time(count):
    rng = np.random.default_rng(count)
    table = rng.integers(-127, 128, (8, 3)).astype(np.int8)
    rows = rng.integers(0, 8, 12).astype(np.int32)
    total = np.full(3, 99, np.int16)
    conv.add_rows(total, table, rows, count)
    np.testing.assert_array_equal(total, naive.sum_of_rows(table, rows[:count]))
    gradients = rng.integers(-9, 10, (12, 3)).astype(np.float32)
    summed = np.ones(3, np.float32)
    conv.add_gradients(summed, gradients, rows, 2, 2 + count, 4)
    np.testing.assert_array_equal(summed - 1, naive.sum_of_rows(gradients, rows[2 : 2 + count] + 4))
