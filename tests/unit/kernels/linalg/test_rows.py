"""Rows that make up for what they lose: against loops, whole inverses, and where a Hessian has none."""

from __future__ import annotations

import numpy as np
import pytest

from naive import compression, linalg
from qpsnn_core.kernels.linalg import rows
from qpsnn_core.kernels.linalg.factor import pitch_of, room_of

SIZES = [1, 2, 7, 18, 33]


def draw(size, outputs=6):
    """Weights, which are kept (all and none of two rows), and a Hessian."""
    rng = np.random.default_rng([size, outputs])
    data = rng.standard_normal((2 * size + 3, size))
    kept = rng.random((outputs, size)) < 0.6
    kept[1], kept[2] = True, False
    return rng.standard_normal((outputs, size)), kept, data.T @ data / len(data) + 0.1 * np.eye(size)


@pytest.mark.parametrize("count", [0, 1, 4, 6])
def test_what_gone_weights_drive(count):
    weights, _, hessian = draw(9)
    gone, out = np.arange(9)[:count] + 2, np.full(9, np.nan)
    rows.driven_by(weights[0], gone, hessian, out)
    np.testing.assert_allclose(out, -np.array(compression.less([0.0] * 9, weights[0, gone], hessian[gone])), rtol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_compensated(size):
    weights, kept, hessian = draw(size)
    out, failed = np.full(weights.shape, np.nan), np.zeros(len(weights), bool)
    for start, stop in ((2, 6), (0, 2)):
        rows.compensate_rows(start, stop, weights, kept, hessian, out, failed)
    assert not failed.any()
    want = [linalg.compensated(weight, own, hessian) for weight, own in zip(weights, kept, strict=True)]
    np.testing.assert_allclose(out, want, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(out[1], weights[1])
    assert not out[~kept].any()


@pytest.mark.parametrize("size", SIZES)
def test_the_order_and_the_factor_of_the_inverse(size):
    _, _, hessian = draw(size)
    index = np.arange(size)[::-2].copy()
    part, scratch = np.full(room_of(len(index)), np.nan), np.full(room_of(len(index)), np.nan)
    order = rows.order_and_factor(hessian, index, part, scratch)
    inverse = linalg.inverse(linalg.chosen(hessian, list(index)))
    assert order.tolist() == sorted(range(len(index)), key=lambda i: (inverse[i, i], i))
    upper = part.reshape(len(index), pitch_of(len(index)))[:, : len(index)]
    np.testing.assert_array_equal(upper, linalg.factor(linalg.chosen(inverse, list(order))))


@pytest.mark.parametrize("size", SIZES)
def test_kept_weights_are_rounded(size):
    weights, kept, hessian = draw(size)
    steps, out, failed = np.abs(weights).max(1) / 3, np.full(weights.shape, 9.0), np.zeros(len(weights), bool)
    for start, stop in ((3, 6), (0, 3)):
        rows.round_kept_rows(start, stop, weights, kept, hessian, steps, 3.0, out, failed)
    assert not failed.any()
    assert (out[~kept] == 9).all()
    for weight, own, step, found in zip(weights, kept, steps, out, strict=True):
        some = np.flatnonzero(own)
        inverse = np.linalg.inv(hessian[np.ix_(some, some)])
        np.testing.assert_allclose(found[some], compression.rounded(weight[some], inverse, step, 3), rtol=1e-12)


def test_a_hessian_without_an_inverse_is_told():
    """Only of the rows that need it: not of one that keeps all, or nothing."""
    weights, kept, _ = draw(7)
    singular, out, failed = np.ones((7, 7)), np.zeros((6, 7)), np.zeros(6, bool)
    kept[0], kept[3:] = True, False
    kept[3:, :2] = True
    rows.compensate_rows(0, 6, weights, kept, singular, out, failed)
    assert failed.tolist() == [False, False, False, True, True, True]
    failed[:] = False
    rows.round_kept_rows(0, 6, weights, kept, singular, np.ones(6), 3.0, out, failed)
    assert failed.tolist() == [True, True, False, True, True, True]
    assert rows.order_and_factor(singular, np.arange(3), np.empty(room_of(3)), np.empty(room_of(3))) is None
