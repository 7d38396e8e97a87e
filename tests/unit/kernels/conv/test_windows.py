"""Windows as rows, and the product of all of them, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.kernels import threads
from qpsnn_core.kernels.conv import windows


def by_loops(images, weights, size, stride, padding):
    count, height, width, channels = images.shape
    tall, wide = ((side + 2 * padding - size) // stride + 1 for side in (height, width))
    rows = np.zeros((count * tall * wide, size * size * channels))
    for m in range(count):
        for y in range(tall):
            for x in range(wide):
                for ky in range(size):
                    for kx in range(size):
                        i, j = y * stride + ky - padding, x * stride + kx - padding
                        if 0 <= i < height and 0 <= j < width:
                            place = (ky * size + kx) * channels
                            rows[(m * tall + y) * wide + x, place : place + channels] = images[m, i, j]
    return rows, rows @ weights


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 2), (1, 1, 0)])
def test_windows_and_their_products(size, stride, padding, monkeypatch):
    monkeypatch.setattr(windows, "ROWS", 40)
    rng = np.random.default_rng(size)
    images, weights = rng.integers(0, 9, (5, 6, 7, 2)), rng.integers(-7, 8, (size, size, 2, 3)).astype(np.float32)
    rows, products = by_loops(images, weights.reshape(-1, 3), size, stride, padding)
    found = windows.padded(images, padding)
    np.testing.assert_array_equal(windows.unfold(found, (size, size), (stride, stride), np.float32), rows)
    out = np.empty(products.shape, np.float32)
    windows.real_conv(found, weights, stride, out)
    np.testing.assert_array_equal(out, products)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 2), (1, 2), (1, 0)), ((1, 5), (2, 1), (0, 4)), ((4, 1), (3, 3), (3, 0))]
)
def test_windows_of_any_shape_as_pixels_and_back(kernel, stride, padding):
    """Each tap of each window holds the pixel that it sees; the way back is the transpose."""
    images = np.random.default_rng(1).integers(1, 9, (2, 4, 5, 3)).astype(np.float32)
    sizes = zip((4, 5), kernel, stride, padding, strict=True)
    out = np.full((2, *((s + 2 * p - k) // d + 1 for s, k, d, p in sizes), kernel[0] * kernel[1] * 3), 99, np.float32)
    windows.lay_out(images, kernel, stride, padding, out)
    back = np.zeros_like(images)
    for m, y, x in np.ndindex(out.shape[:3]):
        for ky, kx in np.ndindex(*kernel):
            i, j = y * stride[0] + ky - padding[0], x * stride[1] + kx - padding[1]
            inside = 0 <= i < 4 and 0 <= j < 5
            seen = out[m, y, x].reshape(*kernel, 3)[ky, kx]
            np.testing.assert_array_equal(seen, images[m, i, j] if inside else 0)
            if inside:
                back[m, i, j] += seen
    found = np.full_like(images, 99)
    windows.gather(out, kernel, stride, padding, found)
    np.testing.assert_array_equal(found, back)


def test_sums_of_windows_and_back():
    images = np.random.default_rng(2).integers(-9, 9, (2, 5, 7, 3)).astype(np.int32)
    out, kernel, stride = np.full((2, 2, 3, 3), 99, np.int32), (4, 2), (1, 2)
    windows.add_windows(images, kernel, stride, out)
    back, ref = np.full(images.shape, 99, np.int32), np.zeros_like(images)
    windows.spread_windows(out, kernel, stride, back)
    for m, y, x in np.ndindex(out.shape[:3]):
        seen = (m, slice(y, y + 4), slice(2 * x, 2 * x + 2))
        np.testing.assert_array_equal(out[m, y, x], images[seen].sum((0, 1)))
        ref[seen] += out[m, y, x]
    np.testing.assert_array_equal(back, ref)


def test_products_are_the_same_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(windows, "ROWS", 40)
    rng = np.random.default_rng(0)
    images, weights = (
        rng.normal(0, 1, (9, 6, 6, 3)).astype(np.float32),
        rng.normal(0, 1, (3, 3, 3, 5)).astype(np.float32),
    )
    found = []
    before = threads.threads()
    try:
        for count in (1, 3):
            threads.set_threads(count)
            out = np.empty((9 * 16, 5), np.float32)
            windows.real_conv(images, weights, 1, out)
            found.append(out)
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(*found)
