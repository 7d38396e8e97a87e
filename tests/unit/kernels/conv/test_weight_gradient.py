"""The weight gradient against loops, on whole numbers, whose float32 sums are exact in any order."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from generators.convolutions import GEOMETRIES
from generators.weight_gradients import Case

from naive import conv as naive
from qpsnn_core.engine.layers import conv_gradients
from qpsnn_core.kernels import threads
from qpsnn_core.kernels.conv import weight_gradient as kernels
from qpsnn_core.kernels.conv.channel_lists import unit_of
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.parts import add_in_order, parts_of

F = np.float32


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize("max_count", [1, 3])
@pytest.mark.parametrize("cached", [1, 2**12, kernels.CACHED])
def test_every_geometry(geometry, max_count, cached):
    """A table of a single row of spikes, of a few rows, of several images."""
    with mock.patch.object(kernels, "CACHED", cached):
        Case(*geometry, max_count=max_count).compare()


@pytest.mark.parametrize("max_count", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 9, 13])
def test_any_number_of_steps(steps, batch, max_count):
    """Two are taken together, and the last one of an odd number alone."""
    Case((3, 4), 2, 3, 3, 1, 1, max_count=max_count, steps=steps, batch=batch).compare()
    with mock.patch.object(kernels, "CACHED", 2**14):
        Case((5, 4), 2, 3, 3, 2, 1, max_count=max_count, steps=steps, batch=batch).compare()


@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130, 320])
@pytest.mark.parametrize("batch", [1, 7])
def test_any_number_of_output_channels(outputs, batch):
    with mock.patch.object(kernels, "CACHED", 2**12):
        Case((2, 2), 2, outputs, 2, 1, 1, batch=batch).compare()


@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 130])
def test_any_number_of_input_channels(inputs):
    Case((2, 3), inputs, 2, 3, 1, 1, steps=3).compare()


@pytest.mark.parametrize("rate", [0, 1])
@pytest.mark.parametrize("max_count", [1, 3])
def test_no_spikes_and_all_of_them(rate, max_count):
    case = Case((3, 3), 3, 4, 3, 1, 1, max_count=max_count, steps=4, rate=rate)
    case.spikes[:] = max_count * rate
    case.compare()


@pytest.mark.parametrize("outputs", [1, 16, 17, 32, 33, 63, 65, 130])
@pytest.mark.parametrize("cached", [1, kernels.CACHED])
@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("max_count", [1, 5])
def test_gradients_are_laid_out_with_their_sums(steps, cached, outputs, max_count):
    """Columns on the left and right, rows off the only band and lanes that no 16 reach are left as they were."""
    with mock.patch.object(kernels, "CACHED", cached):
        case = Case((4, 3), 1, outputs, 3, 1, 1, steps=steps, max_count=max_count)
        shape = case.layout()
    lanes = min(shape.lanes, outputs)
    column = max(0, min(shape.lanes, outputs - shape.lanes))
    back = case.back()[..., column : column + lanes]
    rows = (shape.together - 1) * shape.apart + shape.tall
    for unit in range(shape.units):
        table = np.full((rows, shape.wide, shape.sets, shape.lanes), 77, F)
        kernels.lay_out(case.given(), unit, unit % shape.together, column, shape, table.reshape(-1))
        begin = unit % shape.together * shape.apart
        own = table[begin : begin + shape.tall].copy()
        for place, numbers in naive.laid_out(back, unit, shape).items():
            inside = 0 <= unit % shape.bands * shape.band - shape.before + place[0] < shape.out_height
            if inside or shape.bands > 1:
                np.testing.assert_array_equal(own[place][:lanes], numbers)
                assert (own[place][-(-lanes // 16) * 16 :] == (77 if inside else 0)).all()
            else:
                assert (own[place] == 77).all()
        assert (own[:, : shape.before] == 77).all()
        assert (own[:, shape.before + shape.out_width :] == 77).all()
        assert (np.delete(table, range(begin, begin + shape.tall), 0) == 77).all()


@pytest.mark.parametrize("cached", [1, 2**12, 2**15, kernels.CACHED])
@pytest.mark.parametrize("steps", range(1, 14))
def test_units_cover_all_steps_images_and_rows(geometry, steps, cached):
    size, _, _, kernel, stride, padding = geometry
    sizes = ConvGeometry.of((*size, 1), 1, kernel, stride, padding)
    with mock.patch.object(kernels, "CACHED", cached):
        shape = kernels.layout(steps, 3, sizes, 1)
        single = kernels.layout(steps, 3, sizes, 2)
    assert single.span == 1
    assert 1 <= shape.span <= kernels.SPAN
    rows = -(-size[0] // stride)
    assert shape.band * (shape.bands - 1) < rows <= shape.band * shape.bands
    found = set()
    for unit in range(shape.units):
        begin, count, image, row = unit_of(unit, shape)
        assert image == unit // shape.image_units
        found |= {(t, image, y) for t in range(begin, begin + count) for y in range(row, min(row + shape.band, rows))}
        assert count <= shape.span
    assert found == {(t, m, y) for t in range(steps) for m in range(3) for y in range(rows)}
    table = ((shape.together - 1) * shape.apart + shape.tall) * shape.wide * shape.sets * kernels.WIDEST
    assert table <= cached or (shape.together == 1 and (shape.bands == 1 or shape.band == 1))


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("taps", [1, 9])
def test_rows_are_added_under_one_tap_or_nine(taps, count):
    rng, lanes, (across, down) = np.random.default_rng(count), kernels.LANES, (2, 7)
    table = rng.integers(-9, 10, (30, lanes)).astype(F)
    rows = rng.integers(0, 6, count + 2).astype(np.uint16)
    old, more, out = np.full(9 * lanes, 5, F), np.full(10 * lanes, 70, F), np.full(11 * lanes, 1, F)
    given = (rows, 1, 1 + count, (old, 0), (more, 0), (out, lanes))
    if taps == 1:
        kernels.add_places(table.reshape(-1), 2 * lanes, *given)
    else:
        kernels.add_squares(table.reshape(-1), 2 * lanes, (across * lanes, down * lanes), *given)
    for tap in range(taps):
        further = 2 + (taps - 1 - tap) // 3 * down + (taps - 1 - tap) % 3 * across
        ref = naive.sum_of_rows(table, rows[1 : 1 + count].astype(int) + further)
        np.testing.assert_array_equal(out.reshape(11, lanes)[1 + tap] - 75, ref)
    assert (np.delete(out.reshape(11, lanes), range(1, 1 + taps), 0) == 1).all()


@pytest.mark.parametrize("parts", [1, 2, 5, 7])
@pytest.mark.parametrize("cached", [1, 2**12, kernels.CACHED])
@pytest.mark.parametrize("count", [1, 3])
def test_each_part_has_a_sum_of_its_own(count, parts, cached):
    """In tables of its own, whoever computes it: a single task, or one for each part; the same bits."""
    before, found = threads.threads(), []
    rng = np.random.default_rng(parts)
    case = Case((3, 4), 20, 37, 3, 1, 1, max_count=count, steps=2, batch=7)
    if cached == 1:
        Case((3, 4), 5, 37, 3, 1, 1, max_count=count, steps=2, batch=7).compare(parts)  # by loops: fewer inputs
    given = AccGradient(rng.normal(0, 1, case.given().gradient.shape).astype(F), *case.given()[1:])
    try:
        with mock.patch.object(kernels, "CACHED", cached):
            for number in (1, 5):
                threads.set_threads(number)
                found.append(sums(case, given, parts_of(7, parts)))
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(*found)
    alone = []
    with mock.patch.object(kernels, "CACHED", cached):
        for start, stop in parts_of(7, parts):
            part = [array.reshape(2, 7, 3, 4, -1)[:, start:stop].reshape(-1, 37) for array in given[:2]]
            own = case.spikes[:, start:stop]
            alone.append(sums(case, AccGradient(*part, given.factors), ((0, stop - start),), own))
    np.testing.assert_array_equal(found[0], add_in_order(alone))


def sums(case, given, parts, spikes=None):
    x = case.spikes if spikes is None else spikes
    return conv_gradients.weight_sums(case.sizes(), case.value.max_count, x, given, parts).copy()


@pytest.mark.parametrize("sums", [1, 2**12, 2**14])
@pytest.mark.parametrize("outputs", [30, 70, 130])
def test_output_channels_are_taken_a_few_at_a_time(outputs, sums):
    with mock.patch.object(conv_gradients, "SUMS", sums):
        Case((2, 3), 5, outputs, 3, 1, 1).compare()


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_zeros_begin_on_a_cache_line(size):
    for _ in range(5):
        room = kernels.zeros_on_line(size)
        assert (len(room), room.ctypes.data % 64, room.any()) == (size, 0, False)
