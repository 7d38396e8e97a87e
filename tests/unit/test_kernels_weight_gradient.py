"""The weight gradient against loops, on whole numbers, whose float32 sums are exact in any order."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from generators.convolutions import GEOMETRIES

from naive import conv as naive
from qpsnn_core.kernels import weight_gradient as kernels
from qpsnn_core.kernels.parallel import chunks
from qpsnn_core.layers.gradients import weight_sums
from qpsnn_core.network import Conv, Value

F = np.float32


class Case:
    """Spikes, gradients, accumulators and factors of whole numbers, drawn from one seed."""

    def __init__(self, size, inputs, outputs, kernel, stride=1, padding=0, *, peak=1, steps=2, batch=2, rate=0.5):
        rng = np.random.default_rng([*size, inputs, outputs, kernel, stride, padding, peak, steps, batch])
        self.value, self.geometry = Value("spikes", (*size, inputs), peak), (kernel, stride, padding)
        self.node = Conv("n", "x", outputs, kernel, stride, padding)
        shape = (steps, batch, *size, inputs)
        self.spikes = (rng.integers(0, peak + 1, shape) * (rng.random(shape) < rate)).astype(np.uint8)
        shape = (steps, batch, *self.node.output(self.value).shape)
        self.gradient = rng.integers(-9, 10, shape).astype(F)
        self.acc = rng.integers(-9, 10, shape).astype(np.int16)
        self.factors = rng.integers(-3, 4, (3, outputs)).astype(F)
        self.outputs = outputs

    def back(self):
        """dL/dacc, in float64."""
        return (
            self.factors[0].astype(float) * self.gradient + self.factors[1].astype(float) * self.acc + self.factors[2]
        )

    def layout(self):
        out_height, out_width, _ = self.node.output(self.value).shape
        sizes = (*self.spikes.shape[:4], *self.geometry, out_height, out_width)
        return kernels.layout(*sizes, self.value.peak, 32 if self.outputs <= 32 else 64)

    def given(self):
        return self.gradient.reshape(-1, self.outputs), self.acc.reshape(-1, self.outputs), self.factors

    def lists(self, units, shape, ends, places=None):
        """`count_channels`, or `list_channels`, of all units in chunks, the last one first."""
        kernel, more = (kernels.count_channels, ()) if places is None else (kernels.list_channels, (places,))
        sizes = (*self.value.shape, self.geometry[1], tuple(shape))
        for low, high in reversed(chunks(units, 1, 3)):
            kernel(low, high, self.spikes.reshape(-1), *sizes, ends, *more)

    def compare(self):
        images = self.spikes.reshape(-1, *self.value.shape)
        back = self.back()
        ref = naive.weight_gradient(images, back.reshape(-1, *back.shape[2:]), *self.geometry)
        comp = weight_sums(self.node, self.value, self.spikes, *self.given())
        np.testing.assert_array_equal(comp.reshape(ref.shape), ref)


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize("peak", [1, 3])
@pytest.mark.parametrize("cached", [1, 2**12, kernels.CACHED])
def test_every_geometry(geometry, peak, cached):
    """A table of a single row of spikes, of a few rows, of several images."""
    with mock.patch.object(kernels, "CACHED", cached):
        Case(*geometry, peak=peak).compare()


@pytest.mark.parametrize("peak", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 9, 13])
def test_any_number_of_steps(steps, batch, peak):
    """Up to four are taken together; 5 are 3 and 2, 13 four times 4 but for one."""
    Case((3, 4), 2, 3, 3, 1, 1, peak=peak, steps=steps, batch=batch).compare()
    with mock.patch.object(kernels, "CACHED", 2**14):
        Case((5, 4), 2, 3, 3, 2, 1, peak=peak, steps=steps, batch=batch).compare()


@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130, 320])
@pytest.mark.parametrize("batch", [1, 7])
def test_any_number_of_output_channels(outputs, batch):
    with mock.patch.object(kernels, "CACHED", 2**12):
        Case((2, 2), 2, outputs, 2, 1, 1, batch=batch).compare()


@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 130])
def test_any_number_of_input_channels(inputs):
    Case((2, 3), inputs, 2, 3, 1, 1, steps=3).compare()


@pytest.mark.parametrize("rate", [0, 1])
@pytest.mark.parametrize("peak", [1, 3])
def test_no_spikes_and_all_of_them(rate, peak):
    case = Case((3, 3), 3, 4, 3, 1, 1, peak=peak, steps=4, rate=rate)
    case.spikes[:] = peak * rate
    case.compare()


@pytest.mark.parametrize("cached", [1, 2**12, 2**14, kernels.CACHED])
@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("peak", [1, 3])
@pytest.mark.parametrize("outputs", [5, 70])
def test_spikes_are_listed_by_channel(outputs, peak, steps, cached):
    """Those of each unit and key together, where `ends` says, and no place else; chunks do not meet."""
    with mock.patch.object(kernels, "CACHED", cached):
        case = Case((5, 4), 3, outputs, 3, 2, 1, peak=peak, steps=steps, batch=3)
        shape = case.layout()
    keys = 4 * 3
    ref = naive.places(case.spikes, 2, shape)
    counts = np.zeros((shape.units, keys), np.int64)
    case.lists(shape.units, shape, counts)
    assert counts.tolist() == [[len(ref.get((unit, key), [])) for key in range(keys)] for unit in range(shape.units)]
    ends = np.cumsum(counts).reshape(counts.shape)
    places, cursor = np.full(counts.sum() + 1, -1, np.int32), ends - counts
    case.lists(shape.units, shape, cursor, places)
    np.testing.assert_array_equal(cursor, ends)
    for unit, key in np.ndindex(counts.shape):
        own = places[ends[unit, key] - counts[unit, key] : ends[unit, key]]
        assert own.tolist() == ref.get((unit, key), [])
    assert places[-1] == -1


@pytest.mark.parametrize("outputs", [1, 16, 17, 32, 33, 64, 65, 130])
@pytest.mark.parametrize("cached", [1, kernels.CACHED])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_gradients_are_laid_out_with_their_sums(steps, cached, outputs):
    """Columns on the left and right and lanes that no 16 reach are left as they were; rows off the image are zeros."""
    with mock.patch.object(kernels, "CACHED", cached):
        case = Case((4, 3), 1, outputs, 3, 1, 1, steps=steps)
        shape = case.layout()
    sets, column, lanes = 2**shape.span - 1, max(0, min(64, outputs - 64)), min(64, outputs)
    back = case.back()[..., column : column + lanes]
    for unit in range(shape.units):
        table = np.full((shape.together, shape.tall, shape.wide, sets, shape.lanes), 77, F)
        kernels.lay_out(*case.given(), unit, column, tuple(shape), table.reshape(-1))
        own = table[unit % shape.together]
        ref = naive.laid_out(back, unit, shape)
        for place, numbers in ref.items():
            np.testing.assert_array_equal(own[place][:lanes], numbers)
            assert (own[place][-(-lanes // 16) * 16 :] == (77 if numbers.any() else own[place][-1])).all()
        assert (own[:, : shape.before] == 77).all()
        assert (own[:, shape.before + shape.out_width :] == 77).all()
        assert (np.delete(table, unit % shape.together, 0) == 77).all()


@pytest.mark.parametrize("cached", [1, 2**12, 2**15, kernels.CACHED])
@pytest.mark.parametrize("steps", range(1, 14))
def test_units_cover_all_steps_images_and_rows(geometry, steps, cached):
    size, _, _, kernel, stride, padding = geometry
    out = [naive.out_size(edge, kernel, stride, padding) for edge in size]
    with mock.patch.object(kernels, "CACHED", cached):
        shape = kernels.layout(steps, 3, *size, kernel, stride, padding, *out, 1)
        single = kernels.layout(steps, 3, *size, kernel, stride, padding, *out, 2)
    assert single.span == 1
    assert 1 <= shape.span <= kernels.SPAN
    rows = -(-size[0] // stride)
    assert shape.band * (shape.bands - 1) < rows <= shape.band * shape.bands
    found = set()
    for unit in range(shape.units):
        begin, count, image, row, place = kernels.unit_of(unit, tuple(shape))
        found |= {(t, image, y) for t in range(begin, begin + count) for y in range(row, min(row + shape.band, rows))}
        assert count <= shape.span
        table = shape.tall * shape.wide * (2**shape.span - 1) * 64
        assert place == unit % shape.together * table
    assert found == {(t, m, y) for t in range(steps) for m in range(3) for y in range(rows)}
    assert shape.together * table <= cached or (shape.together == 1 and (shape.bands == 1 or shape.band == 1))


@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize(("add", "lanes"), [(kernels.add_places, 64), (kernels.add_half_places, 32)])
def test_places_are_added_four_at_a_time(add, lanes, count):
    rng = np.random.default_rng(count)
    table = rng.integers(-9, 10, (8, lanes)).astype(F)
    rows = rng.integers(0, 6, count + 2).astype(np.int32)
    total = np.full(3 * lanes, 5, F)
    add(table.reshape(-1), 2 * lanes, rows * lanes, 1, 1 + count, total, lanes)
    np.testing.assert_array_equal(total[lanes : 2 * lanes] - 5, naive.sum_of_rows(table, rows[1 : 1 + count] + 2))
    assert (np.delete(total.reshape(3, lanes), 1, 0) == 5).all()


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_zeros_begin_on_a_cache_line(size):
    for _ in range(5):
        room = kernels.zeros_on_line(size)
        assert (len(room), room.ctypes.data % 64, room.any()) == (size, 0, False)
