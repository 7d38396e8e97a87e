"""Removing weights by the inverse Hessian and adding events, each kernel against its loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import compression as ref
from qpsnn_core.kernels.linalg import obs

SIZES = [1, 2, 3, 7, 16, 33, 70]


def draw(size, rows=1):
    """Weights, a well-conditioned Hessian and its inverse."""
    rng = np.random.default_rng([size, rows])
    data = rng.normal(size=(2 * size + 3, size))
    hessian = data.T @ data / len(data) + 0.1 * np.eye(size)
    return rng.normal(size=(rows, size)), hessian, np.linalg.inv(hessian)


def padded(size):
    """The pitch of vectors."""
    return -(-size // obs.LANES) * obs.LANES


def triangle(matrix, pitch):
    """Its upper triangle, flat in rows of `pitch`; what must not be read is NaN."""
    room = np.full((len(matrix), pitch), np.nan)
    room[:, : len(matrix)] = np.where(np.tri(len(matrix), k=-1, dtype=bool), np.nan, matrix)
    return room.ravel()


@pytest.mark.parametrize("length", [0, 1, 5, 16, 37])
def test_lines_are_subtracted(length):
    rng = np.random.default_rng(length)
    line, rows, factors = rng.normal(size=length), rng.normal(size=(4, length)), rng.normal(size=4)
    comp, four = line.copy(), line.copy()
    obs.subtract_one(comp, factors[0], rows[0])
    np.testing.assert_allclose(comp, ref.less(line, factors[:1], rows[:1]), rtol=1e-13, atol=1e-14)
    obs.subtract_four(four, tuple(factors), tuple(rows))
    np.testing.assert_allclose(four, ref.less(line, factors, rows), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("size", SIZES)
def test_events_are_added(size, rate):
    rng = np.random.default_rng(size)
    counts = rng.integers(1, 4, (11, size)) * (rng.random((11, size)) < rate)
    filtered = rng.normal(size=(11, size))
    inputs, places = np.nonzero(counts.T)
    starts = np.searchsorted(inputs, np.arange(size + 1))
    events = (starts, places, counts[places, inputs].astype(np.float64))
    total = np.zeros(size * size)
    for start, stop in ((size // 2, size), (0, size // 2)):
        obs.add_events(start, stop, *events, filtered.ravel(), size, total)
    want = ref.pairs(starts.tolist(), places.tolist(), events[2].tolist(), filtered, 0, size)
    np.testing.assert_allclose(total.reshape(size, size), want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(total.reshape(size, size), np.triu(counts.T @ filtered), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("group", [1, 3, 50])
@pytest.mark.parametrize("size", SIZES)
def test_the_cheapest(size, group):
    (weight,), _, inverse = draw(size)
    weight[size // 2 :] = weight[size // 2]
    inverse = inverse - np.diag(np.diag(inverse)) + np.eye(size)
    alive = np.arange(size) % 3 != 1
    chosen = np.full(group, -1, np.int64)
    count = obs.cheapest(weight, np.diag(inverse).copy(), size, alive, chosen)
    want = ref.cheapest(weight, np.diag(inverse), alive, group)
    assert chosen[:count].tolist() == want
    assert count == min(group, alive.sum())


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_group_is_removed_one_after_another(size):
    """Weights, losses and the inverse that is left are those of the equations, and the dead are left out."""
    (weight,), _, inverse = draw(size)
    pitch, chosen = padded(size), [size - 1, 0][: size - 1]
    flat, rows, alive = triangle(inverse, pitch), np.full(pitch * 2, np.nan), np.ones(size, bool)
    comp, diagonal, want, left = weight.copy(), np.diag(inverse).copy(), weight.tolist(), inverse.tolist()
    for k, p in enumerate(chosen):
        loss = obs.remove(comp, diagonal, flat, pitch, size, p, k, rows)
        want, left, cost = ref.removed(want, left, p)
        assert loss == pytest.approx(cost, rel=1e-10)
        alive[p] = False
    np.testing.assert_allclose(comp[alive], np.array(want)[alive], rtol=1e-9, atol=1e-10)
    obs.subtract_rows(flat, pitch, size, alive, rows, len(chosen))
    index = np.arange(size)
    count = obs.close_ranks(comp, diagonal, flat, pitch, size, alive.copy(), index)
    weights, numbers, part = ref.living(want, left, alive)
    assert count == len(numbers)
    assert index[:count].tolist() == numbers
    np.testing.assert_allclose(comp[:count], weights, rtol=1e-9, atol=1e-10)
    square = flat.reshape(size, pitch)[:count, :count]
    np.testing.assert_allclose(np.triu(square), np.triu(part), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(diagonal[:count], np.diag(part), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("count", [1, 5, 33])
@pytest.mark.parametrize("size", [1, 16, 33, 130])
def test_waiting_rows_are_subtracted(size, count):
    """Of every living line, across strips of columns; an odd number of lines, too."""
    rng = np.random.default_rng([size, count])
    matrix, rows, pitch = rng.normal(size=(size, size)), rng.normal(size=(count, size)), padded(size)
    flat, flat_rows = triangle(matrix, pitch), np.pad(rows, ((0, 0), (0, pitch - size))).ravel()
    alive = np.arange(size) % 5 != 2
    obs.subtract_rows(flat, pitch, size, alive, flat_rows, count)
    found = flat.reshape(size, pitch)[:, :size]
    want = np.array([ref.less(line, rows[:, i], rows) for i, line in enumerate(matrix)])
    np.testing.assert_allclose(np.triu(found)[alive], np.triu(want)[alive], rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(np.triu(found)[~alive], np.triu(matrix)[~alive])


@pytest.mark.parametrize("group", [1, 2, 5])
@pytest.mark.parametrize("size", SIZES)
def test_rows_go_in_the_recorded_order(size, group):
    weights, hessian, inverse = draw(size, rows=3)
    orders, losses = np.full((3, size), -1, np.int64), np.full((3, size), np.nan)
    before = weights.copy(), inverse.copy()
    for start, stop in ((1, 3), (0, 1)):
        obs.record_rows(start, stop, weights, inverse, group, orders, losses)
    np.testing.assert_array_equal(weights, before[0])
    np.testing.assert_array_equal(inverse, before[1])
    for weight, order, loss in zip(weights, orders, losses, strict=True):
        want, cost = ref.recorded(weight, inverse, group)
        assert order.tolist() == want
        np.testing.assert_allclose(loss, cost, rtol=1e-7, atol=1e-12)
        assert loss.sum() == pytest.approx(weight @ hessian @ weight / 2, rel=1e-9)
    pitch = padded(size)
    rows = np.empty((obs.LATER + group) * pitch)
    one = (weights[0].copy(), triangle(inverse, pitch), pitch, group, rows)
    order, loss = np.empty(size, np.int64), np.empty(size)
    obs.record_row(*one, order, loss)
    np.testing.assert_array_equal(order, orders[0])
    np.testing.assert_array_equal(loss, losses[0])


@pytest.mark.parametrize("limit", [1, 7])
@pytest.mark.parametrize("size", SIZES)
def test_rows_are_rounded_in_the_order_of_the_factor(size, limit):
    """The twin goes by the rising diagonal; so the columns are put into that order first."""
    weights, _, inverse = draw(size, rows=19)
    order = np.argsort(np.diag(inverse), kind="stable")
    inverse, steps = inverse[np.ix_(order, order)], np.abs(weights).max(1) / limit
    upper = np.ascontiguousarray(np.linalg.cholesky(inverse).T)
    comp, out = weights.copy(), np.full(weights.shape, np.nan)
    for start, stop in ((3, 19), (0, 3)):
        obs.round_rows(start, stop, comp, upper, steps, float(limit), out)
    for weight, step, found in zip(weights, steps, out, strict=True):
        np.testing.assert_allclose(found, ref.rounded(weight, inverse, step, limit), rtol=1e-12)


def test_another_order_would_be_found():
    """The negative control: with another inverse the order is another one."""
    weights, _, inverse = draw(16)
    orders, losses = np.empty((1, 16), np.int64), np.empty((1, 16))
    obs.record_rows(0, 1, weights, inverse * np.linspace(1, 3, 16), 1, orders, losses)
    assert orders[0].tolist() != ref.recorded(weights[0], inverse)[0]
