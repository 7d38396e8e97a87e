"""Packed rows, read back by hand: every weight in its block, lane and half of a byte, and nothing beside them."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.spike_lists import GROUP, LANES


def read_back(packed, rows, outputs):
    """The weights `[rows, outputs]` that the blocks hold, and how many rows of zeros end every block."""
    span = 2 * LANES if packed.two_per_byte else LANES
    blocks = packed.rows.reshape(-(-outputs // span), -1, LANES)
    assert not blocks[:, rows:].any()
    found = np.full((rows, outputs), 10**6, np.int64)
    for block, held in enumerate(blocks[:, :rows]):
        column = max(0, min(block * span, outputs - span))
        lanes = np.concatenate((held & 15, held >> 4), axis=1) if packed.two_per_byte else held
        width = min(span, outputs)
        found[:, column : column + width] = packed.gain * lanes[:, :width].astype(np.int64) + packed.offset
        assert packed.two_per_byte or not lanes[:, width:].any()
    return found, blocks.shape[1] - rows


@pytest.mark.parametrize(
    ("outputs", "levels", "halves", "kind"),
    [
        (128, 15, True, np.uint8),
        (192, 3, True, np.uint8),
        (200, 15, True, np.uint8),
        (300, 7, True, np.uint8),
        (127, 15, None, np.uint8),
        (64, 15, None, np.uint8),
        (128, 31, None, np.uint8),
        (100, 127, None, np.uint16),
        (70, 2**15 - 1, None, np.int32),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_odd_integers_come_back(outputs, levels, halves, kind, known):
    rng = np.random.default_rng(outputs)
    weights = (2 * rng.integers(0, levels + 1, (2, 3, 2, outputs)) - levels).astype(np.int16)
    weights[0, 0, 0, 0], weights[0, 0, 0, 1] = -levels, levels
    packed = pack(weights, levels=levels if known else None)
    assert (packed.gain, packed.offset, packed.two_per_byte, packed.rows.dtype) == (2, -levels, halves, kind)
    found, zeros = read_back(packed, 12, outputs)
    np.testing.assert_array_equal(found, weights.reshape(12, outputs))
    assert zeros == (3 - 1) * 2 + 1
    assert packed.groups_per_widen == np.iinfo(kind).max // (GROUP * levels)


def test_any_integers_come_back_without_a_factor_of_two():
    weights = np.random.default_rng(0).integers(-5, 7, (1, 1, 9, 130)).astype(np.int8)
    packed = pack(weights)
    assert (packed.gain, packed.offset, packed.two_per_byte) == (1, -5, True)
    np.testing.assert_array_equal(read_back(packed, 9, 130)[0], weights.reshape(9, 130))


def test_windows_side_by_side():
    """Sixteen channels, four windows to a row where the width is a multiple of four: the weights of each, shifted."""
    weights = np.random.default_rng(1).integers(-3, 4, (3, 3, 2, 16)).astype(np.int8)
    packed = pack(weights, 2, 8)
    assert packed.windows_per_row == 4
    wide = 3 + 3 * 2
    found = read_back(packed, 3 * wide * 2, 64)[0].reshape(3, wide, 2, 4, 16)
    for n in range(4):
        ref = np.zeros((3, wide, 2, 16), np.int64)
        ref[:, 2 * n : 2 * n + 3] = weights
        np.testing.assert_array_equal(found[:, :, :, n], ref)
    assert [pack(weights, 1, width).windows_per_row for width in (1, 2, 3, 4, 5, 6)] == [1, 2, 3, 4, 1, 3]


def test_floats_stay_as_they_are():
    weights = np.random.default_rng(2).normal(size=(1, 2, 3, 70)).astype(np.float32)
    packed = pack(weights)
    blocks = packed.rows.reshape(2, -1, LANES)
    np.testing.assert_array_equal(blocks[0, :6], weights.reshape(6, 70)[:, :64])
    np.testing.assert_array_equal(blocks[1, :6], weights.reshape(6, 70)[:, 6:])
    assert not blocks[:, 6:].any()
    assert (packed.gain, packed.offset) == (1, 0)
