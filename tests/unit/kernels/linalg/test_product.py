"""Products in tiles: the same bits as the loops, whatever the tile; nothing behind a row is read or written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import linalg as ref
from qpsnn_core.kernels.linalg import product
from qpsnn_core.kernels.linalg.product import BLOCK, ROWS, WIDTH, Matrix


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def inside(matrix, before=5, behind=3):
    """A Matrix with NaN before it and behind every row, and a view of it."""
    rows, columns = matrix.shape
    room = np.full(before + rows * (columns + behind), np.nan)
    view = room[before:].reshape(rows, columns + behind)[:, :columns]
    view[...] = matrix
    return Matrix(room, before, columns + behind), view


@pytest.mark.parametrize("inner", [0, 1, 9])
def test_tile(inner):
    left, right, out = normal(inner, ROWS), normal(inner, WIDTH), normal(ROWS, WIDTH + 5)
    want = ref.add_product(left, right, out[:, 2 : 2 + WIDTH])
    comp = out.copy()
    start = np.concatenate((np.full(4, np.nan), left.ravel()))
    product.tile(start, 4, right.ravel(), inner, comp.reshape(-1), 2, WIDTH + 5)
    np.testing.assert_array_equal(comp[:, 2 : 2 + WIDTH], want)
    comp[:, 2 : 2 + WIDTH] = out[:, 2 : 2 + WIDTH]
    np.testing.assert_array_equal(comp, out)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (ROWS, WIDTH - 1), (3, WIDTH)])
def test_tile_at_edge(rows, columns):
    left, right = normal(7, ROWS), normal(7, WIDTH)
    out, view = inside(normal(rows, columns))
    want = ref.add_product(left[:, :rows], right[:, :columns], view)
    edge = np.full(ROWS * WIDTH, np.nan)
    product.tile_at_edge(left.ravel(), 0, right.ravel(), 7, *out, rows, columns, edge)
    np.testing.assert_array_equal(view, want)
    assert np.isnan(out.numbers).sum() == out.numbers.size - view.size


def test_packing():
    """Tile by tile, with the sign; zeros beyond the last row and column."""
    matrix, view = inside(normal(9, ROWS + 2))
    packed = np.full(4 * 2 * ROWS, np.nan)
    product.pack_left(matrix, 3, 4, 1, ROWS + 1, -1.0, packed)
    first, second = packed.reshape(2, 4, ROWS)
    np.testing.assert_array_equal(first, -view[3:7, 1 : 1 + ROWS])
    np.testing.assert_array_equal(second[:, 0], -view[3:7, 1 + ROWS])
    assert not second[:, 1:].any()
    matrix, view = inside(normal(9, WIDTH + 3))
    panel = np.full(4 * WIDTH, np.nan)
    product.pack_right(matrix, 2, 4, 1, WIDTH + 2, panel)
    np.testing.assert_array_equal(panel.reshape(4, WIDTH), view[2:6, 1 : 1 + WIDTH])
    product.pack_right(matrix, 2, 4, WIDTH, WIDTH + 3, panel)
    np.testing.assert_array_equal(panel.reshape(4, WIDTH)[:, :3], view[2:6, WIDTH:])
    assert not panel.reshape(4, WIDTH)[:, 3:].any()


@pytest.mark.parametrize(("inner", "rows", "columns"), [(1, 1, 1), (7, 6, 16), (5, 13, 19), (3, 20, 33)])
@pytest.mark.parametrize("upper", [False, True])
def test_products_have_the_bits_of_the_loops(inner, rows, columns, upper):
    left, right = inside(normal(inner, rows)), inside(normal(inner, columns))
    out, view = inside(normal(rows, columns))
    before, want = view.copy(), ref.add_product(left[1], right[1], view)
    product.add_products(0, product.blocks_of(rows), left[0], right[0], out, inner, rows, columns, upper, False)
    counted = np.triu(np.ones((rows, columns), bool)) if upper else np.ones((rows, columns), bool)
    np.testing.assert_array_equal(view[counted], want[counted])
    other = view[~counted]
    assert ((other == want[~counted]) | (other == before[~counted])).all()
    assert np.isnan(out.numbers).sum() == out.numbers.size - view.size


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_block_of_some_columns_of_a_lower_triangle(sign):
    """Above the diagonal of R are zeros that are not multiplied."""
    left, right = inside(normal(21, 40)), inside(np.tril(normal(21, 40)))
    out, view = inside(normal(40, 40))
    want = view.copy()
    want[6:17, 16:40] = ref.add_product(left[1][:, 6:17], right[1][:, 16:40], view[6:17, 16:40], sign)
    product.add_block(left[0], right[0], out, 21, 6, 11, (16, 40), sign, False, True, product.scratch_of())
    np.testing.assert_array_equal(view, want)


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 24), st.integers(1, 36), st.sampled_from([2, 5, 256]))
def test_blocks_change_no_bits(seed, inner, rows, columns, deep):
    """However deep the blocks are, and wherever they are cut, of numbers of very different magnitudes."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape) * 10.0 ** rng.integers(-9, 9, shape)  # noqa: E731 - a short name
    left, right, start = draw(inner, rows), draw(inner, columns), draw(rows, columns)
    found = []
    for pieces in ([(0, inner)], [(first, min(first + deep, inner)) for first in range(0, inner, deep)]):
        out = start.copy()
        for first, last in pieces:
            parts = (np.ascontiguousarray(part[first:last]).reshape(-1) for part in (left, right))
            matrices = (Matrix(part, 0, size) for part, size in zip(parts, (rows, columns), strict=True))
            target = Matrix(out.reshape(-1), 0, columns)
            product.add_products(0, 1, *matrices, target, last - first, rows, columns, False, False)
        found.append(out)
    np.testing.assert_array_equal(found[0], found[1])
    magnitude = np.abs(left).T @ np.abs(right) + np.abs(start)
    assert (np.abs(found[0] - (start + left.T @ right)) <= 2 * (inner + 1) * 2.0**-52 * magnitude).all()


def test_blocks():
    assert [product.blocks_of(rows) for rows in (1, BLOCK, BLOCK + 1)] == [1, 1, 2]
    assert BLOCK % ROWS == BLOCK % product.LANES == 0
