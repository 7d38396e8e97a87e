"""The scale of a row by search, against loops over every per cent of its largest weight."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.compression.weights.round import gammas, to_nearest


def least_error(row, bits):
    """The largest weight times the first per cent, from 100 down to 20, whose multiples are nearest to the weights."""
    top, largest = 2 ** (bits - 1) - 1, max(abs(w) for w in row)
    best, least = None, float("inf")
    for percent in range(100, 19, -1):
        step = largest * percent / 100 / top
        error = sum((max(-top, min(top, round(w / step))) * step - w) ** 2 for w in row)
        if error < least * (1 - 1e-12):
            best, least = largest * percent / 100, error
    return best


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_search_finds_the_per_cent_of_least_error(bits):
    weight = np.random.default_rng(bits).normal(size=(6, 9))
    ref = [least_error(row.tolist(), bits) for row in weight]
    np.testing.assert_allclose(gammas(weight, bits, "search"), ref, rtol=1e-6)
    assert len({round(float(r) / np.abs(row).max(), 2) for r, row in zip(ref, weight, strict=True)}) > 1


def test_by_hand():
    """Three bits, integers -3..3: rows are their own multiples, cut at the largest, or rounded to a half."""
    rounded = to_nearest(np.array([[3.0, -1.0, 2.0], [0.0, 0.0, 0.0], [-6.0, 2.9, 0.9]]), 3)
    assert rounded.gamma.tolist() == [3.0, 1.0, 6.0]
    assert rounded.weight.tolist() == [[3.0, -1.0, 2.0], [0.0, 0.0, 0.0], [-6.0, 2.0, 0.0]]
