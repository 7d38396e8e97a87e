"""Tables of sums against loops, and how long sums of them stay within a byte and 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
from generators.convolutions import weights

from naive import conv as naive
from qpsnn_core.kernels.conv import tables
from qpsnn_core.kernels.conv.geometry import ConvGeometry


@pytest.mark.parametrize("kind", [4, 8, "int8"])
def test_tables(kind):
    """Odd codes are halved, and spikes counted, behind all other tables."""
    codes = weights(kind, (2, 2, 8, 3), np.random.default_rng(0))
    packed = tables.pack_tables(codes, ConvGeometry.of((2, 2, 8), 3, 2))
    assert packed.shift == (kind != "int8")
    ref, base = naive.tables(codes >> packed.shift, packed.digits, tables.BITS)
    steps, each = ref.shape[2], tables.OUTPUTS * tables.ENTRIES
    shape = -1, packed.digits, steps, tables.OUTPUTS, tables.ENTRIES
    found = packed.tables[: -steps * each].reshape(shape).transpose(0, 3, 1, 2, 4).reshape(-1, *ref.shape[1:])
    np.testing.assert_array_equal(found[: len(ref)], ref)
    assert not found[len(ref) :].any()
    counts = [bin(entry).count("1") for entry in range(tables.ENTRIES)]
    np.testing.assert_array_equal(
        packed.tables[-steps * each :].reshape(steps, each), [counts + [0] * len(counts)] * steps
    )
    ones = packed.base.reshape(packed.digits + 1, -1)[:, : len(ref)]
    np.testing.assert_array_equal(ones, [[one << packed.shift for one in row] for row in [*base, [0] * 3]])
    for reach, most in ((packed.span, 255), (packed.stretch, 2**16 - 1)):
        sums = np.add.reduceat(ref.max(-1).astype(int), np.arange(0, steps, reach), axis=2)
        assert sums.max() <= most


@pytest.mark.parametrize(("width", "best"), [(1, 64), (8, 8), (28, 16), (32, 2), (64, 1), (96, 2), (2000, 1)])
def test_images_that_fill_lanes(width, best):
    """At 64 lanes; half as many images do at 32."""
    found = tables.images_together(ConvGeometry.of((1, width, 1), 1, 1))
    assert found == max(1, best * tables.LANES // 64)
