"""Every instruction on tiles, compiled, against the Python that says what it means."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from qpsnn_core.kernels.simd import tile as t
from qpsnn_core.kernels.simd.llvm_tile import PIXELS

compiled = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="compares compiled instructions with their meaning"
)
WIDE = [None, True]


@compiled
@pytest.mark.parametrize("wide", WIDE)
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_products_are_added_shifted_and_stored(wide, dtype):
    @numba.njit(error_model="numpy")
    def comp(wide, counts, index, weights, total, pixels, lanes):
        places = t.places_of(index, 1)
        tile = t.add_products(t.zeros(wide), counts, places, 3, weights, 5)
        tile = t.add_products(t.shift_tile(tile, 9), counts, places, 0, weights, 70)
        t.store_tile(total, 2, 40, tile, pixels, lanes)

    rng = np.random.default_rng(0)
    counts, weights = rng.integers(0, 128, 99, np.uint8), rng.integers(-128, 128, 400, np.int8)
    index = rng.integers(0, 90, PIXELS + 1)
    for pixels in (1, PIXELS - 1, PIXELS, PIXELS + 3):
        for lanes in (1, 13, 16, 17, 31, 32, 99):
            found, ref = np.full(500, 7, dtype), np.full(500, 7, dtype)
            comp(wide, counts, index, weights, found, pixels, lanes)
            means(wide, counts, index, weights, ref, pixels, lanes)
            np.testing.assert_array_equal(found, ref)


def means(wide, counts, index, weights, total, pixels, lanes):
    """By the instructions' meanings."""
    say = {name: getattr(getattr(t, name), "meaning", getattr(t, name)) for name in NAMES}
    places = say["places_of"](index, 1)
    tile = say["add_products"](say["zeros"](wide), counts, places, 3, weights, 5)
    tile = say["add_products"](say["shift_tile"](tile, 9), counts, places, 0, weights, 70)
    say["store_tile"](total, 2, 40, tile, pixels, lanes)


NAMES = ("zeros", "places_of", "add_products", "shift_tile", "store_tile")


@pytest.mark.parametrize("wide", WIDE)
def test_what_the_meanings_say(wide):
    lanes = 32 if wide else 16
    counts, weights = np.arange(1, 40, dtype=np.uint8), np.zeros(4 * 32 + 8, np.int8)
    weights[8:12] = 1, -2, 3, -4  # lane 2
    index, total = np.arange(PIXELS, dtype=np.int64), np.zeros(PIXELS * 40, np.int32)
    say = {name: getattr(getattr(t, name), "meaning", getattr(t, name)) for name in NAMES}
    tile = say["add_products"](say["zeros"](wide), counts, say["places_of"](index, 0), 1, weights, 0)
    say["store_tile"](total, 0, 40, say["shift_tile"](tile, 1), PIXELS, 99)
    for pixel in range(PIXELS):
        a = pixel + 2
        row = np.zeros(40)
        row[2] = 2 * (a - 2 * (a + 1) + 3 * (a + 2) - 4 * (a + 3))
        assert len(tile[pixel]) == lanes
        np.testing.assert_array_equal(total[40 * pixel : 40 * pixel + 40], row)
