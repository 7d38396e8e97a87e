"""Pictures moved and coloured, against loops and Python's colorsys."""

from __future__ import annotations

import numpy as np
import pytest

from naive import detection as naive
from qpsnn_core.kernels.pictures import resample, shift_colours


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize(("scale", "down", "right"), [(1.0, 0.0, 0.0), (0.6, 1.25, -0.5), (1.7, -2.0, 3.1)])
def test_resample(nearest, scale, down, right):
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (2, 5, 7, 2), dtype=np.uint8)
    comp = np.empty((2, 6, 8, 2), np.uint8)
    resample(picture, scale, down, right, nearest, 9, comp)
    for t in range(2):
        for c in range(2):
            ref = naive.resample(picture[t, :, :, c].tolist(), scale, down, right, nearest, 9, (6, 8))
            assert np.abs(comp[t, :, :, c] - np.array(ref)).max() <= 0.5 + 1e-9
    if scale == 1:
        np.testing.assert_array_equal(comp[:, :5, :7], picture)
        assert (comp[:, 5] == 9).all()


@pytest.mark.parametrize("gains", [(1.0, 1.0, 1.0), (1.1, 0.5, 1.3), (0.9, 2.0, 0.6), (1.0, 0.0, 1.0)])
def test_shift_colours(gains):
    rng = np.random.default_rng(4)
    special = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 255], [9, 9, 9]]
    pixels = np.concatenate([special, rng.integers(0, 256, (100, 3))]).astype(np.uint8)
    comp = pixels.copy()
    shift_colours(comp, *gains)
    ref = np.array([naive.shift_colours(pixel, *gains) for pixel in pixels.tolist()])
    assert np.abs(comp - ref).max() <= 0.5 + 1e-9
    if gains == (1.0, 1.0, 1.0):
        np.testing.assert_array_equal(comp, pixels)
