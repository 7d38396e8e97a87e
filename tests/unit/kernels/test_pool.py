"""The pooling kernels against loops, bit for bit: overlapping, padded and tied windows."""

from __future__ import annotations

import numpy as np
import pytest

from naive import pool as naive
from qpsnn_core.kernels import pool

GEOMETRIES = [
    ((1, 1), 1, 1, 0),
    ((4, 6), 2, 2, 0),
    ((5, 7), 2, 2, 0),
    ((5, 7), 3, 2, 0),
    ((5, 7), 3, 2, 1),
    ((5, 4), 3, 1, 2),
    ((5, 4), 2, 3, 1),
    ((3, 3), 3, 3, 0),
    ((2, 2), 4, 1, 3),
    ((7, 5), 2, 4, 0),
]


def draw(size, channels, max_count, dtype, images=3):
    """Small counts, so that most windows hold a tie."""
    rng = np.random.default_rng([*size, channels, max_count])
    return rng.integers(0, max_count + 1, (images, *size, channels)).astype(dtype)


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]},{g[1]}s{g[2]}p{g[3]}")
def geometry(request):
    return request.param


CHANNELS = [1, 3, 15, 16, 17, 31, 33, 64, 100]
"""Walked 16 at a time. Images are run last to first, so that one that wrote past its end would spoil the next."""


@pytest.mark.parametrize(
    ("max_count", "dtype"), [(1, np.uint8), (3, np.uint8), (255, np.uint8), (60000, np.uint16), (2**32 - 1, np.uint32)]
)
def test_largest(geometry, max_count, dtype):
    compare_largest(geometry, 2, max_count, dtype)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("kind", [GEOMETRIES[2], GEOMETRIES[4], GEOMETRIES[5]], ids=["side by side", "step 2", "over"])
def test_largest_of_any_number_of_channels(kind, channels):
    compare_largest(kind, channels, 200, np.uint8)
    compare_largest_back(kind, channels, 2)


def compare_largest(geometry, channels, max_count, dtype):
    size, kernel, stride, padding = geometry
    counts = draw(size, channels, max_count, dtype)
    ref = naive.largest(counts, kernel, stride, padding)
    comp = np.full_like(ref, 77)
    for start, stop in ((1, 3), (0, 1)):
        pool.max_forward(start, stop, counts, comp, kernel, stride, padding)
    np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("max_count", [1, 3])
def test_largest_back(geometry, max_count):
    compare_largest_back(geometry, 2, max_count)


def compare_largest_back(geometry, channels, max_count):
    """Whole numbers as gradients: their sums are exact in any order."""
    size, kernel, stride, padding = geometry
    counts = draw(size, channels, max_count, np.uint8)
    shape = naive.out_shape(counts.shape, kernel, stride, padding)
    gradient = np.random.default_rng(1).integers(-9, 10, shape).astype(np.float32)
    ref = naive.largest_back(counts, gradient, kernel, stride, padding)
    comp = np.zeros(counts.shape, np.float32)
    for start, stop in ((2, 3), (0, 2)):
        pool.max_backward(start, stop, counts, gradient, comp, kernel, stride, padding)
    np.testing.assert_array_equal(comp, ref)
    assert comp.sum() == gradient.sum()
    if stride == kernel and not padding:
        comp[:] = 77
        for start, stop in ((2, 3), (0, 2)):
            pool.apart_backward(start, stop, counts, gradient, comp, kernel)
        np.testing.assert_array_equal(comp, ref)


def test_a_tie_goes_to_the_first():
    counts = np.array([[0, 2, 2], [2, 2, 0], [0, 0, 0]], np.uint8).reshape(1, 3, 3, 1)
    assert hit(counts, 3, 1, 0) == {(0, 0): (0, 1)}
    assert hit(counts, 2, 1, 0) == {(0, 0): (0, 1), (0, 1): (0, 1), (1, 0): (1, 0), (1, 1): (1, 1)}
    assert hit(counts, 2, 2, 1)[0, 0] == (0, 0)
    assert hit(counts * 0, 2, 1, 1)[3, 3] == (2, 2)


def hit(counts, size, stride, padding):
    """{window: the pixel that its gradient goes to}, one window at a time."""
    found = {}
    _, height, width, _ = naive.out_shape(counts.shape, size, stride, padding)
    for place in np.ndindex(height, width):
        gradient, back = np.zeros((1, height, width, 1), np.float32), np.zeros(counts.shape, np.float32)
        gradient[0][place] = 1
        pool.max_backward(0, 1, counts, gradient, back, size, stride, padding)
        ((_, row, column, _),) = np.argwhere(back)
        found[place] = (int(row), int(column))
    return found


def test_a_gradient_that_is_not_a_number_stays_in_its_window():
    counts, back = np.zeros((1, 2, 4, 1), np.uint8), np.zeros((1, 2, 4, 1), np.float32)
    given = np.array([np.nan, np.inf], np.float32).reshape(1, 1, 2, 1)
    pool.max_backward(0, 1, counts, given, back, 2, 2, 0)
    np.testing.assert_array_equal(back[0, ..., 0], [[np.nan, 0, np.inf, 0], [0, 0, 0, 0]])
    pool.apart_backward(0, 1, counts, given, back, 2)
    np.testing.assert_array_equal(back[0, ..., 0], [[np.nan, 0, np.inf, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(("size", "kernel"), [((1, 1), 1), ((4, 6), 2), ((5, 7), 2), ((3, 3), 3), ((7, 4), 3)])
@pytest.mark.parametrize(("max_count", "dtype"), [(1, np.uint8), (60, np.uint16)])
def test_total_and_back(size, kernel, max_count, dtype):
    counts = draw(size, 3, max_count, np.uint8)
    ref = naive.total(counts, kernel, kernel)
    comp = np.full(ref.shape, 77, dtype)
    gradient = np.random.default_rng(1).normal(0, 1, ref.shape).astype(np.float32)
    back = np.full(counts.shape, 77, np.float32)
    for start, stop in ((0, 1), (1, 3)):
        pool.sum_forward(start, stop, counts, comp, kernel, kernel)
        pool.sum_backward(start, stop, gradient, back, kernel)
    np.testing.assert_array_equal(comp, ref)
    np.testing.assert_array_equal(back, naive.total_back(counts.shape, gradient, kernel, kernel))


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [((5, 6), 3, 1), ((7, 5), 3, 2), ((5, 7), 2, 3), ((4, 4), 1, 2), ((6, 6), 4, 2)]
)
@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint16), (18, np.uint16)])
def test_total_and_back_at_any_stride(size, kernel, stride, channels, dtype):
    counts = np.random.default_rng(3).integers(0, 60, (3, *size, channels)).astype(np.uint8)
    ref = naive.total(counts, kernel, stride)
    comp = np.full(ref.shape, 77, dtype)
    gradient = np.random.default_rng(1).normal(0, 1, ref.shape).astype(np.float32)
    back = np.zeros(counts.shape, np.float32)
    for start, stop in ((0, 1), (1, 3)):
        pool.sum_forward(start, stop, counts, comp, kernel, stride)
        pool.slid_sum_backward(start, stop, gradient, back, kernel, stride)
    np.testing.assert_array_equal(comp, ref)
    np.testing.assert_array_equal(back, naive.total_back(counts.shape, gradient, kernel, stride))


def test_a_slid_sum_leaves_other_images_alone():
    gradient, back = np.ones((3, 2, 2, 1), np.float32), np.zeros((3, 3, 3, 1), np.float32)
    pool.slid_sum_backward(1, 2, gradient, back, 2, 1)
    np.testing.assert_array_equal(back[1, ..., 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    assert not back[[0, 2]].any()


def test_a_total_may_reach_the_bound_of_its_type():
    counts, out = np.full((1, 5, 5, 1), 10, np.uint8), np.zeros((1, 1, 1, 1), np.uint8)
    pool.sum_forward(0, 1, counts, out, 5, 5)
    assert out.item() == 250
    counts, out = np.full((1, 4, 4, 1), 4095, np.uint16), np.zeros((1, 1, 1, 1), np.uint16)
    pool.sum_forward(0, 1, counts, out, 4, 4)
    assert out.item() == 65520


def test_images_outside_the_range_are_left_alone():
    counts = draw((4, 4), 2, 3, np.uint8)
    out = np.full((3, 2, 2, 2), 99, np.uint8)
    pool.max_forward(1, 2, counts, out, 2, 2, 0)
    assert (out[[0, 2]] == 99).all()
    assert (out[1] <= 3).all()
